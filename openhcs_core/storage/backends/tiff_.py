"""TIFF files by tifffile, with the checks that it leaves out."""

import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from openhcs_core.errors import InputDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tifffile import TiffFile

_LFS_POINTER = b"version https://git-lfs"
_COPY_AGAIN = "copy or export this file again"


def read_tiff(path: str | Path) -> "NDArray[Any]":
    """Read the images of a TIFF file.

    tifffile returns an empty array for a truncated file and zeros for missing strips;
    here both are errors.

    Parameters
    ----------
    path : str or Path
        The file.

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
    import tifffile

    path = Path(path)
    try:
        # OME-XML may name other files of a set, which tifffile would read as well.
        with tifffile.TiffFile(path, is_ome=False) as tif:
            _check_complete(tif, path)
            image: NDArray[Any] = tif.asarray()
    except InputDataError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error
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
        raise InputDataError(f"{path}: {_diagnosis(path, error)}") from error
    if image.size == 0:
        raise InputDataError(f"{path}: expected an image, found none; {_COPY_AGAIN}")
    return image.astype(image.dtype.newbyteorder("="), copy=False)


def write_tiff(stream: BinaryIO, image: Any, *, pixel_size_um: float | None = None) -> None:
    """Write an array as an uncompressed TIFF that :func:`read_tiff` gives back unchanged.

    Parameters
    ----------
    stream : binary file
        Where to write.
    image : ndarray
        Any shape; the last two axes are Y and X.
    pixel_size_um : float, optional
        Written as the resolution tags.
    """
    import tifffile

    resolution: dict[str, Any] = {}
    if pixel_size_um is not None:
        per_cm = 1e4 / pixel_size_um
        resolution = {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"}
    # Without "minisblack" tifffile takes axes of 3 or 4 for colours.
    tifffile.imwrite(stream, image, photometric="minisblack", **resolution)


def unreadable(path: Path, error: OSError) -> InputDataError:
    """Return the error for a file that the system does not let us read."""
    if isinstance(error, FileNotFoundError):
        return InputDataError(f"{path}: no such file; check the path or export the file again")
    reason = error.strerror or str(error)
    return InputDataError(f"{path}: cannot be read: {reason}; check permissions and the disk")


def _check_complete(tif: "TiffFile", path: Path) -> None:
    """Refuse files without pages or whose pixels are not all there."""
    import tifffile

    size = path.stat().st_size
    if len(tif.pages) == 0 or not tif.pages.first.dataoffsets:
        raise InputDataError(
            f"{path}: expected a TIFF with an image, found {size} bytes without one "
            f"(truncated, or its end was lost); {_COPY_AGAIN}"
        )
    for number in range(len(tif.pages)):
        page = tif.pages.get(number).aspage()
        segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        present = [offset + count for offset, count in segments if offset and count]
        inside = [end for end in present if end <= size]
        if len(inside) < len(segments) or not segments:
            raise InputDataError(
                f"{path}: truncated or damaged: page {number} expected {len(segments)} strips or "
                f"tiles of pixels up to byte {max(present, default=0)}, found {len(inside)} whole "
                f"in {size} bytes; {_COPY_AGAIN}"
            )
        expected_bytes = page.size * page.bitspersample // 8
        if (
            page.compression == tifffile.COMPRESSION.NONE
            and sum(page.databytecounts) < expected_bytes
        ):
            raise InputDataError(
                f"{path}: page {number} expected {expected_bytes} bytes of pixels, found "
                f"{sum(page.databytecounts)}; {_COPY_AGAIN}"
            )


def _diagnosis(path: Path, error: Exception) -> str:
    """Say what a file that is no readable TIFF holds instead, and how to mend it."""
    if "imagecodecs" in str(error):
        return f"{error}; pip install imagecodecs, or export without compression"
    with path.open("rb") as stream:
        head = stream.read(64)
    if not head:
        return f"expected a TIFF, found an empty file (0 bytes); {_COPY_AGAIN}"
    if head.startswith(_LFS_POINTER):
        return "expected a TIFF, found a git-LFS pointer; run `git lfs pull`"
    if head[:2] not in (b"II", b"MM"):
        return f"expected a TIFF, found other content beginning with {head[:24]!r}; {_COPY_AGAIN}"
    return f"expected a TIFF, found a damaged one ({error}); {_COPY_AGAIN}"
