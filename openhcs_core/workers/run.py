"""Jobs of one run in warm workers: what the Snakemake plugin calls."""

import os
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from openhcs_core.errors import EXIT_DONE, WorkerLostError
from openhcs_core.plan import plan_digest
from openhcs_core.put_back import put_back
from openhcs_core.runtime import Job, record_lost
from openhcs_core.workers.lines import StepLine
from openhcs_core.workers.messages import Outcome, Task, Usage
from openhcs_core.workers.needs import JobNeeds
from openhcs_core.workers.pilot_pool import PilotPool, PilotSettings
from openhcs_core.workers.policy import Need, WorkerLimits
from openhcs_core.workers.pool import PoolSummary, WorkerPool
from openhcs_core.workers.threads import TEMPORARY_VARIABLES, thread_environment

_LAST_LINES = 5


@dataclass(frozen=True)
class JobTerms:
    """What Snakemake gives a job.

    Attributes
    ----------
    threads : int
        Cores.
    gpus, mem_mb : int
        GPUs and memory; 0 for none, and where it did not say.
    gpu_model : str
        The kind of GPUs, empty for any.
    runtime_min : float or None
        How long it may take, None for no limit.
    temporary : str or None
        Folder for temporary files.
    """

    threads: int = 1
    gpus: int = 0
    mem_mb: int = 0
    gpu_model: str = ""
    runtime_min: float | None = None
    temporary: str | None = None

    @property
    def need(self) -> Need:
        """What that is of a worker."""
        return Need(
            threads=self.threads, gpus=self.gpus, mem_mb=self.mem_mb, gpu_model=self.gpu_model
        )


class Pool(Protocol):
    """Where jobs are done: :class:`WorkerPool` or :class:`PilotPool`."""

    summary: PoolSummary

    def do(self, need: Need, task: Task, limit_s: float | None) -> Outcome:
        """Do a task, and return how it ended."""

    def stop(self) -> None:
        """Let all jobs end at once."""

    def close(self) -> None:
        """Let the workers end."""


class WarmRun:
    """Does jobs in warm workers.

    Parameters
    ----------
    limits : WorkerLimits
        Of the pool, or of each pilot's.
    pilots : PilotSettings or None
        Where the workers are; None for this computer.
    """

    def __init__(self, limits: WorkerLimits, pilots: PilotSettings | None = None) -> None:
        self._pool: Pool = WorkerPool(limits) if pilots is None else PilotPool(pilots, limits)
        self._needs = JobNeeds()
        self._puts_back = pilots is None
        self._put_back = 0
        self._counting = threading.Lock()

    def do(self, line: StepLine, terms: JobTerms) -> Outcome:
        """Do one job, and return how it ended.

        Raises
        ------
        WorkerLostError
            Its process died or took too long. That is recorded as the job's failure.
        """
        if (done := self._try_put_back(line)) is not None:
            return done
        need = self._needs.of(line, terms.need)
        environment = {**os.environ, **thread_environment(terms.threads)}
        if terms.temporary:
            environment |= dict.fromkeys(TEMPORARY_VARIABLES, terms.temporary)
        task = Task(
            arguments=line.arguments,
            folder=str(Path.cwd()),
            environment=environment,
            threads=terms.threads,
            frameworks=tuple(sorted(need.family)),
        )
        limit_s = None if terms.runtime_min is None else terms.runtime_min * 60.0
        started = time.time()
        try:
            outcome = self._pool.do(need, task, limit_s)
        except WorkerLostError as error:
            raise _recorded(error, line, started) from error
        self._needs.learn(line, outcome.frameworks)
        return outcome

    def _try_put_back(self, line: StepLine) -> Outcome | None:
        """Do a job here, in a few ms, where an equal one was done: it needs no worker.

        Nodes of a cluster do this themselves: their files may be far from here.
        """
        start_s, cpu_s = time.monotonic(), time.thread_time()
        if not (self._puts_back and put_back(line.arguments[1:])):
            return None
        with self._counting:
            self._put_back += 1
        usage = Usage(wall_s=time.monotonic() - start_s, cpu_s=time.thread_time() - cpu_s)
        return Outcome(exit_code=EXIT_DONE, usage=usage)

    def stop(self) -> None:
        """Let jobs end at once that a signal to this computer's processes does not reach."""
        self._pool.stop()

    def close(self) -> PoolSummary:
        """Let the workers end; return what was done."""
        self._pool.close()
        return replace(self._pool.summary, put_back=self._put_back)


def _recorded(error: WorkerLostError, line: StepLine, started: float) -> WorkerLostError:
    """Record what became of a job whose process is gone; return the error with its last lines."""
    step, target, log = _unfinished_part(line, started)
    told = WorkerLostError(f"{error}{_last_lines(log)}", error.exit_code)
    digest = line.digest
    if line.scope.is_shared:  # the job's is of all its plans
        digest = plan_digest(Job(line.plate_dir, step).read_step_plan(target))
    record_lost(Job(line.plate_dir, step, digest), target, told.exit_code, str(told))
    return told


def _unfinished_part(line: StepLine, started: float) -> tuple[str, str, Path]:
    """Return what the job was at: where it wrote last."""
    times = {part: _changed(part[2]) for part in line.parts}
    begun = [part for part in line.parts if times[part] >= started]
    return max(begun, key=lambda part: times[part], default=line.parts[0])


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _last_lines(log: Path) -> str:
    """Return the end of a log, as more lines of a message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    except FileNotFoundError:
        return ""
    return "\n".join([f"\nlast lines of {log}:", *(f"  {line}" for line in lines)])
