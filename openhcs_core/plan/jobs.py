"""Which steps and wells one job does together."""

from collections.abc import Iterator
from typing import NamedTuple

from openhcs_core.ground.paths import benchmark_path
from openhcs_core.plan.models import PlatePlan

HELD_BYTES = 256 * 2**20
"""Of images that a job of several steps hands from one to the next in memory, at most."""


class JobScope(NamedTuple):
    """What one job does: every step for the first well, then for the next.

    Attributes
    ----------
    steps, wells : tuple of str
        In pipeline and plate order.
    """

    steps: tuple[str, ...]
    wells: tuple[str, ...]

    @property
    def is_shared(self) -> bool:
        """Whether it is more than one step of one well."""
        return len(self.steps) * len(self.wells) > 1

    @property
    def members(self) -> Iterator[tuple[str, str]]:
        """Step and well of everything that it does, in its order."""
        return ((step, well) for well in self.wells for step in self.steps)

    @property
    def benchmark(self) -> str:
        """The path of its measurements, relative to the plate's results."""
        ends = dict.fromkeys((self.wells[0], self.wells[-1]))
        fused = ".fused" if len(self.steps) > 1 else ""
        return benchmark_path(self.steps[-1], f"{'-'.join(ends)}{fused}")


def step_runs(plate: PlatePlan) -> tuple[tuple[str, ...], ...]:
    """Return the steps of each job, in pipeline order."""
    return plate.runs or tuple((plan.step_name,) for plan in plate.steps)


def well_batches(plate: PlatePlan) -> tuple[tuple[str, ...], ...]:
    """Return the wells of each job, in plate order."""
    return plate.batches or tuple((well,) for well in plate.wells)


def job_scopes(plate: PlatePlan) -> Iterator[JobScope]:
    """Yield what each job of a plate does."""
    for run in step_runs(plate):
        for batch in _batches(plate, run):
            yield JobScope(run, batch)


def _batches(plate: PlatePlan, run: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return the wells of each job of some steps; those of one over the plate have one."""
    (first,) = (plan for plan in plate.steps if plan.step_name == run[0])
    return (plate.targets(first),) if first.is_plate_wide else well_batches(plate)


def find_job(plate: PlatePlan, step: str, well: str) -> JobScope:
    """Return what the job of a step and well does."""
    run = next(run for run in step_runs(plate) if step in run)
    return JobScope(run, next(batch for batch in _batches(plate, run) if well in batch))
