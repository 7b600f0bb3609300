"""A pool of warm workers: starts them on demand, chooses one for each job, replaces those lost."""

import threading
from collections import Counter
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

_KNOWN_WELLS = 64
_CLOSING_S = 5.0


@dataclass(frozen=True)
class PoolSummary:
    """What a pool has done so far.

    Attributes
    ----------
    jobs : int
        Tasks that were done, those that failed included.
    started, recycled, lost : int
        Workers: all, those replaced because of their age or state, those that died or hung.
    """

    jobs: int
    started: int
    recycled: int
    lost: int

    def __str__(self) -> str:
        return (
            f"Warm workers: {self.jobs} jobs in {self.started} processes, "
            f"{self.recycled} replaced, {self.lost} lost."
        )


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
        self._counts: Counter[str] = Counter()
        self._clock = 0

    @property
    def summary(self) -> PoolSummary:
        """What was done so far."""
        counts = self._counts
        return PoolSummary(counts["jobs"], counts["started"], counts["recycled"], counts["lost"])

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
        member, handle = self._acquire(need, task)
        try:
            outcome = handle.do(task, limit_s)
        except WorkerLostError:
            self._counts["jobs"] += 1
            self._remove(member, "lost")
            raise
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

    def _acquire(self, need: Need, task: Task) -> tuple[_Member, WorkerHandle]:
        """Return a worker that is from now on busy, and alive a moment ago."""
        while True:
            member, stopped = self._choose(need)
            for other in stopped:
                self._dismiss(other)
            if member.handle is None:
                member.handle = self._start(member, task)
            if member.handle.is_alive:
                return member, member.handle
            self._remove(member, "lost")  # while it was idle: no job is affected

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
        self._counts["started"] += 1
        number = self._counts["started"]
        state = WorkerState(
            number, need.family, need.fixed_threads, decision.device, gpu=need.gpu, is_busy=True
        )
        self._members[number] = _Member(state)
        return self._members[number]

    def _start(self, member: _Member, task: Task) -> WorkerHandle:
        try:
            return self._starter.submit(WorkerHandle, task, member.state.device).result()
        except BaseException:
            self._remove(member, "failed")
            raise

    def _release(self, member: _Member, need: Need, outcome: Outcome) -> None:
        """Take note of a job that is done; let others have the worker, or no one."""
        member.jobs += 1
        if member.first_rss_mb is None:
            member.first_rss_mb = outcome.rss_mb
        with self._changed:
            self._counts["jobs"] += 1
            if outcome.worn is not None or self._is_old(member, outcome.rss_mb):
                self._remove(member, "recycled")
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

    def _remove(self, member: _Member, why: str) -> None:
        with self._changed:
            self._members.pop(member.state.number, None)
            self._counts[why] += 1
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
