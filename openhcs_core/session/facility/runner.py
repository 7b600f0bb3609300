"""Snakemakes, one a plate or one for all: some at once, the others when these have ended."""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.errors import EXIT_STOPPED
from openhcs_core.session.child_runs import ChildRun, stop
from openhcs_core.session.facility.checks import CheckedPlate
from openhcs_core.session.facility.outcomes import (
    ChildOutcome,
    Outcome,
    dry_outcome,
    found_nothing,
    read_log,
    read_outcome,
)
from openhcs_core.session.run_claim import (
    CHANGED_MEANWHILE,
    WAIT_FOR_IT,
    find_last_run,
    find_owner,
    is_signed_by,
)
from openhcs_core.session.snakemake_arguments import snakemake_command

RUN_FOLDER = ".run"
"""Below the results folder: what each snakemake said."""
_POLL_S = 0.2
_BUSY_POLL_S = 5.0


@dataclass(frozen=True)
class FacilityOptions:
    """How plates are run.

    Attributes
    ----------
    config, snakefile, results : str
        As everywhere.
    arguments : tuple of str
        For each snakemake.
    at_once : int
        Snakemakes that run at a time.
    is_dry_run : bool
        They say what they would do.
    is_part : bool
        The arguments ask for a part of what is to do.
    """

    config: str
    snakefile: str
    results: str
    arguments: tuple[str, ...] = ()
    at_once: int = 1
    is_dry_run: bool = False
    is_part: bool = False


@dataclass(frozen=True)
class Task:
    """One snakemake.

    Attributes
    ----------
    plates : tuple of CheckedPlate
        What it does.
    is_of_one : bool
        It does one plate of the config, beside others; else all at once.
    """

    plates: tuple[CheckedPlate, ...]
    is_of_one: bool = True

    @property
    def name(self) -> str:
        """For messages and logs."""
        return self.plates[0].name if self.is_of_one else f"{len(self.plates)} plates"


def cut_tasks(plates: Sequence[CheckedPlate], config_count: int, most_jobs: int) -> list[Task]:
    """Return one task for all plates of a config when its jobs are few, else one a plate.

    Parameters
    ----------
    config_count : int
        Plates that the config has: fewer than these are never done together.
    """
    good = [plate for plate in plates if plate.error is None]
    is_whole = 1 < len(good) == config_count
    if is_whole and sum(plate.jobs for plate in good) <= most_jobs:
        return [Task(tuple(good), is_of_one=False)]
    return [Task((plate,)) for plate in good]


@dataclass
class _Started:
    task: Task
    run: ChildRun
    log: str
    log_start: int
    since: float


class FacilityRun:
    """Runs tasks to their end, whatever comes of any of them.

    Parameters
    ----------
    options : FacilityOptions
        How.
    tasks : sequence of Task
        What, in order.
    say : callable
        Is told of a plate's name, what happens to it, and details.
    """

    def __init__(
        self,
        options: FacilityOptions,
        tasks: Sequence[Task],
        say: Callable[[str, str, str], None],
    ) -> None:
        self._options, self._say = options, say
        self._waiting = list(tasks)
        self._started: list[_Started] = []
        self._told_busy: set[str] = set()
        self._looked_s = 0.0

    def outcomes(self) -> Generator[list[Outcome], None, None]:
        """Yield what came of the plates of each snakemake that has ended.

        An exception that is raised here, such as KeyboardInterrupt, ends what runs first.
        """
        try:
            while self._waiting or self._started:
                self._fill()
                ended = [one for one in self._started if one.run.poll() is not None]
                for one in ended:
                    found = self._read(one, one.run.poll() or 0)
                    self._started.remove(one)
                    yield found
                if not ended:
                    time.sleep(_POLL_S)
        finally:
            stop([one.run for one in self._started])

    def unfinished(self) -> list[Outcome]:
        """Return the plates that had not ended when this was interrupted."""
        running = [
            Outcome(plate.name, "stopped", plate.wells, jobs=plate.jobs, exit_code=EXIT_STOPPED)
            for one in self._started
            for plate in one.task.plates
        ]
        waiting = [
            Outcome(plate.name, "waiting", plate.wells, jobs=plate.jobs, exit_code=EXIT_STOPPED)
            for task in self._waiting
            for plate in task.plates
        ]
        return running + waiting

    def _fill(self) -> None:
        """Start what may be: plates that others work on wait until these have ended."""
        if len(self._started) >= self._options.at_once or not self._waiting:
            return
        if time.monotonic() < self._looked_s + (_BUSY_POLL_S if self._told_busy else 0):
            return
        for task in list(self._waiting):
            if len(self._started) >= self._options.at_once:
                return
            if not self._is_busy(task):
                self._waiting.remove(task)
                self._start(task)
        self._looked_s = time.monotonic()

    def _is_busy(self, task: Task) -> bool:
        if self._options.is_dry_run:  # it may look on
            return False
        results = Path(self._options.results)
        for plate in task.plates:
            if find_last_run(results, plate.name).is_live:
                if task.name not in self._told_busy:
                    self._told_busy.add(task.name)
                    owner = find_owner(results, plate.name)
                    self._say(task.name, "waits", f"another run ({owner}) works on it")
                return True
        self._told_busy.discard(task.name)
        return False

    def _start(self, task: Task) -> None:
        options = self._options
        folder = f"{options.results}/{RUN_FOLDER}"
        log = f"{folder}/plates/{task.name}.log" if task.is_of_one else f"{folder}/all.log"
        plate = task.name if task.is_of_one else None
        command = snakemake_command(options.snakefile, options.arguments, options.config, plate)
        log_start = Path(log).stat().st_size if Path(log).exists() else 0
        run = ChildRun(command, Path(log))
        self._started.append(_Started(task, run, log, log_start, time.monotonic()))
        self._say(task.name, "running", f"log {log}")

    def _read(self, one: _Started, code: int) -> list[Outcome]:
        """Return what came of plates; nothing of those that wait for another run now."""
        if code and not self._options.is_dry_run and self._gave_way(one):
            self._waiting.append(one.task)
            self._told_busy.add(one.task.name)
            self._say(one.task.name, "waits", "another run was there first")
            return []
        child = ChildOutcome(
            code,
            time.monotonic() - one.since,
            one.log,
            one.task.is_of_one,
            is_part=self._options.is_part,
            found_nothing=found_nothing(one.log, one.log_start),
        )
        if self._options.is_dry_run:
            return [dry_outcome(one.task.plates, child, one.log_start)]
        return [read_outcome(self._options.config, plate, child) for plate in one.task.plates]

    def _gave_way(self, one: _Started) -> bool:
        """Return whether a snakemake ended because another began with its plates before it."""
        plate = one.task.plates[0].name
        if is_signed_by(Path(self._options.results), plate, one.run.process):
            return False
        said = read_log(one.log, one.log_start)
        return any(words.encode() in said for words in (CHANGED_MEANWHILE, WAIT_FOR_IT))
