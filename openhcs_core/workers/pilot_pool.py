"""Warm workers on the nodes of a cluster: one queue here, at most one job a pilot at a time."""

import itertools
import logging
import os
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from openhcs_core.config import FrozenModel
from openhcs_core.errors import EXIT_STOPPED, WorkerLostError
from openhcs_core.workers.dask_transport import DaskTransport, DaskWorker, connect, need_dask
from openhcs_core.workers.messages import Outcome, Task
from openhcs_core.workers.pilot import UNSEEN_S, PilotAnswer, PilotFacts, PilotTask
from openhcs_core.workers.pilot_book import FAILED_STARTS, PilotBook
from openhcs_core.workers.pilot_policy import Ask, PilotLimits, Shape
from openhcs_core.workers.policy import Need, WorkerLimits
from openhcs_core.workers.pool import PoolSummary
from openhcs_core.workers.slurm_pilots import (
    ControllerAwayError,
    SlurmPilots,
    SlurmSettings,
    SubmitError,
)
from openhcs_core.workers.threads import TEMPORARY_VARIABLES, THREAD_VARIABLES

logger = logging.getLogger(__name__)
_LOOK_S = 0.5
_ASK_SLURM_S = 5.0
_SEE_S = UNSEEN_S / 12
_AWAY_S = 10.0
_OUT_OF_REACH_S = 60.0
_TAKEN_ALONG = ("OPENHCS_", "DASK_")


class PilotSettings(FrozenModel):
    """Where the workers of a run are.

    Attributes
    ----------
    scheduler : str or None
        Address of a Dask scheduler whose workers do the jobs; None asks Slurm for pilots.
    limits : PilotLimits
        How many of them; no numbers with `scheduler`.
    slurm : SlurmSettings
        How to ask.
    folder : Path
        For what pilots need to know: all nodes see it.
    """

    scheduler: str | None = None
    limits: PilotLimits = PilotLimits()
    slurm: SlurmSettings = SlurmSettings()
    folder: Path = Path(".snakemake/openhcs-pilots")


@dataclass
class _Ticket:
    """A job that waits; `pilot` or `error` is there when `is_settled` is set."""

    is_settled: threading.Event = field(default_factory=threading.Event)
    pilot: str = ""
    error: WorkerLostError | None = None

    def settle(self, pilot: str = "", error: WorkerLostError | None = None) -> None:
        self.pilot, self.error = pilot, error
        self.is_settled.set()


