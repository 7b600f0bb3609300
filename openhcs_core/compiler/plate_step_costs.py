"""What a step over the whole plate takes."""

from collections.abc import Mapping, Sequence

from openhcs_core.compiler.followed_images import MB, PROCESS_MB, WellImages
from openhcs_core.compiler.measured_steps import START_S, from_records
from openhcs_core.compiler.request import CompileRequest
from openhcs_core.plan import Measurement, StepPlan, StepPrediction, plan_digest

LIBRARY_S = 0.5
READ_NS_PER_BYTE = 1.5
PX_PER_OBJECT = 4000
_ROW_BYTES, _ROW_NS, _PANDAS_MB = 300, 4000, 45
"""Of a plate table that a function takes."""
_KNOWN_OF_PLANE_BYTES = 500
"""What a step over the plate knows of each image: its name and digest."""
_PLATE_PLANES, _FLOAT64_BYTES = 8, 8
"""What a function over a plate holds of the images that pass it: sums, counts, a result."""


def predict_plate_step(
    plan: StepPlan,
    read: Mapping[str, WellImages],
    joined: Sequence[Mapping[str, WellImages]],
    request: CompileRequest,
    records: Sequence[Measurement],
) -> StepPrediction:
    """Return what a step over the whole plate takes: it sees one image after the other.

    Parameters
    ----------
    joined : sequence of mapping
        The images of a well that each plate table is of; a table is in memory whole.
    records : sequence of Measurement
        What jobs of earlier runs took.
    """
    costs = [request.functions.find(function.ref).cost for function in plan.functions]
    wells = len(request.wells)
    process_mb = PROCESS_MB + max((cost.library_mb for cost in costs), default=0)
    held = cpu_ns = 0.0
    if plan.takes_images:
        held = max(images.px for images in read.values()) * _PLATE_PLANES * _FLOAT64_BYTES
        held += wells * sum(images.planes for images in read.values()) * _KNOWN_OF_PLANE_BYTES
        read_bytes = wells * sum(images.bytes for images in read.values())
        px = wells * sum(images.planes * images.px for images in read.values())
        cpu_ns = read_bytes * READ_NS_PER_BYTE + px * sum(cost.ns_per_px for cost in costs)
    for of_well in joined:
        px = wells * sum(images.planes * images.px for images in of_well.values())
        held += px / PX_PER_OBJECT * _ROW_BYTES
        cpu_ns += px / PX_PER_OBJECT * _ROW_NS
    process_mb += _PANDAS_MB if plan.tables else 0
    prediction = StepPrediction(
        peak_mb=round(process_mb + held / MB),
        cpu_s=round(START_S + LIBRARY_S + cpu_ns / 1e9, 2),
        cached_bytes=0,
        kept_bytes=0,
    )
    return _of_plate_from_records(prediction, plan, records)


def _of_plate_from_records(
    prediction: StepPrediction, plan: StepPlan, records: Sequence[Measurement]
) -> StepPrediction:
    """Return what an earlier run's job took; of other parameters or wells, that at least."""
    found = from_records(prediction, plan, records)
    is_same = any(record.digest == plan_digest(plan) for record in records)
    return (
        found
        if is_same
        else found.model_copy(
            update={
                "peak_mb": max(found.peak_mb, prediction.peak_mb),
                "cpu_s": max(found.cpu_s, prediction.cpu_s),
            }
        )
    )
