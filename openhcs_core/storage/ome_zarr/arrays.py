"""Images as zarr arrays, a level of the pyramid each, written block by block."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.config import ZarrConfig
from openhcs_core.errors import InputDataError
from openhcs_core.storage.ome_zarr.groups import write_json
from openhcs_core.storage.ome_zarr.layout import (
    DTYPES,
    ArrayLayout,
    Place,
    choose_block,
)
from openhcs_core.storage.ome_zarr.metadata import DisplayRange
from openhcs_core.storage.ome_zarr.pyramid import Reduction, level_shapes
from openhcs_core.storage.ome_zarr.tensorstore_ import ArrayWriter, WriteQueue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from openhcs_core.storage.ome_zarr.model import PlaneSource


@dataclass(frozen=True, slots=True)
class WrittenImage:
    """What :func:`write_levels` saw: dtype name, ``(Y, X)`` of each level, each channel's span."""

    dtype: str
    shapes: tuple[tuple[int, int], ...]
    ranges: Mapping[int, DisplayRange]


def level_layouts(
    outer: Place, shape: tuple[int, int], dtype: str, config: ZarrConfig
) -> list[ArrayLayout]:
    """Return the array of each level of an image; all have the same planes in a file.

    Parameters
    ----------
    outer : (int, int, int)
        Length of the axes t, c, z.
    shape : (int, int)
        ``(Y, X)`` of the image itself.
    dtype : str
        numpy's name.
    config : ZarrConfig
        Chunks, codec and levels.
    """
    import numpy as np

    block = choose_block(outer, shape[0] * shape[1] * np.dtype(dtype).itemsize, config)
    return [
        ArrayLayout((*outer, *level), dtype, block, config) for level in level_shapes(shape, config)
    ]


def write_levels(
    folder: Path,
    planes: "Iterable[tuple[str, Place, PlaneSource]]",
    outer: Place,
    config: ZarrConfig,
    reduction: Reduction,
    queue: WriteQueue,
) -> WrittenImage:
    """Write an image as arrays ``0``, ``1``… of axes t, c, z, y, x; planes not given are zero.

    Parameters
    ----------
    folder : Path
        The image's new folder.
    planes : iterable of (str, (int, int, int), ndarray or callable)
        Name for messages, place ``(t, c, z)``, and pixels ``[Y, X]``, ordered by place. Values
        are written as they are, byte order apart. The planes of one file are in memory at
        once: a shard that is written plane by plane costs six times one that is written whole.
    outer : (int, int, int)
        Length of the axes t, c, z.
    config : ZarrConfig
        Chunks, codec and levels.
    reduction : Reduction
        How each further level is made.
    queue : WriteQueue
        What is still on its way to disk afterwards.

    Raises
    ------
    InputDataError
        A plane has another shape or dtype than the first, or is no image.
    OSError
        The folder cannot be written.
    """
    levels: _Levels | None = None
    extents: dict[int, list[tuple[float, float] | None]] = {}
    for name, place, image in _checked_planes(planes):
        if levels is None:
            layouts = level_layouts(outer, image.shape, image.dtype.name, config)
            layouts[0].check(name)
            levels = _Levels(folder, layouts, reduction, queue)
        levels.add(place, image)
        extents.setdefault(place[1], []).append(plane_extent(image))
    if levels is None:
        raise InputDataError(f"{folder}: expected an image, found no planes; leave it out")
    levels.put_block()
    dtype = levels.layouts[0].dtype
    ranges = {channel: display_range(extents[channel], dtype) for channel in sorted(extents)}
    return WrittenImage(dtype, tuple(layout.shape[3:] for layout in levels.layouts), ranges)


@dataclass
class _Levels:
    """The arrays of one image while they are written: one block of each level is in memory."""

    folder: Path
    layouts: list[ArrayLayout]
    reduction: Reduction
    queue: WriteQueue
    block: Place | None = None
    buffers: "list[NDArray[Any]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self.writers = []
        for number, layout in enumerate(self.layouts):
            array = self.folder / str(number)
            write_json(array / layout.file, layout.metadata())
            self.writers.append(ArrayWriter(array, layout))

    def add(self, place: Place, image: "NDArray[Any]") -> None:
        """Take the next plane; the array must not be changed until it is written."""
        import numpy as np

        layout = self.layouts[0]
        if layout.block.planes == (1, 1, 1):  # a plane a file: it need not be put together
            self.block = layout.block_of(place)
            for plane in self._levels_of(image):
                self.buffers.append(np.ascontiguousarray(plane, layout.dtype)[None, None, None])
            self.put_block()
            return
        if layout.block_of(place) != self.block:
            self.put_block()
            self.block = layout.block_of(place)
            self.buffers = [np.zeros(one.block_shape, one.dtype) for one in self.layouts]
        t, c, z = (at % size for at, size in zip(place, layout.block.planes, strict=True))
        for plane, buffer in zip(self._levels_of(image), self.buffers, strict=True):
            buffer[t, c, z] = plane

    def _levels_of(self, image: "NDArray[Any]") -> "Iterator[NDArray[Any]]":
        yield image
        for _ in self.layouts[1:]:
            image = self.reduction.halve(image)
            yield image

    def put_block(self) -> None:
        """Hand the block that was added last over to be written, if there is one."""
        if self.block is not None and self.buffers:
            for writer, buffer in zip(self.writers, self.buffers, strict=True):
                self.queue.put(writer, self.block, buffer)
        self.buffers = []
        self.queue.make_room()


def _checked_planes(
    planes: "Iterable[tuple[str, Place, PlaneSource]]",
) -> "Iterator[tuple[str, Place, NDArray[Any]]]":
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
        if image.dtype.name not in DTYPES:
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
        yield name, place, image


def _described(image: Any) -> str:
    """Return shape and dtype whatever the byte order, ``256x256 uint16``."""
    import numpy as np

    if not isinstance(image, np.ndarray):
        return type(image).__name__
    return f"{'x'.join(map(str, image.shape))} {image.dtype.name}"


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