class PilotPool:
    """Does jobs on pilots; to be used from several threads.

    Parameters
    ----------
    settings : PilotSettings
        Which pilots. They are asked for when jobs need them.
    limits : WorkerLimits
        Of the processes that each of them has.

    Raises
    ------
    ConfigError
        Dask is not installed.
    """

    def __init__(self, settings: PilotSettings, limits: WorkerLimits) -> None:
        need_dask()
        self._settings = settings
        self._worker_limits = limits
        self._run = f"openhcs-{os.urandom(4).hex()}"
        self._book = PilotBook(settings.limits)
        self._lock = threading.RLock()
        self._tickets: dict[int, _Ticket] = {}
        self._numbers = itertools.count(1)
        self._jobs: dict[str, str] = {}  # pilot → its Slurm job
        self._addresses: dict[str, str] = {}  # pilot → Dask address
        self._refused: dict[str, str] = {}  # Dask address → why
        self._slurm: SlurmPilots | None = None
        self._transport: DaskTransport | None = None
        self._watcher: threading.Thread | None = None
        self._is_closing = threading.Event()
        self._fatal: WorkerLostError | None = None
        self._slurm_s = self._answer_s = self._away_s = self._seen_s = time.monotonic()
        self.summary = PoolSummary(what="pilots")

    def do(self, need: Need, task: Task, limit_s: float | None) -> Outcome:
        """Do a task on a pilot that fits.

        Parameters
        ----------
        need : Need
            What it asks of a pilot.
        limit_s : float or None
            How long it may take once it has begun.

        Raises
        ------
        WorkerLostError
            The pilot, or the job's process there, is gone, or there is no pilot to be had.
        """
        transport = self._open()
        number = next(self._numbers)
        name = self._wait(Ask(number, need, limit_s or 0.0, time.monotonic()))
        message = PilotTask(need=need, task=_for_a_node(task), limit_s=limit_s)
        try:
            text = transport.do(
                self._addresses[name], f"{self._run}-{number}", message.model_dump_json()
            )
        except WorkerLostError as error:
            raise self._lost(name, error) from error
        answer = PilotAnswer.model_validate_json(text)
        self._done(name, need, answer.outcome)
        if answer.outcome is None:
            if self._fatal is not None:  # the run is being stopped
                raise self._fatal
            raise WorkerLostError(answer.lost, answer.exit_code)
        return answer.outcome

    def stop(self) -> None:
        """Let all jobs end at once: a person stops the run."""
        with self._lock:
            self._fail_all(WorkerLostError("the run was stopped", EXIT_STOPPED))
            addresses = list(self._addresses.values())
        if self._transport is not None:
            self._transport.leave(addresses)

    def close(self) -> None:
        """Let the pilots go."""
        self._is_closing.set()
        if self._watcher is not None:
            self._watcher.join()
        if self._slurm is not None:
            self._slurm.close()
        elif self._transport is not None:
            self._transport.leave(self._addresses.values())
            self._transport.close()

    def _open(self) -> DaskTransport:
        """Return the connection; the first job makes it."""
        with self._lock:
            if self._fatal is not None:
                raise self._fatal
            if self._transport is None:
                settings, limits = self._settings, self._worker_limits
                if settings.scheduler is None:
                    self._slurm = SlurmPilots(settings.folder.absolute(), settings.slurm, limits)
                    self._transport = self._slurm.transport
                else:
                    self._transport = self._connect(settings.scheduler)
                self._watcher = threading.Thread(target=self._watch, daemon=True)
                self._watcher.start()
            return self._transport

    def _connect(self, address: str) -> DaskTransport:
        try:
            return connect(address, self._run, self._worker_limits)
        except WorkerLostError as error:
            self._fatal = error  # the other jobs need not try
            raise

    def _wait(self, ask: Ask) -> str:
        """Wait until a pilot is to do a job; return which."""
        ticket = _Ticket()
        with self._lock:
            if self._fatal is not None:
                raise self._fatal
            self._book.wait(ask)
            self._tickets[ask.number] = ticket
            self._begin()
        ticket.is_settled.wait()
        if ticket.error is not None:
            raise ticket.error
        return ticket.pilot

    def _begin(self) -> None:
        for number, name in self._book.begin(time.monotonic()).items():
            self._tickets.pop(number).settle(pilot=name)

    def _done(self, name: str, need: Need, outcome: Outcome | None) -> None:
        with self._lock:
            self.summary.jobs += 1
            if outcome is not None:
                self.summary.planes_held += outcome.planes_held
                self.summary.planes_read += outcome.planes_read
                self.summary.bytes_held += outcome.bytes_held
            self._book.done(name, need, time.monotonic())
            self._begin()

    def _lost(self, name: str, error: WorkerLostError) -> WorkerLostError:
        """Take note of a pilot that is gone; return what to say of its job."""
        with self._lock:
            self.summary.jobs += 1
            self._forget(name)
            if self._fatal is not None:
                return self._fatal
        if self._slurm is not None and name in self._jobs:  # should Dask be wrong, it ends now
            self._slurm.stop(self._jobs.pop(name))
        facts = self._book.facts[name]
        job = f" (Slurm job {facts.slurm_job})" if facts.slurm_job else ""
        text = (
            f"the pilot on {facts.host}{job} ended while it did the job: its node failed, it was "
            "cancelled, or memory ran out (then let the job ask for more: resources.mem_mb)"
        )
        return WorkerLostError(text, error.exit_code)

    def _forget(self, name: str) -> None:
        if self._book.left(name):
            self.summary.lost += 1

    def _fail(self, number: int, text: str) -> None:
        self._book.forget(number)
        self._tickets.pop(number).settle(error=WorkerLostError(text, 1))

    def _fail_all(self, error: WorkerLostError) -> None:
        """Let no job wait any more, now or later."""
        self._fatal = error
        for number in self._book.waiting():
            self._fail(number, str(error))

    def _watch(self) -> None:
        """Keep up with the cluster until the run ends; let no job wait for what nobody does."""
        try:
            self._keep_up()
        finally:
            if not self._is_closing.is_set():
                text = "defect of openhcs-core: nobody keeps up with the pilots any more"
                with self._lock:
                    self._fail_all(WorkerLostError(text, 1))

    def _keep_up(self) -> None:
        while not self._is_closing.wait(_LOOK_S):
            try:
                self._look_at_dask()
            except (OSError, TimeoutError) as error:
                if time.monotonic() - self._answer_s > _OUT_OF_REACH_S:
                    text = f"the Dask scheduler is out of reach: {error}"
                    with self._lock:
                        self._fail_all(WorkerLostError(text, 1))
                continue
            self._answer_s = time.monotonic()
            if self._slurm is not None and self._answer_s > self._away_s:
                try:
                    self._look_at_slurm(self._slurm)
                except ControllerAwayError as error:
                    self._away_s = time.monotonic() + _AWAY_S
                    logger.warning("Slurm does not answer, and is asked again: %s", error)
            with self._lock:
                self._give_up_overdue()
                self._begin()

    def _look_at_dask(self) -> None:
        """Take in pilots that have come, and take note of those that are gone."""
        assert self._transport is not None
        workers = self._transport.workers()
        known = set(self._addresses.values()) | set(self._refused)
        new = {address: worker for address, worker in workers.items() if address not in known}
        answers = self._transport.join(new)
        if time.monotonic() - self._seen_s > _SEE_S:
            self._seen_s = time.monotonic()
            self._transport.see(known & set(workers))
        with self._lock:
            for name, address in list(self._addresses.items()):
                if address not in workers:
                    self._forget(name)
                    del self._addresses[name]
            for address, answer in answers.items():
                self._take_in(new[address], answer)
            self._begin()  # before more pilots are asked for

    def _take_in(self, worker: DaskWorker, answer: PilotFacts | str) -> None:
        if isinstance(answer, str):
            self._refused[worker.address] = answer
            logger.warning("the worker at %s does no jobs: %s", worker.address, answer)
            return
        name = worker.name if self._slurm is not None else worker.address
        if self._slurm is not None and name not in self._jobs:
            self._refused[worker.address] = "it was given back before it came"
            return
        self.summary.started += 1
        self._addresses[name] = worker.address
        self._book.came(name, Shape(worker.cores, worker.gpus), answer, time.monotonic())

    def _look_at_slurm(self, slurm: SlurmPilots) -> None:
        now_s = time.monotonic()
        if self._book.are_coming and now_s - self._slurm_s > _ASK_SLURM_S:
            self._slurm_s = now_s
            self._note_ended(slurm)
        with self._lock:
            decided = self._book.changes(time.monotonic())
            for name in decided.stop:
                self._book.left(name)
        for name in decided.stop:
            slurm.stop(self._jobs.pop(name))
        for number, shape in decided.start:
            self._start(slurm, number, shape)

    def _note_ended(self, slurm: SlurmPilots) -> None:
        """Take note of pilots whose Slurm job has ended before they came."""
        coming = self._book.are_coming
        states = slurm.states()
        ended = [name for name in coming if self._jobs[name] not in states]
        with self._lock:
            for name in ended:
                if name in self._book.are_coming and self._book.never_came(name):
                    self._fail_all(WorkerLostError(slurm.never_came(FAILED_STARTS), 1))
                    return

    def _start(self, slurm: SlurmPilots, number: int, shape: Shape) -> None:
        name = f"pilot-{next(self._numbers)}"
        try:
            self._jobs[name] = slurm.start(name, shape)
        except SubmitError as error:
            with self._lock:
                if number in self._tickets:
                    self._fail(number, str(error))
            return
        with self._lock:
            self._book.asked(name, shape, time.monotonic())

    def _give_up_overdue(self) -> None:
        for ask in self._book.overdue(time.monotonic()):
            text = self._book.no_pilot(ask)
            if self._refused:
                text += f"; workers that do no jobs: {'; '.join(set(self._refused.values()))}"
            if self._slurm is not None:
                text += f"; Slurm says of pilots: {self._slurm_says(self._slurm)}"
            self._fail(ask.number, text)

    def _slurm_says(self, slurm: SlurmPilots) -> str:
        try:
            return ", ".join(sorted(set(slurm.states().values()))) or "there are none"
        except ControllerAwayError as error:
            return str(error)


def _for_a_node(task: Task) -> Task:
    """Return a task with those variables that are the run's and not this computer's."""
    here = tempfile.gettempdir()
    kept = {
        name: value
        for name, value in task.environment.items()
        if name.startswith(_TAKEN_ALONG)
        or name in THREAD_VARIABLES
        or (name in TEMPORARY_VARIABLES and value != here)
    }
    return task.model_copy(update={"environment": kept})
