"""Pilots as Slurm jobs: a scheduler in this process, scripts by dask-jobqueue, and what is left."""

import logging
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Self

from openhcs_core.config import GPU_VARIABLES, PILOT_VARIABLE, FrozenModel
from openhcs_core.runtime import RunLock
from openhcs_core.workers.dask_transport import DaskTransport
from openhcs_core.workers.pilot import DASK_CONFIG_NAME, DASK_CONFIG_VARIABLE
from openhcs_core.workers.pilot_policy import Shape
from openhcs_core.workers.policy import WorkerLimits

logger = logging.getLogger(__name__)
_NAME = "openhcs-pilots-"
_LOCK, _KEY, _CERTIFICATE, _LOGS = "lock", "key.pem", "certificate.pem", "logs"
_COMMAND_S = 60
_DEATH_S = 60
"""A pilot that does not reach the main process for so long ends."""
_AWAY = ("unable to contact slurm controller", "socket timed out", "connection refused")
_LAST_LINES = 10
_NOT_THEIRS = ("SLURM_", "DASK_")
_PILOT_CONFIG = """\
# what Dask's own files may say otherwise, and must not where jobs write results
distributed:
  worker:
    lifetime: {duration: null, restart: false} # the queue knows when a pilot ends
    memory: {target: false, spill: false, pause: false, terminate: false} # Slurm counts memory
    http: {routes: []}
    profile: {enabled: false}
logging:
  distributed: info
  distributed.worker: warning # a line for each job
  distributed.batched: critical # what it says when a run ends reads like an error
"""
_SCHEDULER_CONFIG: dict[str, Any] = {
    "distributed.scheduler.idle-timeout": None,
    "distributed.scheduler.reuse-broadcast-comm": True,  # a job's way; else a handshake for each
    "distributed.scheduler.http.routes": [],
    "distributed.scheduler.active-memory-manager.start": False,
}


class SlurmSettings(FrozenModel):
    """How pilots are asked for.

    Attributes
    ----------
    partition, gpu_partition : str or None
        None for the cluster's default.
    options : str
        More options of ``sbatch``, as in a line of a job script: ``--account=lab --qos=short``.
    gpu_option : str
        The option that asks for GPUs; ``{gpus}`` is their number, with their model before it
        where a job names one: ``a100:2``.
    setup : str
        A shell line that prepares the software on the node: ``module load cuda``.
    interface : str or None
        The network that main process and pilots use: ``ib0``.
    """

    partition: str | None = None
    gpu_partition: str | None = None
    options: str = ""
    gpu_option: str = "--gpus={gpus}"
    setup: str = ""
    interface: str | None = None


class SubmitError(Exception):
    """Slurm does not take a pilot."""


class ControllerAwayError(Exception):
    """Slurm does not answer; it may later."""


@dataclass
class PilotFolder:
    """Where a run keeps what its pilots need; its name is that of their Slurm jobs.

    Holds a lock as long as the main process lives.
    """

    path: Path
    lock: RunLock

    @classmethod
    def create(cls, root: Path) -> Self:
        """Make the folder, for this user alone."""
        path = root / f"{_NAME}{os.urandom(4).hex()}"
        (path / _LOGS).mkdir(parents=True)
        path.chmod(0o700)
        (path / DASK_CONFIG_NAME).write_text(_PILOT_CONFIG, encoding="utf-8")
        lock = RunLock(path / _LOCK)
        lock.take()
        lock.sign()
        return cls(path, lock)

    @property
    def name(self) -> str:
        """The name of the run's Slurm jobs."""
        return self.path.name

    def write_keys(self, security: Any) -> dict[str, str]:
        """Write key and certificate of the run; return Dask's options for them."""
        for name, text in ((_KEY, security.tls_worker_key), (_CERTIFICATE, security.tls_ca_file)):
            descriptor = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123  a descriptor
                stream.write(text)
        certificate = str(self.path / _CERTIFICATE)
        return {
            "--tls-ca-file": certificate,
            "--tls-cert": certificate,
            "--tls-key": str(self.path / _KEY),
        }

    def last_lines(self) -> str:
        """Return the end of the log that was written last."""
        logs = sorted((self.path / _LOGS).iterdir(), key=lambda log: log.stat().st_mtime)
        if not logs:
            return ""
        lines = logs[-1].read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join([f"\nlast lines of {logs[-1]}:", *(f"  {line}" for line in lines)])

    def close(self) -> None:
        """Remove the keys and give the lock up; logs stay until the next run."""
        for name in (_KEY, _CERTIFICATE):
            (self.path / name).unlink(missing_ok=True)
        self.lock.close()


def sweep(root: Path) -> list[str]:
    """End the pilots of main processes that are dead; return the names of their jobs.

    Those that wait for a node outlive a main process that was killed.
    """
    swept = []
    for path in sorted(root.glob(f"{_NAME}*")) if root.is_dir() else []:
        lock = RunLock(path / _LOCK)
        if lock.take():
            _cancel(path.name)
            shutil.rmtree(path, ignore_errors=True)
            swept.append(path.name)
        lock.close()
    return swept


