"""Which pilot does a job, and how many there are to be: pure decisions over what is known of them.

A pilot is a process on a node of a cluster that does one job after another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from openhcs_core.config import FrozenModel
from openhcs_core.workers.policy import Need, WellKey

ENDING_S = 60.0
"""A pilot is left this long before its time is up, so that no job is cut off."""


class PilotLimits(FrozenModel):
    """How many pilots are asked for, and of which size.

    Attributes
    ----------
    cpu, gpu : int
        At most so many without and with GPUs. None of either: they are not ours to start.
    cores, mem_mb, minutes : int
        What each has, and how long; more where a job needs more.
    idle_s : float
        One without work for so long is given back.
    wait_s : float
        How long a job waits for a pilot that could do it before it fails.
    """

    cpu: int = 0
    gpu: int = 0
    cores: int = 1
    mem_mb: int = 4000
    minutes: int = 240
    idle_s: float = 120.0
    wait_s: float = 3600.0


@dataclass(frozen=True)
class Shape:
    """What a pilot has.

    Attributes
    ----------
    mem_mb : int or None
        None where nobody knows: jobs may need any.
    minutes : float
        How long it is there, from its start.
    gpu_model : str or None
        The kind of GPUs that was asked for, empty for any; None where nobody knows.
    """

    cores: int
    gpus: int = 0
    mem_mb: int | None = None
    minutes: float = inf
    gpu_model: str | None = None


@dataclass(frozen=True)
class Pilot:
    """What is known of a pilot.

    Attributes
    ----------
    name : str
        Unique within the run.
    is_there : bool
        It can do jobs: not one that still waits for its node.
    is_busy : bool
        It does one.
    ends_s : float
        When its time is up.
    used_s : float
        When it was asked for, came or ended its last job.
    wells : tuple of WellKey
        Those it did jobs of, the latest last.
    """

    name: str
    shape: Shape
    is_there: bool = False
    is_busy: bool = False
    ends_s: float = inf
    used_s: float = 0.0
    wells: tuple[WellKey, ...] = field(default=())


@dataclass(frozen=True)
class Ask:
    """A job that waits for a pilot.

    Attributes
    ----------
    number : int
        Of the job.
    runtime_s : float
        How long it may take, 0 where it did not say.
    since_s : float
        When it began to wait.
    """

    number: int
    need: Need
    runtime_s: float = 0.0
    since_s: float = 0.0


@dataclass(frozen=True)
class Changes:
    """What to do about the number of pilots.

    Attributes
    ----------
    start : tuple of (int, Shape)
        Pilots to ask for, each with the number of the job that it is for.
    stop : tuple of str
        Names of those to give back.
    """

    start: tuple[tuple[int, Shape], ...] = ()
    stop: tuple[str, ...] = ()


def shape_for(ask: Ask, limits: PilotLimits) -> Shape:
    """Return what a pilot for a job has: what all have, or more where the job needs more."""
    return Shape(
        cores=max(limits.cores, ask.need.threads),
        gpus=ask.need.gpus,
        mem_mb=max(limits.mem_mb, ask.need.mem_mb),
        minutes=max(limits.minutes, (ask.runtime_s + 2 * ENDING_S) / 60),
        gpu_model=ask.need.gpu_model,
    )


def can_do(pilot: Pilot, ask: Ask, now_s: float, *, keeps_gpus: bool) -> bool:
    """Return whether a pilot has what a job needs, for as long as the job may take.

    Parameters
    ----------
    keeps_gpus : bool
        A pilot with GPUs does no job without.
    """
    shape, need = pilot.shape, ask.need
    if shape.gpus < need.gpus or (keeps_gpus and shape.gpus and not need.gpus):
        return False
    if need.gpu_model and shape.gpu_model not in (None, need.gpu_model):
        return False
    if shape.cores < need.threads or (shape.mem_mb is not None and shape.mem_mb < need.mem_mb):
        return False
    return _time_left_s(pilot, now_s) >= ask.runtime_s + ENDING_S


def _time_left_s(pilot: Pilot, now_s: float) -> float:
    """Return how long a pilot will be there; of one that is to come, all its time."""
    return pilot.ends_s - now_s if pilot.is_there else 60 * pilot.shape.minutes


def assign(
    pilots: Sequence[Pilot], asks: Sequence[Ask], now_s: float, *, keeps_gpus: bool = True
) -> dict[int, str]:
    """Return which waiting jobs begin now, and with which pilot: one job a pilot.

    First, jobs whose well a free pilot did last get that one; then the others, in their order,
    get the smallest that will do.
    """
    free = {pilot.name: pilot for pilot in pilots if pilot.is_there and not pilot.is_busy}
    found: dict[int, str] = {}
    for is_home in (True, False):
        for ask in asks:
            if not free:
                return found
            if ask.number in found:
                continue
            fitting = [
                pilot
                for pilot in free.values()
                if (not is_home or ask.need.well in pilot.wells)
                and can_do(pilot, ask, now_s, keeps_gpus=keeps_gpus)
            ]
            if fitting:
                best = min(fitting, key=lambda pilot: _rank(pilot, ask.need.well))
                found[ask.number] = free.pop(best.name).name
    return found


def _rank(pilot: Pilot, well: WellKey | None) -> tuple[int, int, int, int, float]:
    """Return less for a better pilot: how many wells ago it did this one, size, idle time."""
    wells = pilot.wells[::-1]
    age = wells.index(well) if well in wells else len(wells)
    return age, pilot.shape.gpus, pilot.shape.cores, pilot.shape.mem_mb or 0, pilot.used_s


def changes(
    pilots: Sequence[Pilot], asks: Sequence[Ask], limits: PilotLimits, now_s: float
) -> Changes:
    """Return which pilots to start for jobs that wait, and which to give back.

    A pilot that was asked for and has not come is counted for one of the jobs that wait. Where
    there are as many as there may be and none can do a job, one without work makes room.
    """
    spent = [pilot.name for pilot in pilots if _is_spent(pilot, asks, limits, now_s)]
    left = {pilot.name: pilot for pilot in pilots if pilot.name not in spent}
    coming = [pilot for pilot in left.values() if not pilot.is_there]
    start: list[tuple[int, Shape]] = []
    for ask in asks:
        wanted = next((p for p in coming if can_do(p, ask, now_s, keeps_gpus=True)), None)
        if wanted is not None:
            coming.remove(wanted)
            continue
        is_gpu = ask.need.gpu
        count = sum(bool(pilot.shape.gpus) == is_gpu for pilot in left.values())
        count += sum(bool(shape.gpus) == is_gpu for _, shape in start)
        if count >= (limits.gpu if is_gpu else limits.cpu):
            room = _room_for(ask, list(left.values()), now_s)
            if room is None:
                continue
            spent.append(room)
            del left[room]
        start.append((ask.number, shape_for(ask, limits)))
    return Changes(tuple(start), tuple(spent))


def _is_spent(pilot: Pilot, asks: Sequence[Ask], limits: PilotLimits, now_s: float) -> bool:
    """Whether a pilot without work has little time left, or has had nothing to do for long."""
    if pilot.is_busy:
        return False
    if pilot.is_there and _time_left_s(pilot, now_s) < ENDING_S:
        return True
    is_wanted = any(can_do(pilot, ask, now_s, keeps_gpus=True) for ask in asks)
    return not is_wanted and now_s - pilot.used_s > limits.idle_s


def _room_for(ask: Ask, pilots: Sequence[Pilot], now_s: float) -> str | None:
    """Return the pilot to give up for a job that none can do, None where one is to come free."""
    kin = [pilot for pilot in pilots if bool(pilot.shape.gpus) == ask.need.gpu]
    if any(can_do(pilot, ask, now_s, keeps_gpus=True) for pilot in kin):
        return None
    idle = [pilot for pilot in kin if not pilot.is_busy]
    return min(idle, key=lambda pilot: pilot.used_s).name if idle else None
