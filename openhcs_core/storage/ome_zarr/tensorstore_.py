"""Pixels of zarr arrays, by tensorstore: files written whole and in parallel, planes read so."""

import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from math import prod
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from openhcs_core.errors import InputDataError
from openhcs_core.ground.disk_space import naming_full_disk
from openhcs_core.storage.bounded_json import parse_json
from openhcs_core.storage.ome_zarr.layout import AXES, ArrayLayout, Place, array_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DRIVERS = {"zarr.json": "zarr3", ".zarray": "zarr"}
_MOST_FILES = 8
_MOST_PLANE_BYTES = 2**34
_SYSTEM_ERROR = re.compile(r"os_error_code='(\d+)'")
_FAILURES = (OSError, ValueError, LookupError, RuntimeError, NotImplementedError)
"""What tensorstore raises, by the status it ended with."""


class Pending(Protocol):
    """Work that goes on."""

    def result(self) -> Any:
        """Wait for it; raise what went wrong."""

    def done(self) -> bool:
        """Return whether there is nothing to wait for."""


class ArrayWriter:
    """Writes the blocks of a new array, whose metadata are in its folder.

    Parameters
    ----------
    folder : Path
        The array's.
    layout : ArrayLayout
        What its metadata say.
    """

    def __init__(self, folder: Path, layout: ArrayLayout) -> None:
        self._folder, self._layout = folder, layout
        with naming_failures(folder):
            self._array = _open(folder, is_new=True)

    def start(self, block: Place, pixels: "NDArray[Any]") -> Pending:
        """Start to write a block.

        Parameters
        ----------
        block : (int, int, int)
            Its number along t, c, z.
        pixels : ndarray
            ``[t, c, z, y, x]`` of the whole block, which is not to be changed any more.
        """
        at = tuple(
            slice(number * size, (number + 1) * size)
            for number, size in zip(block, self._layout.block.planes, strict=True)
        )
        pending: Pending = self._array[at].write(
            pixels, can_reference_source_data_indefinitely=True
        )
        return _Named(self._folder, pending)


@dataclass(frozen=True)
class _Named:
    """Work whose failures are named."""

    folder: Path
    pending: Pending

    def result(self) -> None:
        with naming_failures(self.folder):
            self.pending.result()

    def done(self) -> bool:
        return self.pending.done()


class MemoryArray:
    """Chunks of an array encoded into memory, one a number along its first axis.

    Parameters
    ----------
    metadata : mapping
        Of zarr v3, with chunks of length 1 along that axis.
    context : tensorstore.Context
        Has the memory, and threads.
    name : str
        No other array of the context has it.
    """

    def __init__(self, metadata: Mapping[str, Any], context: Any, name: str) -> None:
        import tensorstore

        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "memory", "path": f"{name}/"},
            "metadata": metadata,
            "store_data_equal_to_fill_value": True,
        }
        self._array = tensorstore.open(spec, create=True, context=context).result()
        self._key = "c/{}" + "/0" * (len(self._array.shape) - 1)

    def start(self, number: int, values: "NDArray[Any]") -> Pending:
        """Start to encode a chunk, whose values are not to be changed any more."""
        pending: Pending = self._array[number].write(
            values, can_reference_source_data_indefinitely=True
        )
        return pending

    def take(self, number: int) -> bytes:
        """Return an encoded chunk that was waited for; it is not here any more."""
        store, key = self._array.kvstore, self._key.format(number)
        assert store is not None
        content: bytes = store.read(key).result().value
        store.write(key, None).result()
        return content


@contextmanager
def naming_failures(folder: Path) -> Iterator[None]:
    """Raise what the system said when the block meets an error of tensorstore's.

    Raises
    ------
    DiskFullError
        There is no room for the array in `folder`.
    OSError
        It cannot be written for another reason.
    """
    with naming_full_disk(folder):
        try:
            yield
        except _FAILURES as error:
            found = _SYSTEM_ERROR.search(str(error))
            if found is None:
                raise
            code = int(found[1])
            raise OSError(code, os.strerror(code), str(folder)) from error


