"""Which values each component takes on a plate."""

from collections.abc import Mapping

from natsort import natsorted

from openhcs_core.constants import Component
from openhcs_core.microscopes import PlateIndex
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
    chosen = set(wells)
    keys = [
        image.key
        for image in index.images
        if image.key.well in chosen and channel in (None, image.key.channel)
    ]
    return {
        component: tuple(natsorted(map(str, {key[place] for key in keys})))
        for component in Component
        for place in (PlaneKey._fields.index(component.value),)
    }
