"""Hours of cores and GPUs that the results of a plate took, from what its jobs recorded."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.plan import (
    PLATE_TARGET,
    Measurement,
    PlatePlan,
    StepPlan,
    benchmark_path,
    measurement_path,
)

_HOUR_S = 3600.0


@dataclass(frozen=True)
class PlateHours:
    """What the jobs took that last computed each result of a plate.

    Attributes
    ----------
    cpu_h : float
        Hours of a core, without the start of processes.
    gpu_h : float
        Hours that jobs held GPUs, one GPU each hour.
    jobs : int
        Steps of wells, and of the plate, that have a record.
    """

    cpu_h: float = 0.0
    gpu_h: float = 0.0
    jobs: int = 0


def read_hours(plate: PlatePlan, folder: Path) -> PlateHours:
    """Return the hours of a plate; a record that cannot be read counts nothing.

    A result that was put back from the cache counts what its job took when it last computed, and
    nothing where another plate or results folder did. Steps over the plate have Snakemake's own
    record, with the start of their process and no GPU.

    Parameters
    ----------
    folder : Path
        ``results/<plate>``.
    """
    took = [one for plan in plate.steps for one in _records(plate, plan, folder)]
    return PlateHours(
        cpu_h=sum(cpu_s for cpu_s, _ in took) / _HOUR_S,
        gpu_h=sum(gpu_s for _, gpu_s in took) / _HOUR_S,
        jobs=len(took),
    )


def _records(plate: PlatePlan, plan: StepPlan, folder: Path) -> Iterator[tuple[float, float]]:
    """Yield CPU and GPU seconds of each job of a step."""
    for well in plate.targets(plan):
        try:
            if well == PLATE_TARGET:
                yield _read_benchmark(folder / benchmark_path(plan.step_name, well)), 0.0
            else:
                text = (folder / measurement_path(plan.step_name, well)).read_bytes()
                took = Measurement.model_validate_json(text)
                yield took.cpu_s, took.wall_s * took.gpus
        except (OSError, ValueError, KeyError):
            continue


def _read_benchmark(path: Path) -> float:
    """Return the CPU seconds in a benchmark file of Snakemake."""
    with path.open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream, delimiter="\t")
    return float(row["cpu_time"])
