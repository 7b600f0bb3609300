"""Planes that a list of the instrument names, and the files of them that are there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.listed_files import ListedFiles
from openhcs_core.microscopes.numbers import finite
from openhcs_core.microscopes.plate_index import Acquisition, ImageFile
from openhcs_core.microscopes.wells import well_name
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import PlateSource

MOST = 1_000_000
"""Numbers of rows, sites, planes… beyond it are no plate's."""


class ListedPlane(NamedTuple):
    """One image of a list, with the numbers that the list gives.

    Attributes
    ----------
    row, column : int
        From 1.
    site : int
        Its number.
    channel : str
        Its number.
    plane, timepoint : int
        From 0 or 1.
    path : str
        The file, relative to the list's folder; empty where the instrument recorded none.
    acquisition : Acquisition
        Where and when.
    """

    row: int
    column: int
    site: int
    channel: str
    plane: int
    timepoint: int
    path: str
    acquisition: Acquisition


@dataclass
class FoundPlanes:
    """The planes of a list, files of those that are there, and what else is in their folders.

    Attributes
    ----------
    unrecorded : int
        Images without a file by the list itself.
    """

    images: list[ImageFile] = field(default_factory=list)
    acquisitions: dict[PlaneKey, Acquisition] = field(default_factory=dict)
    surplus: tuple[str, ...] = ()
    warnings: list[str] = field(default_factory=list)
    unrecorded: int = 0


class Numbers(dict[str, int]):
    """Whole numbers by their texts, of which a list has few; `ValueError` for others."""

    def __missing__(self, text: str) -> int:
        """Read a number that is met for the first time."""
        number = int(text)
        if not 0 <= number <= MOST:
            raise ValueError(text)
        self[text] = number
        return number


class Lengths(dict[str, float | None]):
    """Lengths in µm by their texts; None for what is no number.

    Parameters
    ----------
    scale : float
        µm of one unit of the list; 0: the unit is not known.
    is_upwards : bool
        The list's grow upwards, as those of images do not.
    """

    def __init__(self, scale: float = 1.0, *, is_upwards: bool = False) -> None:
        super().__init__()
        self._scale, self._is_upwards = scale, is_upwards

    def __missing__(self, text: str) -> float | None:
        """Read a length without the last digits that only the change of unit made."""
        number = finite(text) if self._scale else None
        if number is not None and self._scale != 1.0:
            number = round(number * self._scale, 6)
        if number is not None and self._is_upwards:
            number = 0.0 - number
        self[text] = number
        return number


def find_planes(
    source: PlateSource, path: str, planes: Sequence[ListedPlane], hint: str
) -> FoundPlanes:
    """Find each plane of a list in its folder.

    Parameters
    ----------
    path : str
        The list, relative to the plate.
    hint : str
        Why a list may name several images of one plane, and what to do.

    Raises
    ------
    InputDataError
        The list names a plane or a file twice, a well that no plate has, or a file elsewhere.
    """
    where = source.where(path)
    files, found, new = ListedFiles(source, path), FoundPlanes(), tuple.__new__
    first_plane = int(any(plane[4] == 0 for plane in planes))
    first_time = int(any(plane[5] == 0 for plane in planes))
    folder, find, add = files.folder, files.find, found.images.append
    wells: dict[tuple[int, int], str] = {}
    keys: dict[str, PlaneKey] = {}
    for listed in planes:  # 1e6 times: no call that can be spared
        row, column, site, channel, plane, time, name, acquisition = listed
        well = wells.get((row, column))
        if well is None:
            well = wells[row, column] = listed_well(row, column, where)
        key = new(PlaneKey, (well, site, channel, plane + first_plane, time + first_time))
        if found.acquisitions.setdefault(key, acquisition) is not acquisition:
            raise InputDataError(
                f"{where} lists several images of well {well} field {site} channel {channel} "
                f"plane {plane} time {time}, {name} among them: {hint}"
            )
        if not name:
            found.unrecorded += 1
            continue
        if keys.setdefault(name, key) is not key:
            raise InputDataError(
                f"{where} lists {name} twice, as {keys[name].filename} and {key.filename}; "
                "expected one plane a file"
            )
        status = find(name)
        if status is not None:
            add(new(ImageFile, (key, folder + name, status.st_size, status.st_mtime_ns)))
    found.warnings = files.warnings
    found.surplus = files.surplus(keys.keys())
    return found


def listed_well(row: int, column: int, where: str) -> str:
    """Return the well that a list means.

    Raises
    ------
    InputDataError
        No plate has it.
    """
    try:
        return well_name(row, column)
    except ValueError as error:
        raise InputDataError(f"{where}: {error}") from error


def one_list(source: PlateSource, paths: Sequence[str], what: str) -> str:
    """Return the one list of a plate.

    Raises
    ------
    InputDataError
        There is none, or there are several.
    """
    if not paths:
        raise InputDataError(
            f"{source.name} has no {what}, in this folder or below; give the folder of one "
            "measurement"
        )
    if len(paths) > 1:
        raise InputDataError(
            f"{source.name} has several lists of images: {', '.join(paths[:6])}; expected one "
            "measurement. Give the folder of a single one, or move a list away"
        )
    return paths[0]


def bad_numbers(
    where: str, names: Collection[str], texts: Collection[str], name: str
) -> InputDataError:
    """Return the error for an image whose numbers are none."""
    said = ", ".join(f"{key} {text!r}" for key, text in zip(names, texts, strict=True))
    return InputDataError(
        f"{where}: the image {name!r} has {said}; expected whole numbers up to {MOST}"
    )
