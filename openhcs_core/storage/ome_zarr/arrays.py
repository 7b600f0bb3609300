"""Images as zarr arrays, a level of the pyramid each, written block by block."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
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
from openhcs_core.storage.ome_zarr.shards import ShardWriter
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
        are written as they are, byte order apart. A shard is written a plane at a time; the
        planes of one chunk are in memory at once.
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
            block = layouts[0].block
            kind = _Shards if block.is_shard and prod(block.planes) > 1 else _Blocks
            levels = kind(folder, layouts, reduction, queue)
        levels.add(place, image)
        extents.setdefault(place[1], []).append(plane_extent(image))
    if levels is None:
        raise InputDataError(f"{folder}: expected an image, found no planes; leave it out")
    levels.finish()
    dtype = levels.layouts[0].dtype
    ranges = {channel: display_range(extents[channel], dtype) for channel in sorted(extents)}
    return WrittenImage(dtype, tuple(layout.shape[3:] for layout in levels.layouts), ranges)


class _Levels(ABC):
    """The arrays of one image while they are written: a level of the pyramid each."""

    def __init__(
        self, folder: Path, layouts: list[ArrayLayout], reduction: Reduction, queue: WriteQueue
    ) -> None:
        self.layouts, self.queue = layouts, queue
        self._halve = reduction.halve
        self.folders = [folder / str(number) for number in range(len(layouts))]
        for array, layout in zip(self.folders, layouts, strict=True):
            write_json(array / layout.file, layout.metadata())

    @abstractmethod
    def add(self, place: Place, image: "NDArray[Any]") -> None:
        """Take the next plane; the array must not be changed until it is written."""

    @abstractmethod
    def finish(self) -> None:
        """Hand over what is left."""

    def levels_of(self, image: "NDArray[Any]") -> "Iterator[NDArray[Any]]":
        """Yield an image and its smaller copies."""
        yield image
        for _ in self.layouts[1:]:
            image = self._halve(image)
            yield image


class _Blocks(_Levels):
    """Written a file at a time: one of each level is put together in memory."""

    def __init__(
        self, folder: Path, layouts: list[ArrayLayout], reduction: Reduction, queue: WriteQueue
    ) -> None:
        super().__init__(folder, layouts, reduction, queue)
        self._writers = [
            ArrayWriter(array, layout) for array, layout in zip(self.folders, layouts, strict=True)
        ]
        self._block: Place | None = None
        self._buffers: list[NDArray[Any]] = []

    def add(self, place: Place, image: "NDArray[Any]") -> None:
        import numpy as np

        layout = self.layouts[0]
        if layout.block.planes == (1, 1, 1):  # a plane a file: it need not be put together
            self._block = layout.block_of(place)
            for plane in self.levels_of(image):
                self._buffers.append(np.ascontiguousarray(plane, layout.dtype)[None, None, None])
            self.finish()
            return
        if layout.block_of(place) != self._block:
            self.finish()
            self._block = layout.block_of(place)
            self._buffers = [np.zeros(one.block_shape, one.dtype) for one in self.layouts]
        t, c, z = (at % size for at, size in zip(place, layout.block.planes, strict=True))
        for plane, buffer in zip(self.levels_of(image), self._buffers, strict=True):
            buffer[t, c, z] = plane

    def finish(self) -> None:
        """Hand the block that was added last over to be written, if there is one."""
        if self._block is not None:
            for writer, buffer in zip(self._writers, self._buffers, strict=False):
                self.queue.put(writer.start(self._block, buffer), buffer.nbytes)
        self._buffers = []
        self.queue.make_room()


class _Shards(_Levels):
    """Written a plane at a time, into the shard of each level."""

    def __init__(
        self, folder: Path, layouts: list[ArrayLayout], reduction: Reduction, queue: WriteQueue
    ) -> None:
        super().__init__(folder, layouts, reduction, queue)
        self._writers = [
            ShardWriter(array, layout, queue)
            for array, layout in zip(self.folders, layouts, strict=True)
        ]
        self._last: Place | None = None
        self._filled = 0

    def add(self, place: Place, image: "NDArray[Any]") -> None:
        layout = self.layouts[0]
        if self._last is None or layout.block_of(place) != layout.block_of(self._last):
            self.finish()
        self._last = place
        self._fill(layout.number_in_block(place))
        self._put(image)

    def finish(self) -> None:
        """Fill the shard that was begun, if there is one, and end it with its index."""
        if self._last is not None:
            self._fill(prod(self.layouts[0].block.planes))
            for writer in self._writers:
                writer.close(self._last)
        self._filled = 0

    def _fill(self, number: int) -> None:
        """Write zeros for planes that are not given, up to that of a number in the shard."""
        import numpy as np

        while self._filled < number:
            self._put(np.zeros(self.layouts[0].shape[3:], self.layouts[0].dtype))

    def _put(self, image: "NDArray[Any]") -> None:
        import numpy as np

        assert self._last is not None
        for writer, plane in zip(self._writers, self.levels_of(image), strict=True):
            writer.put(self._last, np.ascontiguousarray(plane, self.layouts[0].dtype))
        self._filled += 1
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