class SlurmPilots:
    """The pilots of one run.

    Parameters
    ----------
    root : Path
        Where runs keep their folders: all nodes see it.
    """

    def __init__(self, root: Path, settings: SlurmSettings, limits: WorkerLimits) -> None:
        import dask
        import distributed
        from distributed.deploy import SpecCluster

        sweep(root)
        self._settings = settings
        self._folder = PilotFolder.create(root)
        security = distributed.Security.temporary()
        self._tls = self._folder.write_keys(security)
        dask.config.set(_SCHEDULER_CONFIG)
        options = {
            "protocol": "tls://",
            "security": security,
            "port": 0,
            "dashboard": False,
            "dashboard_address": "127.0.0.1:0",
        }
        if settings.interface:
            options["interface"] = settings.interface
        self._cluster = SpecCluster(
            workers={},
            scheduler={"cls": distributed.Scheduler, "options": options},
            security=security,
            silence_logs=logging.CRITICAL,
        )
        client = distributed.Client(self._cluster, set_as_default=False)
        self.transport = DaskTransport(client, self._folder.name, limits)

    def start(self, name: str, shape: Shape) -> str:
        """Ask Slurm for a pilot; return the number of its job.

        Raises
        ------
        SubmitError
            Slurm refuses it.
        ControllerAwayError
            Slurm does not answer.
        """
        script = self._script(name, shape)
        run = _run(["sbatch", "--parsable"], script, _clean_environment())
        if run.returncode:
            raise SubmitError(f"sbatch refuses a pilot: {run.stderr.strip()}")
        return run.stdout.strip().split(";")[0]

    def _script(self, name: str, shape: Shape) -> str:
        from dask_jobqueue.slurm import SLURMJob

        settings, folder = self._settings, self._folder.path
        logs = str(folder / _LOGS).replace("%", "%%")
        directives = [f'--output="{logs}/{name}-%j.log"', "--no-requeue"]
        if shape.gpus:
            gpus = f"{shape.gpu_model}:{shape.gpus}" if shape.gpu_model else str(shape.gpus)
            directives.append(settings.gpu_option.replace("{gpus}", gpus))
        if settings.options:
            directives.append(settings.options)
        arguments = [word for pair in self._tls.items() for word in pair]
        arguments += ["--memory-limit", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        if shape.gpus:
            arguments += ["--resources", f"GPU={shape.gpus}"]
        config = f"{DASK_CONFIG_VARIABLE}={folder / DASK_CONFIG_NAME}"
        job = SLURMJob(
            scheduler=self._cluster.scheduler_address,
            name=name,
            job_name=self._folder.name,
            queue=settings.gpu_partition if shape.gpus else settings.partition,
            cores=shape.cores,
            job_cpu=shape.cores,
            processes=1,
            memory=f"{shape.mem_mb}MiB",
            job_mem=f"{shape.mem_mb}M",
            walltime=_walltime(shape.minutes),
            nanny=False,
            death_timeout=_DEATH_S,
            interface=settings.interface or "",
            worker_command="distributed.cli.dask_worker",
            # exec: Slurm's signals are for it. -P: a module in the working folder is no library
            python=f"exec env {shlex.quote(config)} {shlex.quote(sys.executable)} -P",
            worker_extra_args=[shlex.quote(word) for word in arguments],
            job_extra_directives=directives,
            job_script_prologue=[f"export {PILOT_VARIABLE}=$(date +%s)", settings.setup],
            shebang="#!/usr/bin/env bash",
        )
        return str(job.job_script())

    def stop(self, job: str) -> None:
        """Give a pilot back. Without an answer of Slurm it ends when its time is up."""
        try:
            _run(["scancel", job])
        except ControllerAwayError as error:
            logger.warning("Slurm job %s could not be cancelled: %s", job, error)

    def states(self) -> dict[str, str]:
        """Return the state of the run's jobs that have not ended, by number.

        Raises
        ------
        ControllerAwayError
            Slurm does not answer.
        """
        command = ["squeue", "--noheader", "--name", self._folder.name, "--format", "%A %T %r"]
        run = _run([*command, "--states", "PENDING,RUNNING,CONFIGURING,SUSPENDED"])
        if run.returncode:
            raise ControllerAwayError(run.stderr.strip())
        found = {}
        for line in run.stdout.splitlines():
            job, state = line.split(maxsplit=1)
            found[job] = state
        return found

    def never_came(self, count: int) -> str:
        """Return what to say where pilots end before they reach this process."""
        return (
            f"{count} pilots in turn ended before they reached this process at "
            f"{self._cluster.scheduler_address} (is that a network of the nodes? see "
            f"--openhcs-pilot-interface){self._folder.last_lines()}"
        )

    def close(self) -> None:
        """End all pilots, those that wait for a node included."""
        self.transport.close()
        with suppress(OSError, TimeoutError):
            self._cluster.close(timeout=10)
        _cancel(self._folder.name)
        self._folder.close()


def _run(
    command: list[str], text: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        run = subprocess.run(
            command,
            input=text,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_COMMAND_S,
        )
    except FileNotFoundError as error:
        raise SubmitError(f"there is no {command[0]} on this computer's PATH") from error
    except subprocess.TimeoutExpired as error:
        raise ControllerAwayError(f"{command[0]} took longer than {_COMMAND_S} s") from error
    if run.returncode and any(text in run.stderr.lower() for text in _AWAY):
        raise ControllerAwayError(run.stderr.strip())
    return run


def _cancel(name: str) -> None:
    """Cancel the jobs of one name: scancel takes one a call and nothing from a list."""
    try:
        _run(["scancel", "--name", name])
    except (SubmitError, ControllerAwayError) as error:
        logger.warning(
            "Slurm jobs named %s could not be cancelled (%s); those that wait for a node end "
            "by themselves when they have one",
            *(name, error),
        )


def _clean_environment() -> dict[str, str]:
    """Return the environment without what the Slurm job has that this process may be in.

    And without settings of Dask: those of pilots are in their file.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name == "SLURM_CONF" or not (name.startswith(_NOT_THEIRS) or name in GPU_VARIABLES)
    }


def _walltime(minutes: float) -> str:
    hours, minutes = divmod(ceil(minutes), 60)
    return f"{hours:02d}:{minutes:02d}:00"
