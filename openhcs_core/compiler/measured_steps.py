"""What a step takes as jobs of earlier runs measured it."""

from collections.abc import Sequence

from openhcs_core.plan import Measurement, StepPlan, StepPrediction

START_S = 0.8
"""Of a job's process."""
_SAMPLE = 32


def from_records(
    prediction: StepPrediction, plan: StepPlan, records: Sequence[Measurement]
) -> StepPrediction:
    """Return what jobs of earlier runs took, where any had the functions of this plan.

    Memory is the most that one had, time and size their mean.
    """
    refs = tuple(function.ref for function in plan.functions)
    alike = [record for record in records if record.functions == refs][:_SAMPLE]
    if not alike:
        return prediction
    mean_cpu = sum(record.cpu_s for record in alike) / len(alike)
    kept = [record.kept_bytes for record in alike if record.kept_bytes]
    return prediction.model_copy(
        update={
            "peak_mb": max(record.peak_mb for record in alike),
            "cpu_s": round(START_S + mean_cpu, 2),
            "start_s": START_S,
            "kept_bytes": round(sum(kept) / len(kept)) if kept else prediction.kept_bytes,
            "records": len(alike),
        }
    )
