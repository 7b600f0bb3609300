"""PNG files by Pillow, without what it does silently.

Pillow drops the low bits of 16-bit colours, stretches 2- and 4-bit greys, and reads pixels
without comparing checksums. Here such files are refused.
"""

import struct
import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.backends.text_ import read_bytes
from openhcs_core.storage.host_arrays import host_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _PALETTE = 0, 3
_HEADER_BYTES = 26
"""Up to the bits a sample and the kind of colours, the last two."""

_HOLDS = "uint8 or bool [Y, X], uint16 [Y, X], or uint8 [Y, X, 3] and [Y, X, 4]"
_SAVE_AGAIN = "save this file again"


def read_png(path: Path) -> "NDArray[Any]":
    """Read a PNG file.

    Returns
    -------
    ndarray
        ``[Y, X]`` of bool, uint8 or uint16 for greys of 1, 8 or 16 bits; ``[Y, X, channel]`` of
        uint8 for colours; a palette's colours rather than its indices.

    Raises
    ------
    InputDataError
        The file is missing, damaged, has several frames, or values that would be changed.
    """
    content = read_bytes(path)
    depth = _check_header(content, path)
    import numpy as np
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # of large images
            with Image.open(BytesIO(content), formats=["PNG"]) as image:
                image.verify()  # the checksums; the file has to be opened again after it
            with Image.open(BytesIO(content), formats=["PNG"]) as image:
                frames = getattr(image, "n_frames", 1)
                array: NDArray[Any] = np.array(image.convert() if image.mode == "P" else image)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise InputDataError(
            f"{path}: expected a PNG, found a damaged or truncated one ({error}); {_SAVE_AGAIN}"
        ) from error
    if frames != 1:
        raise InputDataError(f"{path}: expected one image, found {frames}; save each as a file")
    if array.dtype == bool:  # Pillow's have 255 for True, which sums and digests go wrong with
        array = array.view(np.uint8) != 0
    return array.astype(np.uint16) if depth == 16 else array


def write_png(stream: BinaryIO, data: Any, path: Path) -> None:
    """Write greys or colours as they are.

    Raises
    ------
    StorageResolutionError
        `data` is nothing that PNG and Pillow hold unchanged.
    """
    image = host_array(data, path)
    shape, dtype = image.shape, image.dtype.name
    is_grey = len(shape) == 2 and dtype in {"bool", "uint8", "uint16"}
    is_colour = len(shape) == 3 and shape[2] in {3, 4} and dtype == "uint8"
    if not is_grey and not is_colour:
        size = "x".join(map(str, shape))
        raise StorageResolutionError(
            f"{path}: PNG holds {_HOLDS}, found {size} {dtype}; convert it, or save TIFF or NPY"
        )
    import numpy as np
    from PIL import Image

    native = np.ascontiguousarray(image, dtype=dtype)
    Image.fromarray(native).save(stream, format="PNG")


def _check_header(content: bytes, path: Path) -> int:
    """Return the bits a sample, refusing files whose values would be changed."""
    if not content.startswith(_SIGNATURE) or len(content) < _HEADER_BYTES:
        found = "an empty file" if not content else f"content beginning with {content[:24]!r}"
        raise InputDataError(f"{path}: expected a PNG, found {found}; {_SAVE_AGAIN}")
    depth, colours = content[_HEADER_BYTES - 2 : _HEADER_BYTES]
    is_exact = depth == 8 or colours == _PALETTE or (colours == _GREY and depth in {1, 16})
    if not is_exact:
        raise InputDataError(
            f"{path}: expected greys of 1, 8 or 16 bits or colours of 8, found {depth} bits a "
            "sample, which would be rescaled; save it as TIFF"
        )
    return depth
