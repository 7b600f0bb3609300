"""What of a run's events is said in words, and when: the rest is seen in counts alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from openhcs_core.session.progress.failed_jobs import describe_failure, is_about_command
from openhcs_core.session.progress.lines import describe_dry_run, describe_reasons
from openhcs_core.session.progress.planned import PlannedRun
from openhcs_core.session.progress.tracker import RunTracker
from openhcs_core.session.progress.units import Unit, units_of
from openhcs_core.session.progress.view import RunView

_SHOWN_FAILURES = 20
_HELD_S = 5.0
"""How long a message waits for the event that says which job it is about."""


class RunReporter:
    """Follows a run and returns what is to be said of it.

    A job that fails is said with the reason it recorded, in place of the engine's description
    of job and command. All else that the engine calls an error is said as it is. Times are
    told with each event, in s since the epoch.
    """

    def __init__(self) -> None:
        self._tracker = RunTracker()
        self._held: dict[str, float] = {}
        self._said = 0
        self._would_run: list[tuple[Unit, str]] = []

    def plan(self, planned: PlannedRun) -> None:
        """Take over what the run is to do."""
        self._tracker.plan(planned)

    def count(self, done: int, total: int) -> None:
        """Take over the engine's count of jobs."""
        self._tracker.count(done, total)

    def start(self, job_ids: Iterable[int], now: float) -> None:
        """Note that jobs were given to the executor."""
        self._tracker.start(job_ids, now)

    def announce(
        self, job_id: int, outputs: Sequence[str], logs: Sequence[str], now: float
    ) -> None:
        """Note what a job is about."""
        self._tracker.announce(job_id, units_of(outputs, logs), now)

    def foresee(self, rule: str, outputs: Sequence[str], logs: Sequence[str], reason: str) -> None:
        """Note that a job would run, in a dry run."""
        known = units_of(outputs, logs)
        units = [Unit("", rule, "")] if known is None else known.units
        self._would_run += [(unit, describe_reasons(reason)) for unit in units]

    def foreseen(self) -> Iterator[str]:
        """Yield what would run, then forget it."""
        yield from describe_dry_run(unit for unit in self._would_run if unit[0].plate)
        self._would_run = []

    def finish(self, job_id: int, now: float) -> None:
        """Note that a job is done."""
        self._tracker.finish(job_id, now)

    def fail(
        self, job_id: int, command: str, now: float, describe: Callable[[], str]
    ) -> Iterator[str]:
        """Yield why a job failed.

        Parameters
        ----------
        job_id : int
            The job.
        command : str
            What it ran, as messages of the engine have it.
        now : float
            When it failed.
        describe : callable
            Gives the engine's own description, for a job that recorded nothing.
        """
        units, started = self._tracker.units(job_id), self._tracker.started(job_id)
        found = {} if units is None or started is None else dict(describe_failure(units, started))
        self._tracker.fail(job_id, now, frozenset(found))
        said = [*found.values()]
        mine = [text for text in self._held if is_about_command(text, command)]
        for text in mine:
            del self._held[text]
        yield from self._bounded(said) if said else [*mine, describe()]

    def _bounded(self, said: list[str]) -> Iterator[str]:
        """Yield the first failures of a run in words, then that there are more."""
        for line in said:
            self._said += 1
            if self._said <= _SHOWN_FAILURES:
                yield line
            elif self._said == _SHOWN_FAILURES + 1:
                yield "more failures are only counted here; openhcs-core status lists them all"

    def hold(self, text: str, now: float) -> None:
        """Keep an error's text until it is known whether a job's failure explains it."""
        self._held[text] = now

    def overdue(self, now: float) -> Iterator[str]:
        """Yield errors that no job's failure has explained in time."""
        for text in [text for text, at in self._held.items() if now - at > _HELD_S]:
            del self._held[text]
            yield text

    @property
    def is_running(self) -> bool:
        """Whether any job is worked on."""
        return self._tracker.is_running

    def view(self, now: float) -> RunView:
        """Return how far the run is."""
        return self._tracker.view(now)
