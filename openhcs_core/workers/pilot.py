"""The pilot's side: jobs that a main process on another node sends are done by workers of here.

A pilot has a pool of workers as a main process has one, so a job finds there what it finds in a
worker on the main process's own computer, and one that crashes takes nothing else with it.
"""

import os
import socket
import threading
import time
from pathlib import Path

from openhcs_core import __version__
from openhcs_core.config import (
    PILOT_VARIABLE,
    FrozenModel,
    given_gpus,
    pilot_started,
    slurm_job,
)
from openhcs_core.errors import EXIT_STOPPED, WorkerLostError
from openhcs_core.workers.messages import Outcome, Task
from openhcs_core.workers.policy import Need, WorkerLimits
from openhcs_core.workers.pool import WorkerPool

UNSEEN_S = 60.0
"""A pilot that does not hear of its main process for so long takes it for dead."""
_LOOK_S = 0.02
DASK_CONFIG_VARIABLE = "DASK_CONFIG"
DASK_CONFIG_NAME = "openhcs-pilots.yaml"
"""The file of settings for the transport that a pilot's script names."""


class PilotTask(FrozenModel):
    """One job for a pilot.

    Attributes
    ----------
    need : Need
        What it asks of a worker.
    task : Task
        Its environment is what the main process sets beside what the node has.
    limit_s : float or None
        How long it may take.
    """

    need: Need
    task: Task
    limit_s: float | None = None


class PilotAnswer(FrozenModel):
    """What became of it: an outcome, or why the process that did it is gone."""

    outcome: Outcome | None = None
    lost: str = ""
    exit_code: int = 0


class PilotFacts(FrozenModel):
    """What a pilot says of itself when it joins a run.

    Attributes
    ----------
    host : str
        Its node.
    slurm_job : str or None
        The job that it is.
    age_s : float or None
        How long that has been running, None where its script did not say when it began.
    gpus : tuple of str or None
        Which GPUs it was given, None where nobody said.
    """

    version: str
    host: str
    pid: int
    slurm_job: str | None = None
    age_s: float | None = None
    gpus: tuple[str, ...] | None = None


class Pilot:
    """Does jobs for one main process.

    Parameters
    ----------
    limits : WorkerLimits
        Of its workers.
    """

    def __init__(self, limits: WorkerLimits) -> None:
        self._pool = WorkerPool(limits)
        self._lock = threading.Lock()
        self._begun: set[str] = set()
        self._now: str | None = None
        self._is_closed = False
        self.see()

    def do(self, key: str, text: str) -> str:
        """Do a job, as JSON both ways.

        Parameters
        ----------
        key : str
            Names this attempt. It begins once, whatever the transport decides to repeat.
        """
        refusal = self._begin(key)
        if refusal is not None:
            return refusal.model_dump_json()
        try:
            answer = self._answer(PilotTask.model_validate_json(text))
        finally:
            with self._lock:
                self._now = None
        return answer.model_dump_json()

    def _begin(self, key: str) -> PilotAnswer | None:
        with self._lock:
            if self._is_closed:
                return PilotAnswer(lost="the pilot is about to end", exit_code=EXIT_STOPPED)
            if key in self._begun:
                return PilotAnswer(lost="the job was already begun here", exit_code=EXIT_STOPPED)
            self._begun.add(key)
            self._now = key
        return None

    def _answer(self, message: PilotTask) -> PilotAnswer:
        task = message.task
        task = task.model_copy(update={"environment": {**_environment(), **task.environment}})
        try:
            outcome = self._pool.do(message.need, task, message.limit_s)
        except WorkerLostError as error:
            return PilotAnswer(lost=f"{error}; on {where()}", exit_code=error.exit_code)
        return PilotAnswer(outcome=outcome)

    def see(self) -> None:
        """Take note that the main process lives."""
        self._seen_s = time.monotonic()

    def end_unseen(self, unseen_s: float = UNSEEN_S) -> None:
        """End all workers, busy or not, when the main process was not heard of for so long."""
        if time.monotonic() - self._seen_s > unseen_s:
            with self._lock:
                self._pool.kill()

    def close(self) -> None:
        """End all workers at once, busy or not; begin no other job."""
        with self._lock:
            self._is_closed = True
        while self._now is not None:  # also one that is only about to start its worker
            self._pool.kill()
            time.sleep(_LOOK_S)
        self._pool.close()


def facts() -> PilotFacts:
    """Return what this process is."""
    started, given = pilot_started(), given_gpus()
    return PilotFacts(
        version=__version__,
        host=socket.gethostname(),
        pid=os.getpid(),
        slurm_job=slurm_job(),
        age_s=None if started is None else max(0.0, time.time() - started),
        gpus=None if given is None else given.names,
    )


def where() -> str:
    """Return where this process is, for messages."""
    job = slurm_job()
    return socket.gethostname() + (f" (Slurm job {job})" if job else "")


def _environment() -> dict[str, str]:
    """Return what the node and its scheduler set, without what a pilot's script adds."""
    hidden = {PILOT_VARIABLE}
    if Path(os.environ.get(DASK_CONFIG_VARIABLE, "")).name == DASK_CONFIG_NAME:
        hidden.add(DASK_CONFIG_VARIABLE)
    return {name: value for name, value in os.environ.items() if name not in hidden}
