"""The order of a plate's images."""

from collections.abc import Sequence

from openhcs_core.microscopes.plate_index import ImageFile
from openhcs_core.planes import PlaneKey, well_order


def sort_images(images: Sequence[ImageFile]) -> tuple[ImageFile, ...]:
    """Sort images by well (plate order), site, channel (by number), z and time."""
    places = plane_places([image[0] for image in images])
    order = sorted(range(len(images)), key=places.__getitem__)
    return tuple(map(images.__getitem__, order))


def plane_places(keys: Sequence[PlaneKey]) -> list[int]:
    """Return a number for each plane that orders them by well, site, channel, z and time.

    Whole numbers compare several times as fast as tuples.
    """
    if not keys:
        return []
    z_count = max(key[3] for key in keys) + 1
    time_count = max(key[4] for key in keys) + 1
    channels = sorted({key[2] for key in keys}, key=int)
    channel_places = {channel: place for place, channel in enumerate(channels)}
    site_count = max(key[1] for key in keys) + 1
    wells = sorted({key[0] for key in keys}, key=well_order)
    well_places = {well: place * site_count for place, well in enumerate(wells)}
    return [
        (((well_places[well] + site) * len(channels) + channel_places[channel]) * z_count + z_index)
        * time_count
        + timepoint
        for well, site, channel, z_index, timepoint in keys
    ]
