"""Zarr v3 arrays of image planes, by zarr-python: a field written whole, planes read singly."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from openhcs_core.config import ZarrChunkStrategy, ZarrCompressor, ZarrConfig
from openhcs_core.errors import InputDataError
from openhcs_core.storage.ome_zarr.metadata import AXES, DisplayRange

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from openhcs_core.storage.ome_zarr.model import PlaneSource

Place = tuple[int, int, int]
"""Index ``(t, c, z)`` of a plane."""

_DTYPES = frozenset(
    {"bool", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


@dataclass(frozen=True, slots=True)
class WrittenArray:
    """What :func:`write_array` saw: ``(Y, X)``, dtype name, and each channel's span."""

    plane_shape: tuple[int, ...]
    dtype: str
    ranges: Mapping[int, DisplayRange]


def write_array(
    folder: Path,
    planes: "Iterable[tuple[str, Place, PlaneSource]]",
    outer_shape: Place,
    config: ZarrConfig,
) -> WrittenArray:
    """Write an array ``[t, c, z, y, x]``; planes that are not given are zero.

    Parameters
    ----------
    folder : Path
        The array's new folder.
    planes : iterable of (str, (int, int, int), ndarray or callable)
        Name for messages, place ``(t, c, z)``, and pixels ``[Y, X]``. Values are written as
        they are, byte order apart. The whole array is in memory once: a shard that is
        written plane by plane costs six times one that is written whole.
    outer_shape : (int, int, int)
        Length of the axes t, c, z.
    config : ZarrConfig
        Chunks and codec.

    Raises
    ------
    InputDataError
        A plane has another shape or dtype than the first, or is no image.
    """
    whole, places = _assemble(planes, outer_shape)
    array = _create_array(folder, whole.shape, whole.dtype, config)
    with _one_thread_a_chunk():
        if config.chunk_strategy is ZarrChunkStrategy.WELL:
            array[...] = whole
        else:
            for place in places:
                array[place] = whole[place]
    _sync(folder)
    ranges = {
        channel: _span([whole[place] for place in places if place[1] == channel])
        for channel in sorted({place[1] for place in places})
    }
    return WrittenArray(whole.shape[3:], whole.dtype.name, ranges)


def _create_array(store: Any, shape: tuple[int, ...], dtype: Any, config: ZarrConfig) -> Any:
    """Create an array of planes in a folder or another store of zarr's."""
    import zarr

    return zarr.create_array(
        store,
        shape=shape,
        dtype=dtype,
        chunks=(1, 1, 1, *shape[3:]),
        shards=shape if config.chunk_strategy is ZarrChunkStrategy.WELL else None,
        compressors=_compressors(config),
        fill_value=0,
        dimension_names=AXES,
        # a chunk that is all zero is a file too: what is missing has been lost
        config={"write_empty_chunks": True},
    )


def array_metadata(shape: tuple[int, ...], dtype: str, config: ZarrConfig) -> dict[str, Any]:
    """Return what the ``zarr.json`` of an array that :func:`write_array` makes means."""
    from zarr.storage import MemoryStore

    metadata: dict[str, Any] = _create_array(MemoryStore(), shape, dtype, config).metadata.to_dict()
    return metadata


def read_array_metadata(folder: Path) -> dict[str, Any]:
    """Return what the ``zarr.json`` of an array means, however it is written down.

    Raises
    ------
    InputDataError
        It is missing or damaged.
    """
    metadata: dict[str, Any] = _open(folder).metadata.to_dict()
    return metadata


def chunk_file(place: Place, config: ZarrConfig) -> str:
    """Return the file that a plane is in, relative to its array."""
    at = (0, 0, 0) if config.chunk_strategy is ZarrChunkStrategy.WELL else place
    return "/".join(["c", *map(str, at), "0", "0"])


def _assemble(
    planes: "Iterable[tuple[str, Place, PlaneSource]]", outer_shape: Place
) -> "tuple[NDArray[Any], list[Place]]":
    """Load planes one after the other into ``[t, c, z, y, x]``, and return their places too."""
    import numpy as np

    whole: NDArray[Any] = np.empty(0)
    places: list[Place] = []
    for place, image in _checked_planes(planes):
        if not places:
            whole = np.zeros((*outer_shape, *image.shape), image.dtype.newbyteorder("="))
        whole[place] = image
        places.append(place)
    return whole, places


