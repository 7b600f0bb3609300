"""Parts of a plate index: the wells a config names, and what one well consists of."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal, TypedDict

from openhcs_core.errors import ConfigError, InputDataError, shortened
from openhcs_core.microscopes.plate_index import ImageFile, PlateIndex
from openhcs_core.planes import row_number, split_well, well_order

ALL_WELLS = "all"
_LISTED_WELLS = 24
INDEX_VERSION = 1


class ChannelForm(TypedDict):
    """dtype name and ``[Y, X]`` of a channel's images."""

    dtype: str
    shape: list[int]


class WellIndex(TypedDict):
    """The content of ``index/<well>.json``."""

    schema_version: int
    well: str
    images: list[tuple[str, str, int | None, int | str | None]]
    channels: dict[str, ChannelForm]


def well_index(
    index: PlateIndex, well: str, raw: Literal["checked", "immutable"] = "checked"
) -> WellIndex:
    """Return what one well consists of, as plain data.

    Parameters
    ----------
    index : PlateIndex
        The plate.
    well : str
        ``"B02"``; a well without images gives an empty list.
    raw : {"checked", "immutable"}
        ``"immutable"`` puts None for size and time, so that only names count.

    Returns
    -------
    WellIndex
        ``images`` holds, in index order, virtual file name, real path relative to the plate,
        size in bytes and modification time in ns (of objects the ETag); ``channels`` those of
        the whole plate.
    """
    images = [_record(image, raw) for image in _images_of(index.images, well)]
    return {
        "schema_version": INDEX_VERSION,
        "well": well,
        "images": images,
        "channels": {
            channel.id: {"dtype": channel.dtype, "shape": list(channel.shape)}
            for channel in index.channels
        },
    }


def _images_of(images: Sequence[ImageFile], well: str) -> Sequence[ImageFile]:
    row, column = well_order(well)

    def order(image: ImageFile) -> tuple[int, int]:
        return well_order(image.key.well)

    return images[
        bisect_left(images, (row, column), key=order) : bisect_left(
            images, (row, column + 1), key=order
        )
    ]


def _record(
    image: ImageFile, raw: Literal["checked", "immutable"]
) -> tuple[str, str, int | None, int | str | None]:
    if raw == "immutable":
        return (image.key.filename, image.path, None, None)
    return (image.key.filename, image.path, image.size_bytes, image.mtime_ns)


def check_has_images(index: PlateIndex) -> None:
    """Refuse a plate of which nothing but its metadata is there.

    Raises
    ------
    InputDataError
        It has no image.
    """
    if not index.images:
        names = shortened([key.filename for key in index.missing])
        raise InputDataError(
            f"{index.plate_path}: none of the {len(index.missing)} images that its metadata list "
            f"is there ({names}); copy them, or give the folder that holds them"
        )


def select_wells(
    index: PlateIndex, wells: str | Sequence[str] = ALL_WELLS, exclude: str | Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the wells that a config asks for, in plate order.

    Parameters
    ----------
    index : PlateIndex
        The plate. Wells that should have images but have none are among its wells, so that
        they are noticed: see ``PlateIndex.missing``.
    wells, exclude : str or sequence of str
        ``"all"``, wells, or a rectangle ``"A01:C12"``, which means those of its wells that exist.

    Raises
    ------
    ConfigError
        A well does not exist (all of them are listed), or none is left.
    """
    known = sorted({*index.wells, *(key.well for key in index.missing)}, key=well_order)
    chosen = _resolve(index, known, wells, "wells")
    excluded = _resolve(index, known, exclude, "exclude_wells") if exclude else set()
    left = tuple(well for well in known if well in chosen and well not in excluded)
    if not left:
        raise ConfigError(
            f"{index.plate_path}: no well is left of wells {_say(wells)} without "
            f"{_say(exclude)}; the plate's wells are {_say_all(known)}"
        )
    return left


def _resolve(
    index: PlateIndex, known: Sequence[str], selection: str | Sequence[str], key: str
) -> set[str]:
    if selection == ALL_WELLS:
        return set(known)
    try:
        if isinstance(selection, str) and ":" in selection:
            found = _rectangle(known, selection)
            unknown = [] if found else [selection]
        else:
            found = {selection} if isinstance(selection, str) else set(selection)
            unknown = sorted(found - set(known), key=well_order)
    except ValueError as error:
        raise ConfigError(f"{index.plate_path}: {key}: {error}") from error
    if unknown:
        raise ConfigError(
            f"{index.plate_path}: {key} names {', '.join(unknown)}, which the plate does not have; "
            f"its wells are {_say_all(known)}"
        )
    return found


def _rectangle(known: Sequence[str], corners: str) -> set[str]:
    first, _, second = corners.partition(":")
    row_a, row_b = sorted(row_number(split_well(well)[0]) for well in (first, second))
    column_a, column_b = sorted(int(split_well(well)[1]) for well in (first, second))
    return {
        well
        for well in known
        if row_a <= well_order(well)[0] <= row_b and column_a <= well_order(well)[1] <= column_b
    }


def _say(selection: str | Sequence[str]) -> str:
    return selection if isinstance(selection, str) else f"[{', '.join(selection)}]"


def _say_all(wells: Sequence[str]) -> str:
    """List wells; of many the first and the last."""
    if len(wells) <= _LISTED_WELLS:
        return ", ".join(wells)
    return f"{wells[0]} to {wells[-1]} ({len(wells)})"
