"""A pool of warm workers: starts them on demand, chooses one for each job, replaces those lost."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from openhcs_core.errors import WorkerLostError
from openhcs_core.workers.handle import WorkerHandle
from openhcs_core.workers.messages import Outcome, Task
from openhcs_core.workers.policy import (
    Family,
    Need,
    Start,
    Use,
    Wait,
    WorkerLimits,
    WorkerState,
    choose,
)

logger = logging.getLogger(__name__)
_KNOWN_WELLS = 64
_MB = 1e6
_CLOSING_S = 5.0


@dataclass
class PoolSummary:
    """What a pool has done so far.

    Attributes
    ----------
    jobs : int
        Tasks that were done, those that failed included.
    started, recycled, lost : int
        Workers: all, those replaced because of their age or state, those that died or hung.
    planes_held, planes_read, bytes_held : int
        Images of earlier steps that were in a worker's memory, that were not, and the size of
        the first.
    gpus : int
        Devices that workers were pinned to.
    gpu_busy_s, gpu_s : float
        How long jobs had one of them, and how long there were any such jobs.
    what : str
        What the workers are.
    put_back : int
        Jobs that needed no worker, since an equal one had been done.
    """

    jobs: int = 0
    started: int = 0
    recycled: int = 0
    lost: int = 0
    planes_held: int = 0
    planes_read: int = 0
    bytes_held: int = 0
    gpus: int = 0
    gpu_busy_s: float = 0.0
    gpu_s: float = 0.0
    what: str = "processes"
    put_back: int = 0

    def __str__(self) -> str:
        text = (
            f"Warm workers: {self.jobs} jobs in {self.started} {self.what} "
            f"({self.recycled} replaced, {self.lost} lost)"
        )
        if self.put_back:
            text += f"; {self.put_back} more put back what an equal job gave, without one"
        planes = self.planes_held + self.planes_read
        if planes:
            text += (
                f"; {self.planes_held} of {planes} images of earlier steps were in memory, "
                f"{self.bytes_held / _MB:.1f} MB not read"
            )
        if self.gpus and self.gpu_s:
            share = self.gpu_busy_s / (self.gpus * self.gpu_s)
            text += f"; jobs had the GPUs {share:.0%} of the time"
        return f"{text}."


class _Member:
    """A worker with what has to be known of it. `handle` is None until it is started."""

    def __init__(self, state: WorkerState) -> None:
        self.state = state
        self.handle: WorkerHandle | None = None
        self.jobs = 0
        self.first_rss_mb: float | None = None


class WorkerPool:
    """Workers of one run; to be used from several threads.

    Parameters
    ----------
    limits : WorkerLimits
        How many workers, and for how long.
    """

    def __init__(self, limits: WorkerLimits) -> None:
        self._limits = limits
        self._members: dict[int, _Member] = {}
        self._changed = threading.Condition()
        # the kernel ends a worker with the *thread* that started it, so one thread starts all
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="openhcs-workers")
        self._leaving: list[WorkerHandle] = []
        self._clock = 0
        self._first_gpu_s: float | None = None
        self.summary = PoolSummary(gpus=len(limits.gpus))

    def do(self, need: Need, task: Task, limit_s: float | None) -> Outcome:
        """Do a task on a worker that fits.

        Parameters
        ----------
        need : Need
            What it asks of a worker.
        limit_s : float or None
            How long it may take once a worker is there.

        Raises
        ------
        WorkerLostError
            The worker died or took too long; only this task is affected.
        """
        while True:
            member, handle = self._acquire(need, task)
            start_s = time.monotonic()
            try:
                outcome = handle.do(task, limit_s)
            except WorkerLostError:
                self._lose(member)
                if member.jobs and not handle.has_begun:
                    continue  # it died while it waited: no job is affected
                self._count(member, start_s, None)
                raise
            self._count(member, start_s, outcome)
            self._release(member, need, outcome)
            return outcome

    def close(self) -> None:
        """Let all workers end, and wait for them."""
        with self._changed:
            members = list(self._members.values())
            self._members.clear()
        for member in members:
            self._dismiss(member)
        for handle in self._leaving:
            if not handle.wait(_CLOSING_S):
                handle.kill()
        self._leaving.clear()
        self._starter.shutdown()

    def stop(self) -> None:
        """Do nothing: SIGINT reaches these workers as it reaches the main process."""

    def kill(self) -> None:
        """End all workers now. Jobs that they do fail as if they had died."""
        with self._changed:
            handles = [member.handle for member in self._members.values()]
        for handle in handles:
            if handle is not None:
                handle.end()

    def _acquire(self, need: Need, task: Task) -> tuple[_Member, WorkerHandle]:
        """Return a worker that is busy from now on."""
        member, stopped = self._choose(need)
        for other in stopped:
            self._dismiss(other)
        if member.handle is None:
            member.handle = self._start(member, task)
        return member, member.handle

    def _choose(self, need: Need) -> tuple[_Member, list[_Member]]:
        with self._changed:
            while True:
                states = [member.state for member in self._members.values()]
                decision = choose(states, need, self._limits)
                if not isinstance(decision, Wait):
                    break
                self._changed.wait()
            if isinstance(decision, Use):
                member = self._members[decision.number]
                member.state = replace(member.state, is_busy=True)
                return member, []
            return self._add(need, decision), [self._members.pop(n) for n in decision.stop]

    def _add(self, need: Need, decision: Start) -> _Member:
        self.summary.started += 1
        number = self.summary.started
        state = WorkerState(
            number, need.family, need.fixed_threads, decision.device, gpu=need.gpu, is_busy=True
        )
        self._members[number] = _Member(state)
        return self._members[number]

    def _start(self, member: _Member, task: Task) -> WorkerHandle:
        try:
            return self._starter.submit(
                WorkerHandle, task, member.state.device, self._limits.held_mb
            ).result()
        except BaseException:
            self._remove(member)
            raise

    def _count(self, member: _Member, start_s: float, outcome: Outcome | None) -> None:
        """Add a job to the summary, also one that was lost."""
        end_s = time.monotonic()
        with self._changed:
            summary = self.summary
            summary.jobs += 1
            if member.state.device is not None:
                if self._first_gpu_s is None:
                    self._first_gpu_s = start_s
                summary.gpu_busy_s += (end_s - start_s) / self._limits.jobs_per_gpu
                summary.gpu_s = end_s - self._first_gpu_s
            if outcome is not None:
                summary.planes_held += outcome.planes_held
                summary.planes_read += outcome.planes_read
                summary.bytes_held += outcome.bytes_held

    def _release(self, member: _Member, need: Need, outcome: Outcome) -> None:
        """Take note of a job that is done; let others have the worker, or no one."""
        member.jobs += 1
        if member.first_rss_mb is None:
            member.first_rss_mb = outcome.rss_mb
        with self._changed:
            if outcome.worn is not None or self._is_old(member, outcome.rss_mb):
                if outcome.worn is not None:
                    logger.info("a warm worker is replaced: %s", outcome.worn)
                self.summary.recycled += 1
                self._remove(member)
                return
            self._clock += 1
            wells = member.state.wells
            if need.well is not None:
                wells = (*(well for well in wells if well != need.well), need.well)
            member.state = replace(
                member.state,
                family=Family(outcome.frameworks) | need.family,
                is_busy=False,
                used=self._clock,
                wells=wells[-_KNOWN_WELLS:],
            )
            self._changed.notify_all()

    def _is_old(self, member: _Member, rss_mb: float) -> bool:
        limits = self._limits
        growth_mb = rss_mb - (member.first_rss_mb or 0.0)
        return bool(
            (limits.jobs and member.jobs >= limits.jobs)
            or (limits.growth_mb and growth_mb > limits.growth_mb)
        )

    def _lose(self, member: _Member) -> None:
        with self._changed:
            self.summary.lost += 1
        self._remove(member)

    def _remove(self, member: _Member) -> None:
        with self._changed:
            self._members.pop(member.state.number, None)
            self._changed.notify_all()
        self._dismiss(member)

    def _dismiss(self, member: _Member) -> None:
        """Let a worker end without waiting for it; collect those that have."""
        if member.handle is None:
            return
        member.handle.close()
        with self._changed:
            self._leaving = [handle for handle in self._leaving if handle.is_alive]
            self._leaving.append(member.handle)
