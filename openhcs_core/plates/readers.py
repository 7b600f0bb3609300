"""What reads converted planes back, to compare them with those of the plate."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from openhcs_core.planes import PlaneKey
from openhcs_core.storage import ImageMetadata, read_plane, well_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

Planes = Iterator[tuple[PlaneKey, "NDArray[Any]"]]


class PlaneReader(ABC):
    """Reads planes of an OME-Zarr plate."""

    name: ClassVar[str]

    @abstractmethod
    def read(self, out: Path, metadata: ImageMetadata, keys: Sequence[PlaneKey]) -> "Planes":
        """Yield planes, one at a time."""


class ZarrPythonReader(PlaneReader):
    """zarr-python, which has no code in common with what writes."""

    name = "zarr-python"

    def read(self, out: Path, metadata: ImageMetadata, keys: Iterable[PlaneKey]) -> "Planes":
        """See :meth:`PlaneReader.read`."""
        import zarr

        arrays: dict[tuple[str, int], Any] = {}
        for key in keys:
            field = (key.well, key.site)
            if field not in arrays:
                folder = out / well_path(key.well) / metadata.field_path(key.site) / "0"
                arrays[field] = zarr.open_array(folder, mode="r")
            yield key, arrays[field][metadata.index_of(key)]


class TensorstoreReader(PlaneReader):
    """tensorstore, which writes too: it decodes what is on disk."""

    name = "tensorstore"

    def read(self, out: Path, metadata: ImageMetadata, keys: Iterable[PlaneKey]) -> "Planes":
        """See :meth:`PlaneReader.read`."""
        for key in keys:
            yield key, read_plane(out, key)


def choose_reader() -> PlaneReader:
    """Return zarr-python where it is installed, else tensorstore."""
    from importlib.util import find_spec

    return TensorstoreReader() if find_spec("zarr") is None else ZarrPythonReader()
