"""Which values each component takes on a plate."""

from collections.abc import Collection, Mapping

from natsort import natsorted

from openhcs_core.constants import Component
from openhcs_core.microscopes import Plane, PlateIndex
from openhcs_core.planes import PlaneKey

ComponentValues = Mapping[Component, tuple[str, ...]]


def component_values(
    index: PlateIndex, wells: tuple[str, ...], channel: str | None = None
) -> ComponentValues:
    """Return the values of every component over the wells to work on, in natural order.

    Parameters
    ----------
    channel : str, optional
        Count the planes of this channel only.
    """
    layouts: dict[int, list[str]] = {}
    for well in wells:  # those with the same planes share one tuple
        layouts.setdefault(id(index.planes.get(well)), []).append(well)
    planes: set[Plane] = set()
    found: list[str] = []
    for members in layouts.values():
        own = {p for p in index.planes.get(members[0], ()) if channel in (None, p[1])}
        planes |= own
        found += members if own else []
    numbers: list[Collection[str | int]] = [
        set(found),
        *({plane[place] for plane in planes} for place in range(4)),
    ]
    return {
        component: tuple(natsorted(map(str, numbers[place])))
        for component in Component
        for place in (PlaneKey._fields.index(component.value),)
    }
