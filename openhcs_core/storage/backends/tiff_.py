"""TIFF files by tifffile, with the checks that it leaves out."""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.backends.plain_tiff import read_plain

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tifffile import TiffFile

MOST_IMAGE_BYTES = 2**31
"""Pixels that a page may declare. A few bytes of a file are enough to declare any number."""

_MOST_TIMES_FILE = 100
"""Pixels of a stack, as a multiple of its file, beyond which a page's limit holds for all of it."""

_LFS_POINTER = b"version https://git-lfs"
_COPY_AGAIN = "copy or export this file again"


Content = str | Path | BinaryIO
"""A file to read: its path, or an open file with the whole of it."""


def read_tiff(content: Content, name: str | None = None) -> "NDArray[Any]":
    """Read the images of a TIFF file.

    tifffile returns an empty array for a truncated file and zeros for missing strips;
    here both are errors.

    Parameters
    ----------
    content : str, Path or binary file
        The file.
    name : str, optional
        What messages call it; its path when absent.

    Returns
    -------
    ndarray
        ``[Y, X]`` for one page, ``[page, Y, X]`` for several; dtype as stored, in native
        byte order.

    Raises
    ------
    InputDataError
        The file is missing, empty, truncated or no TIFF, or its compression is not supported.
    """
    with _open_tiff(content, name) as tif:
        image: NDArray[Any] = tif.asarray()
    if image.size == 0:
        raise InputDataError(f"{name or content}: expected an image, found none; {_COPY_AGAIN}")
    return image.astype(image.dtype.newbyteorder("="), copy=False)


def read_tiff_into(out: "NDArray[Any]", content: Content, name: str | None = None) -> None:
    """Read the one plane of a TIFF file into an array, without a copy between.

    Parameters
    ----------
    out : ndarray
        ``[Y, X]``, C-contiguous, in native byte order; undefined after an error.
    content, name
        See :func:`read_tiff`.

    Raises
    ------
    InputDataError
        See :func:`read_tiff`, or the file holds another shape or dtype than `out`.
    """
    try:
        if isinstance(content, str | Path) and read_plain(out, content):
            return
    except OSError as error:
        raise unreadable(name or str(content), error) from error
    with _open_tiff(content, name) as tif:
        page = tif.pages.first
        shape, dtype = page.shape, page.dtype
        # descriptions of ImageJ and tifffile may make a stack of what is one page
        if len(tif.pages) > 1 or page.is_imagej or page.is_shaped:
            shape, dtype = tif.series[0].shape, tif.series[0].dtype
        dtype = None if dtype is None else dtype.newbyteorder("=")
        if shape != out.shape or dtype != out.dtype:
            raise unlike_error(name or content, out, shape, str(dtype))
        # tifffile's own threads are for the parts of one file; callers read several at once.
        page.asarray(out=out, maxworkers=1)


def read_tiff_stack(
    contents: Sequence[Callable[[], Content]],
    names: Sequence[str],
    shape: tuple[int, int],
    dtype: str,
    threads: int,
) -> "NDArray[Any]":
    """Read single planes straight into one stack, several files at once.

    Parameters
    ----------
    contents : sequence of callable
        Each gives the file of one plane; called in the thread that reads it.
    names : sequence of str
        What messages call each.
    shape : tuple of int
        ``(Y, X)`` in px of every plane.
    dtype : str
        numpy dtype name of every plane.
    threads : int
        How many files to read at once.

    Returns
    -------
    ndarray
        ``[Z, Y, X]``, a plane a file, in the order given.

    Raises
    ------
    InputDataError
        The first in order that is unreadable or of another shape or dtype.
    """
    import numpy as np

    stack: NDArray[Any] = np.empty((len(contents), *shape), dtype=dtype)

    def read(number: int) -> None:
        read_tiff_into(stack[number], contents[number](), names[number])

    run_parallel([partial(read, number) for number in range(len(contents))], threads)
    return stack


def run_parallel(tasks: Sequence[Callable[[], None]], threads: int) -> None:
    """Run `tasks` in threads; the first error in order is raised and what has not begun is left."""
    if threads < 2 or len(tasks) < 2:
        for task in tasks:
            task()
        return
    pool = _threads(threads)
    futures = [pool.submit(task) for task in tasks]
    try:
        for future in futures:
            future.result()
    finally:
        for future in futures:
            future.cancel()
        wait(futures)


READER_THREADS = "openhcs-reader"
"""Begins the names of threads that stay for the next images."""


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    """Return threads that stay: starting two takes as long as reading a plane of 1 MB."""
    return ThreadPoolExecutor(count, READER_THREADS)


def write_tiff(
    stream: BinaryIO,
    image: Any,
    *,
    pixel_size_um: float | None = None,
    compression: str | None = None,
    name: str | Path = "TIFF",
) -> None:
    """Write an array as a TIFF that :func:`read_tiff` gives back unchanged.

    Parameters
    ----------
    stream : binary file
        Where to write.
    image : ndarray
        Any shape; the last two axes are Y and X.
    pixel_size_um : float, optional
        Written as the resolution tags.
    compression : str, optional
        ``"zstd"``; none when absent.
    name : str or Path
        What messages call the file.

    Raises
    ------
    StorageResolutionError
        There is no such compression, or imagecodecs is not installed.
    """
    import tifffile

    # Without "minisblack" tifffile takes axes of 3 or 4 for colours.
    tifffile.imwrite(
        stream,
        image,
        photometric="minisblack",
        **resolution_tags(pixel_size_um),
        **tiff_compression(compression, name),
    )