def open_array(folder: Path) -> "Callable[[Place], NDArray[Any]]":
    """Return a function that reads the plane at ``(t, c, z)`` as ``[Y, X]``, owned by the caller.

    Raises
    ------
    InputDataError
        The array's metadata are missing or damaged; from the returned function: the plane's
        chunk is missing or damaged.
    """
    import numpy as np

    array = _open(folder)
    grid = array.shards or array.chunks

    def read(place: Place) -> "NDArray[Any]":
        # zarr reads a lost file as zeros
        file = folder.joinpath(
            "c", *(str(at // size) for at, size in zip(place, grid, strict=False))
        )
        damaged = f"{folder}: plane [t, c, z] = {list(place)} is missing or damaged"
        if not (file / "0" / "0").is_file():
            raise InputDataError(f"{damaged}; write the well again")
        try:
            return np.array(array[place])
        except (OSError, ValueError, LookupError, RuntimeError) as error:
            raise InputDataError(f"{damaged} ({error}); write the well again") from error

    return read


def _open(folder: Path) -> Any:
    import zarr

    try:
        return zarr.open_array(folder, mode="r", zarr_format=3)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputDataError(
            f"{folder}: array cannot be opened ({error}); write the well again"
        ) from error


def _compressors(config: ZarrConfig) -> Any:
    from zarr.codecs import BloscCodec

    if config.compressor is ZarrCompressor.NONE:
        return None
    name: Literal["zstd", "lz4"] = "zstd" if config.compressor is ZarrCompressor.ZSTD else "lz4"
    return BloscCodec(cname=name, clevel=config.compression_level, shuffle="bitshuffle")


@contextmanager
def _one_thread_a_chunk() -> Iterator[None]:
    """Keep blosc from its threads: they put the blocks of a chunk in the order they end in."""
    from numcodecs import blosc  # type: ignore[attr-defined]  # compiled, without types

    before = blosc.use_threads
    blosc.use_threads = False
    try:
        yield
    finally:
        blosc.use_threads = before


def _sync(folder: Path) -> None:
    """Bring every file of a folder to disk: it is renamed into place afterwards."""
    for file in folder.rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _checked_planes(
    planes: "Iterable[tuple[str, Place, PlaneSource]]",
) -> "Iterator[tuple[Place, NDArray[Any]]]":
    """Load each plane and check it against the first."""
    import numpy as np

    expected: tuple[str, str] | None = None
    for name, place, source in planes:
        image = source() if callable(source) else source
        if not isinstance(image, np.ndarray) or image.ndim != len("yx") or image.size == 0:
            raise InputDataError(
                f"{name}: expected a numpy array [Y, X], found {_described(image)}; "
                "a step has to return one image a plane"
            )
        if image.dtype.name not in _DTYPES:
            raise InputDataError(
                f"{name}: expected whole or floating numbers, found {image.dtype}; convert it first"
            )
        found = _described(image)
        if expected is None:
            expected = (found, name)
        elif found != expected[0]:
            raise InputDataError(
                f"{name}: expected {expected[0]} like {expected[1]}, found {found}; all planes of "
                "a field need one shape and dtype: set output_dtype, or keep the channels apart"
            )
        yield place, image


def _described(image: Any) -> str:
    """Return shape and dtype whatever the byte order, ``256x256 uint16``."""
    import numpy as np

    if not isinstance(image, np.ndarray):
        return type(image).__name__
    return f"{'x'.join(map(str, image.shape))} {image.dtype.name}"


def _span(images: "list[NDArray[Any]]") -> DisplayRange:
    """Return what a channel's finite values span."""
    return display_range([plane_extent(image) for image in images], images[0].dtype.name)


def plane_extent(image: "NDArray[Any]") -> tuple[float, float] | None:
    """Return the smallest and the largest finite value of a plane, None without any."""
    import numpy as np

    values = image[np.isfinite(image)] if image.dtype.kind == "f" else image
    return (float(values.min()), float(values.max())) if values.size else None


def display_range(extents: Iterable[tuple[float, float] | None], dtype: str) -> DisplayRange:
    """Return what planes of these extents span together, never of no width, for viewers."""
    import numpy as np

    known = [extent for extent in extents if extent is not None]
    low = min((extent[0] for extent in known), default=0.0)
    high = max((extent[1] for extent in known), default=0.0)
    end = high if high > low else low + 1
    if np.dtype(dtype).kind in "ui":
        limits = np.iinfo(dtype)
        return DisplayRange(float(limits.min), float(limits.max), low, end)
    return DisplayRange(low, end, low, end)
