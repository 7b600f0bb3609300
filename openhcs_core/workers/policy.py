"""Which worker does a job: a pure decision over what the pool knows of its workers."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from openhcs_core.config import FrozenModel

Family = frozenset[str]
"""The array libraries, other than numpy, that a process has or may load: by memory type."""
WellKey = tuple[str, str]
"""Plate folder and well."""

_FIXED_THREADS: Family = frozenset({"tensorflow", "jax"})
"""Libraries that cannot change how many threads they use once they have begun."""


class WorkerLimits(FrozenModel):
    """How many workers there may be, and how long one lives.

    Attributes
    ----------
    count : int
        Workers beyond this are stopped as soon as they are idle.
    jobs : int
        A worker is replaced after so many; 0 for no limit.
    growth_mb : int
        A worker that holds so much more than after its first job is replaced; 0 for no limit.
    held_mb : int
        How much of its last jobs' images a worker keeps in memory, for the next step.
    gpus : tuple of str
        Devices that workers are pinned to, as ``CUDA_VISIBLE_DEVICES`` names them. Empty pins
        none.
    jobs_per_gpu : int
        Workers that share one of them.
    """

    count: int = 1
    jobs: int = 500
    growth_mb: int = 2000
    held_mb: int = 256
    gpus: tuple[str, ...] = ()
    jobs_per_gpu: int = 1


@dataclass(frozen=True)
class Need:
    """What a job asks of its worker.

    Attributes
    ----------
    family : Family
        Its array libraries.
    threads : int
        How many it may use.
    gpus : int
        How many GPUs it has.
    well : WellKey or None
        Whose images it reads, None for jobs of the whole plate.
    mem_mb : int
        The memory it asked for, 0 where it did not say.
    gpu_model : str
        The kind of GPUs, as the cluster calls it; empty for any.
    """

    family: Family = frozenset()
    threads: int = 1
    gpus: int = 0
    well: WellKey | None = None
    mem_mb: int = 0
    gpu_model: str = ""

    @property
    def gpu(self) -> bool:
        """Whether it has a GPU."""
        return self.gpus > 0

    @property
    def fixed_threads(self) -> int | None:
        """The threads a process must have been started with; None where any can be set."""
        return self.threads if self.family & _FIXED_THREADS else None


@dataclass(frozen=True)
class WorkerState:
    """What the pool knows of a worker.

    Attributes
    ----------
    number : int
        Counts workers from 1 in the order of their start.
    device : str or None
        The GPU it is pinned to.
    is_busy : bool
        It does a job.
    used : int
        Larger for workers that were of use later.
    wells : tuple of WellKey
        Those it did jobs of, the latest last.
    gpu : bool
        It does jobs that have a GPU. Libraries do not look for devices again.
    """

    number: int
    family: Family = frozenset()
    fixed_threads: int | None = None
    device: str | None = None
    is_busy: bool = False
    used: int = 0
    wells: tuple[WellKey, ...] = field(default=())
    gpu: bool = False


@dataclass(frozen=True)
class Use:
    """Give the job to this worker."""

    number: int


@dataclass(frozen=True)
class Start:
    """Start a worker, pinned to a device or not, and stop these first."""

    device: str | None = None
    stop: tuple[int, ...] = ()


@dataclass(frozen=True)
class Wait:
    """Every device is taken."""


def choose(states: Sequence[WorkerState], need: Need, limits: WorkerLimits) -> Use | Start | Wait:
    """Return what to do for a job.

    A worker of another family is never used: libraries that must not meet, such as tensorflow
    and OpenCL, never do. Of those that fit, the one that did the well last comes first, then the
    one that was idle longest. A job never waits for a worker, since Snakemake starts no more jobs
    than there are cores for; it may wait for a device.
    """
    fitting = [state for state in states if not state.is_busy and _fits(state, need, limits)]
    if fitting:
        return Use(min(fitting, key=lambda state: _rank(state, need)).number)
    device = None
    if need.gpu and limits.gpus:
        device = _free_device(states, limits)
        if device is None:
            return _free_a_device(states, limits)
    return Start(device, _surplus(states, limits))


def _fits(state: WorkerState, need: Need, limits: WorkerLimits) -> bool:
    return (
        state.family == need.family
        and state.fixed_threads == need.fixed_threads
        and state.gpu == need.gpu
        and (state.device is not None) == (need.gpu and bool(limits.gpus))
    )


def _rank(state: WorkerState, need: Need) -> tuple[bool, int, int]:
    """Return less for a better worker: how many wells ago it did this one, then idle time."""
    if need.well is None or need.well not in state.wells:
        return True, 0, state.used
    return False, state.wells[::-1].index(need.well), state.used


def _free_device(states: Sequence[WorkerState], limits: WorkerLimits) -> str | None:
    """Return the device with the fewest workers, None when all have as many as they may."""
    taken = {gpu: sum(state.device == gpu for state in states) for gpu in limits.gpus}
    best = min(limits.gpus, key=lambda gpu: taken[gpu])
    return best if taken[best] < limits.jobs_per_gpu else None


def _free_a_device(states: Sequence[WorkerState], limits: WorkerLimits) -> Start | Wait:
    """Take the device of the worker that was idle longest; wait while none is idle."""
    idle = [state for state in states if state.device is not None and not state.is_busy]
    if not idle:
        return Wait()
    oldest = min(idle, key=lambda state: state.used)
    return Start(oldest.device, (oldest.number, *_surplus(states, limits, beside=oldest)))


def _surplus(
    states: Sequence[WorkerState], limits: WorkerLimits, beside: WorkerState | None = None
) -> tuple[int, ...]:
    """Return the idle workers to stop so that another one is not one too many."""
    left = [state for state in states if state != beside]
    too_many = len(left) + 1 - limits.count
    idle = sorted((state for state in left if not state.is_busy), key=lambda state: state.used)
    return tuple(state.number for state in idle[: max(0, too_many)])