def resolution_tags(pixel_size_um: float | None) -> dict[str, Any]:
    """Return tifffile's options for a pixel size."""
    if pixel_size_um is None:
        return {}
    per_cm = 1e4 / pixel_size_um
    return {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"}


def tiff_compression(compression: str | None, path: str | Path) -> dict[str, Any]:
    """Return tifffile's options for a compression.

    Raises
    ------
    StorageResolutionError
        There is no such compression, or imagecodecs is not installed.
    """
    if compression is None:
        return {}
    if compression != "zstd":
        raise StorageResolutionError(
            f"{path}: expected compression zstd or None, found {compression!r}"
        )
    try:
        import imagecodecs  # noqa: F401
    except ImportError as error:
        raise StorageResolutionError(
            f"{path}: TIFF with zstd needs imagecodecs: pip install 'openhcs-core[tiff]', or save "
            "without compression"
        ) from error
    return {"compression": "zstd", "compressionargs": {"level": 1}}


def unreadable(path: str | Path, error: OSError) -> InputDataError:
    """Return the error for a file that the system does not let us read."""
    if isinstance(error, FileNotFoundError):
        return InputDataError(f"{path}: no such file; check the path or export the file again")
    reason = error.strerror or str(error)
    return InputDataError(f"{path}: cannot be read: {reason}; check permissions and the disk")


def unlike_error(
    name: object, expected: "NDArray[Any]", shape: Sequence[int], dtype: str
) -> InputDataError:
    """Return the error for an image of another shape or dtype than `expected`."""
    wanted = f"{'x'.join(map(str, expected.shape))} {expected.dtype}"
    found = f"{'x'.join(map(str, shape))} {dtype}"
    return InputDataError(
        f"{name}: expected {wanted}, found {found}; copy or export this image again, "
        "or correct the plate's metadata"
    )


@contextmanager
def _open_tiff(content: Content, name: str | None) -> "Iterator[TiffFile]":
    """Open a TIFF, see that it is whole, and name it in whatever goes wrong as it is read."""
    import tifffile

    name = name or str(content)
    try:
        # OME-XML may name other files of a set, which tifffile would read as well.
        with tifffile.TiffFile(content, is_ome=False) as tif:
            _check_complete(tif, name)
            yield tif
    except InputDataError:
        raise
    except OSError as error:
        raise unreadable(name, error) from error
    except (
        # What a parser of damaged bytes stumbles over, apart from its own error.
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        RuntimeError,
        AttributeError,
        struct.error,
        zlib.error,
    ) as error:
        raise InputDataError(f"{name}: {_diagnosis(content, error)}") from error


def _check_complete(tif: "TiffFile", path: str) -> None:
    """Refuse files without pages or whose pixels are not all there."""
    import tifffile

    size = tif.filehandle.size
    if len(tif.pages) == 0 or not tif.pages.first.dataoffsets:
        raise InputDataError(
            f"{path}: expected a TIFF with an image, found {size} bytes without one "
            f"(truncated, or its end was lost); {_COPY_AGAIN}"
        )
    declared = 0
    for number in range(len(tif.pages)):
        page = tif.pages.get(number).aspage()
        page_bytes = page.size * page.bitspersample // 8
        declared += page_bytes
        _check_declared(page_bytes, MOST_IMAGE_BYTES, f"{path}: page {number}")
        _check_declared(declared, max(MOST_IMAGE_BYTES, _MOST_TIMES_FILE * size), path)
        segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        present = [offset + count for offset, count in segments if offset and count]
        inside = [end for end in present if end <= size]
        if len(inside) < len(segments) or not segments:
            raise InputDataError(
                f"{path}: truncated or damaged: page {number} expected {len(segments)} strips or "
                f"tiles of pixels up to byte {max(present, default=0)}, found {len(inside)} whole "
                f"in {size} bytes; {_COPY_AGAIN}"
            )
        if page.compression == tifffile.COMPRESSION.NONE:
            if sum(page.databytecounts) < page_bytes:
                raise InputDataError(
                    f"{path}: page {number} expected {page_bytes} bytes of pixels, found "
                    f"{sum(page.databytecounts)}; {_COPY_AGAIN}"
                )
        elif len(segments) < prod(page.chunked):  # tifffile would leave the others' pixels zero
            raise InputDataError(
                f"{path}: page {number} expected {prod(page.chunked)} strips or tiles of pixels, "
                f"found {len(segments)}; {_COPY_AGAIN}"
            )


def _check_declared(declared_bytes: int, most: int, where: str) -> None:
    """Refuse what would take all memory before the first pixel is decoded."""
    if declared_bytes > most:
        raise InputDataError(
            f"{where}: declares {declared_bytes} bytes of pixels, at most {most} are read; the "
            "file is damaged, or its images have to be cut into smaller ones"
        )


def _diagnosis(content: Content, error: Exception) -> str:
    """Say what a file that is no readable TIFF holds instead, and how to mend it."""
    if "imagecodecs" in str(error):
        return f"{error}; pip install 'openhcs-core[tiff]', or export without compression"
    head = _first_bytes(content, 64)
    if not head:
        return f"expected a TIFF, found an empty file (0 bytes); {_COPY_AGAIN}"
    if head.startswith(_LFS_POINTER):
        return "expected a TIFF, found a git-LFS pointer; run `git lfs pull`"
    if head[:2] not in (b"II", b"MM"):
        return f"expected a TIFF, found other content beginning with {head[:24]!r}; {_COPY_AGAIN}"
    return f"expected a TIFF, found a damaged one ({error}); {_COPY_AGAIN}"


def _first_bytes(content: Content, count: int) -> bytes:
    if isinstance(content, str | Path):
        with Path(content).open("rb") as stream:
            return stream.read(count)
    content.seek(0)
    return content.read(count)
