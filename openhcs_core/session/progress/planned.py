"""What a run is to do, told once when it starts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from openhcs_core.plan import CompiledPipeline, PlatePlan, StepPlan, taken_files
from openhcs_core.session.progress.units import units_of


class NeededJob(Protocol):
    """A job that the workflow engine found to be needed."""

    @property
    def output(self) -> Sequence[str]:
        """The files it writes."""

    @property
    def log(self) -> Sequence[str]:
        """Its log files."""


@dataclass(frozen=True)
class PlannedPlate:
    """A plate, and what this run does of it.

    Attributes
    ----------
    wells : tuple of str
        All of them, in plate order.
    steps : tuple of str
        All of them, in pipeline order.
    sources : dict
        Step to the steps it reads anything of.
    todo : dict
        Step to the wells, tables and stores that this run does.
    plate_wide : frozenset of str
        Steps that are done for all wells at once.
    predicted_s : dict
        Step to what a well was predicted to take, where anything was.
    """

    name: str
    wells: tuple[str, ...]
    steps: tuple[str, ...]
    sources: Mapping[str, frozenset[str]]
    todo: Mapping[str, tuple[str, ...]]
    plate_wide: frozenset[str] = frozenset()
    predicted_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def touched(self) -> frozenset[str]:
        """The wells that the run does anything of."""
        targets = {target for targets in self.todo.values() for target in targets}
        return frozenset(self.wells) & targets

    @classmethod
    def unknown(cls, name: str) -> "PlannedPlate":
        """Return a plate of which nothing was told before its first job."""
        return cls(name=name, wells=(), steps=(), sources={}, todo={})


@dataclass(frozen=True)
class PlannedRun:
    """All plates of a run."""

    plates: tuple[PlannedPlate, ...] = ()

    def describe(self) -> str:
        """Return what the run does of which plates."""
        plates = [
            f"{len(plate.touched)} of {len(plate.wells)} wells of plate {plate.name!r}"
            for plate in self.plates
            if plate.touched
        ]
        return f"This run: {', '.join(plates) or 'no wells'}"


def plan_run(compiled: CompiledPipeline, jobs: Iterable[NeededJob]) -> PlannedRun:
    """Return what of the compiled plates is done by the jobs of a run.

    Parameters
    ----------
    compiled : CompiledPipeline
        All plates.
    jobs : iterable of NeededJob
        Those that the run does.
    """
    todo: dict[tuple[str, str], list[str]] = {}
    for job in jobs:
        known = units_of(job.output, job.log)
        for unit in () if known is None else known.units:
            todo.setdefault((unit.plate, unit.step), []).append(unit.target)
    return PlannedRun(tuple(_plan_plate(plate, todo) for plate in compiled.plates))


def _plan_plate(plate: PlatePlan, todo: Mapping[tuple[str, str], list[str]]) -> PlannedPlate:
    steps = tuple(plan.step_name for plan in plate.steps)
    return PlannedPlate(
        name=plate.name,
        wells=plate.wells,
        steps=steps,
        sources={plan.step_name: frozenset(filter(None, _sources(plan))) for plan in plate.steps},
        todo={
            step: tuple(sorted(todo.get((plate.name, step), ()), key=_order(plate)))
            for step in steps
        },
        plate_wide=frozenset(plan.step_name for plan in plate.steps if plan.is_plate_wide),
        predicted_s={step: took.cpu_s for step, took in plate.predictions.items()},
    )


def _sources(plan: StepPlan) -> tuple[str | None, ...]:
    """Return the steps that a step reads anything of."""
    return (*taken_files(plan), *(table.step for table in plan.tables), plan.source)


def _order(plate: PlatePlan) -> Callable[[str], tuple[int, str]]:
    """Return what sorts wells in plate order, and everything else after them."""
    places = {well: number for number, well in enumerate(plate.wells)}
    return lambda target: (places.get(target, len(places)), target)