class WriteQueue:
    """Blocks on their way to disk, as many as memory allows; leaving it waits for all of them.

    Parameters
    ----------
    most_bytes : int
        Pixels that may be on their way while the next block is made.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._started: deque[tuple[Pending, int]] = deque()
        self._threads = ThreadPoolExecutor(_MOST_FILES)
        self._arrays = 0

    def encode(self, metadata: Mapping[str, Any]) -> MemoryArray:
        """Return an array in memory, which is gone with this."""
        self._arrays += 1
        return MemoryArray(metadata, self._context, str(self._arrays))

    @cached_property
    def _context(self) -> Any:
        return _context(cache_bytes=0)

    def put(self, pending: Pending, size_bytes: int) -> None:
        """Take what was started; it is waited for in this order."""
        self._started.append((pending, size_bytes))
        self._bytes += size_bytes

    def run(self, work: Callable[[], None]) -> None:
        """Do something in a thread meanwhile, such as waiting for a disk."""
        self._started.append((self._threads.submit(work), 0))

    def make_room(self, most_bytes: int | None = None) -> None:
        """Wait until no more than what is allowed, or than `most_bytes`, is on its way.

        What was put first and is done is finished in any case.

        Raises
        ------
        OSError
            A block cannot be written.
        """
        most = self._most_bytes if most_bytes is None else most_bytes
        while self._started and (self._bytes > most or self._started[0][0].done()):
            pending, size = self._started.popleft()
            self._bytes -= size
            pending.result()

    def __enter__(self) -> "WriteQueue":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.make_room(-1)
        finally:
            while self._started:  # nothing is written any more once it is left
                with suppress(*_FAILURES):
                    self._started.popleft()[0].result()
            self._threads.shutdown()


class ArrayReader:
    """Reads planes of an array.

    Parameters
    ----------
    folder : Path
        The array's, of zarr v3 or v2.

    Attributes
    ----------
    plane_shape : tuple of int
        ``(Y, X)``.
    dtype : numpy.dtype
        In native byte order.

    Raises
    ------
    InputDataError
        The array's metadata are missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            parse_json(array_file(folder).read_bytes())  # tensorstore dies of what is nested deeply
            array = _open(folder, is_new=False)
            _check_shape(array)
            chunk = array.chunk_layout.read_chunk.shape
            if any(size > 1 for size in chunk[:3]):
                # kept, or it would be decoded once for each plane that is in it
                cache_bytes = prod(chunk) * array.dtype.numpy_dtype.itemsize
                array = _open(folder, is_new=False, cache_bytes=cache_bytes)
        except _FAILURES as error:
            raise InputDataError(
                f"{folder}: array cannot be opened ({error}); write the well again"
            ) from error
        self._array = array
        self.plane_shape: tuple[int, ...] = tuple(array.shape[3:])
        self.dtype = array.dtype.numpy_dtype

    def start(self, place: Place, out: "NDArray[Any]") -> Pending:
        """Start to read the plane at ``(t, c, z)`` into `out`, ``[Y, X]`` of the array's dtype.

        Raises
        ------
        InputDataError
            The array has no such plane.
        """
        import tensorstore

        try:
            plane = self._array[place]
        except IndexError as error:
            raise InputDataError(
                f"{self._folder}: there is no plane [t, c, z] = {list(place)}"
            ) from error
        pending: Pending = tensorstore.array(out).write(plane)
        return pending

    def finish(self, place: Place, pending: Pending) -> None:
        """Wait for a plane.

        Raises
        ------
        InputDataError
            Its file is missing or damaged.
        """
        try:
            pending.result()
        except _FAILURES as error:
            raise InputDataError(
                f"{self._folder}: plane [t, c, z] = {list(place)} is missing or damaged "
                f"({error}); write the well again"
            ) from error

    def read(self, place: Place) -> "NDArray[Any]":
        """Return one plane, owned by the caller.

        Raises
        ------
        InputDataError
            Its file is missing or damaged.
        """
        import numpy as np

        out = np.empty(self.plane_shape, self.dtype)
        self.finish(place, self.start(place, out))
        return out


def _check_shape(array: Any) -> None:
    """Refuse what has other axes, or declares planes that no image has."""
    if len(array.shape) != len(AXES):
        raise ValueError(f"expected axes {', '.join(AXES)}, found shape {array.shape}")
    plane_bytes = prod(array.shape[3:]) * array.dtype.numpy_dtype.itemsize
    if plane_bytes > _MOST_PLANE_BYTES:
        raise ValueError(f"planes of {plane_bytes} bytes; at most {_MOST_PLANE_BYTES} are read")


def _open(folder: Path, *, is_new: bool, cache_bytes: int = 0) -> Any:
    import tensorstore

    # a chunk that is all zero is a file too: what is missing has been lost
    holes = "store_data_equal_to_fill_value" if is_new else "fill_missing_data_reads"
    spec = {
        "driver": _DRIVERS[array_file(folder).name],
        "kvstore": {"driver": "file", "path": f"{folder.absolute()}/"},
        holes: is_new,
    }
    context = _context(cache_bytes) if cache_bytes else _usual_context()
    return tensorstore.open(
        spec, open=True, read=not is_new, write=is_new, context=context
    ).result()


@cache
def _usual_context() -> Any:
    return _context(cache_bytes=0)


def _context(cache_bytes: int) -> Any:
    """Return limits for tensorstore: as many threads as cores are ours, and what it may keep.

    Files are waited for, not computed: there may be more of them at a time.
    """
    import tensorstore

    cores = len(os.sched_getaffinity(0))
    return tensorstore.Context(
        {
            "cache_pool": {"total_bytes_limit": cache_bytes},
            "data_copy_concurrency": {"limit": cores},
            "file_io_concurrency": {"limit": max(_MOST_FILES, cores)},
        }
    )
