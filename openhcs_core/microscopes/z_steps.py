"""The distance of planes, from where each was taken."""

from collections.abc import Mapping
from itertools import pairwise
from statistics import median

from openhcs_core.microscopes.plate_index import Acquisition
from openhcs_core.planes import PlaneKey

_JITTER = 0.05
"""Stage positions give the distance of planes to a few per cent."""


def z_step_of(acquisitions: Mapping[PlaneKey, Acquisition]) -> tuple[float | None, list[str]]:
    """Return the distance of planes in µm, by the first field of each channel, and warnings.

    None when there is no stack, or planes are not equally far apart.
    """
    stacks: dict[str, dict[int, float]] = {}
    fields: dict[str, tuple[str, int, int]] = {}
    for (well, site, channel, plane, time), (_, _, z_um, _, _) in acquisitions.items():  # 1e6 times
        if z_um is None:
            continue
        first = fields.get(channel)
        if first is None:
            first = fields[channel] = (well, site, time)
        if site == first[1] and well == first[0] and time == first[2]:
            stacks.setdefault(channel, {})[plane] = z_um
    steps = [
        abs(stack[after] - stack[before]) / (after - before)
        for stack in stacks.values()
        for before, after in pairwise(sorted(stack))
    ]
    if not steps or max(steps) == 0:
        return None, []
    step, low, high = median(steps), min(steps), max(steps)
    if high - low > _JITTER * step:
        return None, [f"planes are {low:g} to {high:g} µm apart; no distance is used"]
    return round(step, 4), []
