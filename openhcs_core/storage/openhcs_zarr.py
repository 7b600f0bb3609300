"""Zarr stores that OpenHCS wrote: OME-Zarr 0.4 with the images' file names beside each array."""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.bounded_json import parse_json
from openhcs_core.storage.locations import LocalPlate
from openhcs_core.storage.plate_source import PlateSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NAME_MAPS = ("polystore_filename_map", "openhcs_filename_map")
"""Attributes with the place of each image, by the version of OpenHCS."""

_WELL = re.compile(r"(?P<row>[A-Z]{1,2})(?P<column>[0-9]{2})_")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one image is: an array, and indices of its leading axes."""

    array: str
    indices: tuple[int, ...]


class OpenHCSZarr:
    """Reads images by name from one store, e.g. ``zarr`` of a plate.

    Parameters
    ----------
    source : PlateSource
        The plate.
    folder : str
        The store, relative to the plate.
    """

    def __init__(self, source: PlateSource, folder: str) -> None:
        if not isinstance(source, LocalPlate):
            raise StorageResolutionError(
                f"{source.where(folder)}: zarr stores are read on this machine only; copy the plate"
            )
        self._source, self._folder = source, folder
        self._wells: dict[str, dict[str, _Place]] = {}

    def exists(self, name: str) -> bool:
        """Return whether the store has an image of that name."""
        try:
            self._place(name)
        except InputDataError:
            return False
        return True

    def array_path(self, name: str) -> Path:
        """Return the folder of the array that holds an image."""
        return self._inside(self._place(name).array)

    def place(self, name: str) -> tuple[str, tuple[int, ...]]:
        """Return the array of an image, relative to the plate, and indices of its leading axes.

        Raises
        ------
        InputDataError
            There is no such image.
        """
        place = self._place(name)
        return place.array, place.indices

    def read(self, name: str) -> "NDArray[Any]":
        """Read one image as ``[Y, X]``, dtype as stored in native byte order.

        Raises
        ------
        InputDataError
            There is no such image, or its array is damaged or incomplete.
        """
        import zarr

        place = self._place(name)
        folder = self._inside(place.array)
        try:
            array: Any = zarr.open_array(folder, mode="r", zarr_format=2)
            self._check_chunks(array, folder, place, name)
            image = array[place.indices]
        except InputDataError:
            raise
        except (OSError, ValueError, TypeError, LookupError, RuntimeError, zlib.error) as error:
            raise InputDataError(
                f"{folder}: {name} cannot be read from it ({error}); copy the store again"
            ) from error
        plane: NDArray[Any] = image.astype(image.dtype.newbyteorder("="), copy=False)
        return plane

    def _check_chunks(self, array: Any, folder: Path, place: _Place, name: str) -> None:
        """Raise where zarr would make values up: for chunks that are not there."""
        shape, chunks, indices = array.shape, array.chunks, place.indices
        inside = all(index < size for index, size in zip(indices, shape, strict=False))
        if len(indices) != len(shape) - 2 or not inside:
            raise InputDataError(
                f"{folder}: {name} is said to be at {list(indices)}, but the array has shape "
                f"{list(shape)}; copy the store again"
            )
        separator = self._json(f"{place.array}/.zarray").get("dimension_separator", ".")
        lead = [index // size for index, size in zip(indices, chunks, strict=False)]
        tail = [range(-(-shape[axis] // chunks[axis])) for axis in (-2, -1)]
        for y, x in product(*tail):
            chunk = folder / separator.join(map(str, (*lead, y, x)))
            if not chunk.is_file():
                raise InputDataError(
                    f"{chunk} is missing: {name} has no pixels there, or was all zeros when it "
                    "was written, which cannot be told apart; copy the store again"
                )

    def _place(self, name: str) -> _Place:
        match = _WELL.match(name)
        if match is None:
            raise InputDataError(
                f"{self._where}: {name!r} does not begin with a well; expected a name such as "
                "A01_s001_w1_z001_t001.tif"
            )
        well = f"{match['row']}/{match['column']}"
        if well not in self._wells:
            self._wells[well] = self._read_well(well)
        if name not in self._wells[well]:
            raise InputDataError(
                f"{self._where}/{name}: there is no such image; well {well} has "
                f"{len(self._wells[well])}"
            )
        return self._wells[well][name]

    def _read_well(self, well: str) -> dict[str, _Place]:
        paths = [entry.get("path") for entry in self._plate_wells]
        if well not in paths:
            raise InputDataError(f"{self._where}: there is no well {well} among {len(paths)}")
        folder = f"{self._folder}/{well}"
        images = self._json(f"{folder}/.zattrs").get("well", {}).get("images", [])
        places: dict[str, _Place] = {}
        for image in images:
            array = f"{folder}/{image['path']}/0"
            for name, indices in self._names(array).items():
                places[name] = _Place(array, tuple(indices))
        return places

    def _names(self, array: str) -> Mapping[str, Any]:
        attributes = self._json(f"{array}/.zattrs")
        for key in _NAME_MAPS:
            if isinstance(attributes.get(key), dict):
                names: Mapping[str, Any] = attributes[key]
                return names
        raise InputDataError(
            f"{self._source.where(array)}/.zattrs has none of {', '.join(_NAME_MAPS)}: "
            "OpenHCS did not write this store; open it as OME-Zarr"
        )

    @cached_property
    def _plate_wells(self) -> list[dict[str, Any]]:
        wells = self._json(f"{self._folder}/.zattrs").get("plate", {}).get("wells", [])
        return [entry for entry in wells if isinstance(entry, dict)]

    @property
    def _where(self) -> str:
        return self._source.where(self._folder)

    def _inside(self, path: str) -> Path:
        """Return a folder of the store, unless a name in its metadata or a link leads out of it."""
        return self._source.content(f"{path}/.zarray").parent

    def _json(self, path: str) -> dict[str, Any]:
        try:
            data = parse_json(self._source.content(path).read_bytes())
        except ValueError as error:
            raise InputDataError(f"{self._source.where(path)} is not JSON: {error}") from error
        if not isinstance(data, dict):
            raise InputDataError(f"{self._source.where(path)}: expected an object, found {data!r}")
        return data
