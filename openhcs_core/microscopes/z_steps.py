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
    for key, (_, _, z_um, _, _) in acquisitions.items():
        field = (key[0], key[1], key[4])
        if z_um is not None and fields.setdefault(key[2], field) == field:
            stacks.setdefault(key[2], {})[key[3]] = z_um
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
