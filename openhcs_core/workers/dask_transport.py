"""Brings jobs to the workers of a Dask cluster that it names, and says which there are.

Dask carries messages and nothing more: which job goes where, and when, is not its to decide.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from openhcs_core import __version__
from openhcs_core.errors import ConfigError, WorkerLostError
from openhcs_core.workers.pilot import PilotFacts
from openhcs_core.workers.policy import WorkerLimits

_GPU_RESOURCES = ("GPU", "gpu")
_PILOT_GONE = 143
"""The exit code of a job whose pilot is gone: that of a process that was told to end."""
_CONNECT_S = 30


@dataclass(frozen=True)
class DaskWorker:
    """A worker as the scheduler knows it."""

    address: str
    name: str
    cores: int
    gpus: int


def need_dask() -> None:
    """Check that Dask is installed, and dask-jobqueue with it.

    Raises
    ------
    ConfigError
        They are not.
    """
    try:
        import cryptography
        import dask_jobqueue
        import distributed
    except ImportError as error:
        text = (
            f"workers on a cluster need Dask, and {error.name} is not installed: "
            "pip install 'openhcs-core[slurm]'"
        )
        raise ConfigError(text) from error
    del cryptography, dask_jobqueue, distributed


class DaskTransport:
    """A connection to a scheduler.

    Parameters
    ----------
    client : distributed.Client
        Is closed with this.
    run : str
        Names the run among others on the same cluster.
    limits : WorkerLimits
        Of the processes that each pilot has.
    """

    def __init__(self, client: Any, run: str, limits: WorkerLimits) -> None:
        self._client = client
        self._run = run
        self._limits = limits.model_dump_json()

    def workers(self) -> dict[str, DaskWorker]:
        """Return the workers that there are, by address."""
        # not scheduler_info(): another thread of the client may put a list without workers there
        found = self._client.sync(self._client.scheduler.identity)["workers"]
        return {
            address: _read_worker(address, told)
            for address, told in found.items()
            if told.get("status", "running") == "running"
        }

    def join(self, addresses: Iterable[str]) -> dict[str, PilotFacts | str]:
        """Let workers do jobs of this run; return what they are, or why they cannot."""
        from openhcs_core.workers.dask_side import join

        answers = self._call(join, addresses, self._limits)
        return {address: _read_facts(answer) for address, answer in answers.items()}

    def do(self, address: str, key: str, text: str) -> str:
        """Let one worker do a job, and wait for the answer.

        Raises
        ------
        WorkerLostError
            The worker is gone.
        """
        from openhcs_core.workers.dask_side import do_job

        answer = self._call(do_job, [address], key, text)[address]
        if isinstance(answer, OSError | TimeoutError | KeyError):
            raise _lost(address) from answer
        if isinstance(answer, BaseException):
            raise answer
        return str(answer)

    def see(self, addresses: Iterable[str]) -> None:
        """Let workers know that this process lives."""
        from openhcs_core.workers.dask_side import see

        self._call(see, addresses)

    def leave(self, addresses: Iterable[str]) -> None:
        """Let workers end what they do for this run, and forget it."""
        from openhcs_core.workers.dask_side import leave

        with suppress(OSError, TimeoutError):  # the cluster is gone already
            self._call(leave, addresses)

    def _call(self, function: Any, addresses: Iterable[str], *arguments: str) -> dict[str, Any]:
        """Call a function on workers; return what each gives or raises."""
        there = list(addresses)
        if not there:
            return {}
        found: dict[str, Any] = self._client.run(
            function, self._run, *arguments, workers=there, on_error="return"
        )
        return found

    def close(self) -> None:
        """End the connection."""
        with suppress(OSError, TimeoutError):
            self._client.close(timeout=5)


def connect(address: str, run: str, limits: WorkerLimits) -> DaskTransport:
    """Return a connection to a scheduler that others have started.

    Raises
    ------
    WorkerLostError
        There is none.
    """
    import distributed

    try:
        client = distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        text = (
            f"no Dask scheduler answers at {address} ({error}); see --openhcs-scheduler, and for "
            "TLS the keys distributed.comm.tls of Dask's own configuration"
        )
        raise WorkerLostError(text, 1) from error
    return DaskTransport(client, run, limits)


def _read_worker(address: str, told: dict[str, Any]) -> DaskWorker:
    resources = told.get("resources") or {}
    gpus = max((int(resources.get(name, 0)) for name in _GPU_RESOURCES), default=0)
    return DaskWorker(address, str(told.get("name", address)), int(told.get("nthreads", 1)), gpus)


def _read_facts(answer: object) -> PilotFacts | str:
    if not isinstance(answer, str):
        return f"{type(answer).__name__}: {answer}"
    facts = PilotFacts.model_validate_json(answer)
    if facts.version != __version__:
        return f"it has openhcs-core {facts.version} where the main process has {__version__}"
    return facts


def _lost(address: str) -> WorkerLostError:
    return WorkerLostError(f"the pilot at {address} ended while it did the job", _PILOT_GONE)
