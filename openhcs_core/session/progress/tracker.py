"""Follows a run: told of its jobs one by one, says how far it is.

It reads no clock and no file: times are told with each event, in s of one clock.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from openhcs_core.session.progress.estimate import StepLoad, remaining_seconds
from openhcs_core.session.progress.planned import PlannedPlate, PlannedRun
from openhcs_core.session.progress.states import PlateStates
from openhcs_core.session.progress.units import JobUnits, Unit
from openhcs_core.session.progress.view import RunView

_RATE_WINDOW_S = 60.0


@dataclass
class _Job:
    """A job that was announced."""

    units: JobUnits | None
    started: float
    is_running: bool = True


@dataclass
class _Counts:
    done: int = 0
    total: int = 0
    failed: set[int] = field(default_factory=set)
    ended: deque[float] = field(default_factory=deque)


class RunTracker:
    """Knows the state of every unit of a run.

    Without :meth:`plan` it knows of the units whose jobs were announced only, and shows no totals.
    """

    def __init__(self) -> None:
        self._plates: dict[str, PlateStates] = {}
        self._jobs: dict[int, _Job] = {}
        self._starts: dict[int, float] = {}
        self._first: float | None = None
        self._counts = _Counts()

    def plan(self, planned: PlannedRun) -> None:
        """Take over what the run is to do."""
        self._plates = {plate.name: PlateStates(plate) for plate in planned.plates}

    def count(self, done: int, total: int) -> None:
        """Take over the engine's own count of jobs."""
        self._counts.done, self._counts.total = done, total

    def start(self, job_ids: Iterable[int], now: float) -> None:
        """Note that jobs were given to the executor."""
        self._first = now if self._first is None else self._first
        self._starts |= dict.fromkeys(job_ids, now)

    def announce(self, job_id: int, units: JobUnits | None, now: float) -> None:
        """Note what a job is about; None for one that is none of a step's."""
        self._first = now if self._first is None else self._first
        started = self._starts.pop(job_id, now)
        self._jobs[job_id] = _Job(units, started)
        self._counts.failed.discard(job_id)
        for unit in () if units is None else units.units:
            if unit.plate not in self._plates:
                self._plates[unit.plate] = PlateStates(PlannedPlate.unknown(unit.plate))
            self._plates[unit.plate].start(unit, started)

    def finish(self, job_id: int, now: float) -> None:
        """Note that a job is done."""
        for plate, unit, share in self._ended(job_id, now):
            plate.end(unit, share)
        self._counts.ended.append(now)
        while self._counts.ended[0] < now - _RATE_WINDOW_S:
            self._counts.ended.popleft()

    def fail(self, job_id: int, now: float, failed: frozenset[Unit] = frozenset()) -> None:
        """Note that a job failed; when it is tried again it is announced again.

        Parameters
        ----------
        failed : frozenset of Unit
            What of it failed, of a job that does several; all of it when nothing is known.
        """
        self._counts.failed.add(job_id)
        ended = [(plate, unit) for plate, unit, _ in self._ended(job_id, now)]
        for plate, unit in ended:
            plate.fail(unit, is_known=not failed or unit in failed)
        for plate, unit in ended:
            plate.settle(unit)

    def started(self, job_id: int) -> float | None:
        """Return when a job's last attempt started; None for one never heard of."""
        job = self._jobs.get(job_id)
        return None if job is None else job.started

    def units(self, job_id: int) -> JobUnits | None:
        """Return what a job is about, as far as known."""
        job = self._jobs.get(job_id)
        return None if job is None else job.units

    def _ended(self, job_id: int, now: float) -> Iterator[tuple[PlateStates, Unit, float]]:
        """Yield what a running job was about, with what each part took."""
        job = self._jobs.get(job_id)
        if job is None or not job.is_running:
            return
        job.is_running = False
        units = () if job.units is None else job.units.units
        for unit in units:
            yield self._plates[unit.plate], unit, (now - job.started) / len(units)

    @property
    def is_running(self) -> bool:
        """Whether any job is worked on."""
        return any(plate.running for plate in self._plates.values())

    def view(self, now: float) -> RunView:
        """Return how far the run is."""
        elapsed = 0.0 if self._first is None else now - self._first
        counts = self._counts
        return RunView(
            done_jobs=counts.done,
            total_jobs=counts.total,
            running_jobs=sum(plate.running for plate in self._plates.values()),
            failed_jobs=len(counts.failed),
            elapsed_s=elapsed,
            rate_per_s=self._rate(now, elapsed),
            left_s=self._left(now, elapsed),
            plates=tuple(plate.view() for plate in self._plates.values()),
        )

    def _rate(self, now: float, elapsed: float) -> float | None:
        recent = sum(ended >= now - _RATE_WINDOW_S for ended in self._counts.ended)
        return recent / min(elapsed, _RATE_WINDOW_S) if recent and elapsed > 0 else None

    def _left(self, now: float, elapsed: float) -> float | None:
        """Estimate steps of the same name together: plates usually share a pipeline."""
        if any(not plate.is_planned for plate in self._plates.values()):
            return None
        loads: dict[str, list[StepLoad]] = {}
        for plate in self._plates.values():
            for step, load in plate.loads(now):
                loads.setdefault(step, []).append(load)
        return remaining_seconds([_joined(of_step) for of_step in loads.values()], elapsed)


def _joined(loads: list[StepLoad]) -> StepLoad:
    return StepLoad(
        waiting=sum(load.waiting for load in loads),
        running_s=tuple(spent for load in loads for spent in load.running_s),
        finished=sum(load.finished for load in loads),
        busy_s=sum(load.busy_s for load in loads),
        predicted_s=next((load.predicted_s for load in loads if load.predicted_s), None),
    )
