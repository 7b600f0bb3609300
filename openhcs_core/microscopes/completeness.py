"""Which planes of a plate are missing, and which were only ever declared."""

from collections.abc import Collection, Mapping, Sequence

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.plate_index import ImageFile
from openhcs_core.planes import PlaneKey, well_order

_SHOWN = 8
_MOST_EXPECTED = 10_000_000


def plane_order(key: PlaneKey) -> tuple[tuple[int, int], int, int, int, int]:
    """Sort key of a plane: well in plate order, site, channel by number, z, time."""
    return (well_order(key.well), key.site, int(key.channel), key.z_index, key.timepoint)


def find_missing(
    images: Sequence[ImageFile],
    wells: Collection[str] = (),
    sites: Collection[int] = (),
    declared: Collection[PlaneKey] = (),
) -> tuple[PlaneKey, ...]:
    """Return the planes one would expect from the rest of the plate, in index order.

    Parameters
    ----------
    images : sequence of ImageFile
        What is there.
    wells, sites : collection
        What is declared; those seen are added. Each well should have each site, and each
        of these every (z, time) of each channel that is seen anywhere on the plate.
    declared : collection of PlaneKey
        All planes, where the metadata list them one by one: those of `images` are among them.

    Raises
    ------
    InputDataError
        They would be so many that this is no plate.
    """
    keys = declared or [image[0] for image in images]
    all_wells = {*wells, *{key[0] for key in keys}}
    all_sites = {*sites, *{key[1] for key in keys}}
    channel_planes = {key[2:] for key in keys}
    count = len(all_wells) * len(all_sites) * len(channel_planes)
    if len(images) == count:
        return ()
    if count > _MOST_EXPECTED:
        raise InputDataError(
            f"{len(all_wells)} wells of {len(all_sites)} sites with {len(channel_planes)} planes "
            f"each would be {count} images, of which {len(images)} are there; expected one plate "
            "of one form. Give the folder of a single plate"
        )
    present = {image[0] for image in images}
    expected = (
        PlaneKey(well, site, *planes)
        for well in all_wells
        for site in all_sites
        for planes in channel_planes
    )
    return tuple(sorted((key for key in expected if key not in present), key=plane_order))


def undeclared_warnings(
    source: str, kind: str, declared: Mapping[int, str], seen: Collection[int]
) -> list[str]:
    """Say what `source` declares and no well has, and what wells have undeclared.

    Parameters
    ----------
    source : str
        The metadata file.
    kind : str
        ``"channel"``, ``"z plane"``…
    declared : mapping of int to str
        Number and what to call it; empty when `source` declares none of this kind.
    seen : collection of int
        Numbers that some image has.
    """
    unseen = [label for number, label in declared.items() if number not in seen]
    warnings = []
    if unseen:
        warnings.append(
            f"{source} declares {kind} {_shorten(unseen)} but no well has an image of it"
        )
    extra = [str(number) for number in sorted(seen) if declared and number not in declared]
    if extra:
        warnings.append(
            f"there are images of {kind} {_shorten(extra)}, which {source} does not declare"
        )
    return warnings


def _shorten(labels: Sequence[str]) -> str:
    if len(labels) <= _SHOWN:
        return ", ".join(labels)
    return f"{', '.join(labels[:_SHOWN])} and {len(labels) - _SHOWN} more"
