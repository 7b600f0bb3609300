"""TIFFs of one plane as cameras' software writes them, read with a few system calls.

Instruments write nothing but width, height, type and strips, plain or with zstd or deflate.
Reading these tags takes a tenth of the time that tifffile needs to build its model of a file, which
is as long as reading the pixels, and holds Python's lock for that long, so that threads wait for
each other; and strips are decoded where they belong, without a copy. Whatever is not exactly of
this form is left to tifffile, which also says what is wrong with a damaged file.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEAD_BYTES = 4096
_MAX_TAGS = 64
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_DESCRIPTION, _OFFSETS, _SAMPLES, _ROWS, _COUNTS = 270, 273, 277, 278, 279
_PLANAR, _PREDICTOR, _FORMAT = 284, 317, 339
_PLAIN, _ZSTD = 1, 50000
_DECODERS = {_ZSTD: "zstd_decode", 8: "zlib_decode", 32946: "zlib_decode"}
_FIXED = {_PHOTOMETRIC: (0, 1), _SAMPLES: (1,), _PLANAR: (1,), _PREDICTOR: (1,)}
"""What these tags may say, which is what a reader takes for granted without them."""

_SIZES = {_COMPRESSION, _WIDTH, _HEIGHT, _BITS, _OFFSETS, _ROWS, _COUNTS, _FORMAT, _DESCRIPTION}
# Type of file (a page), document, camera, orientation, resolution, software, date, artist.
_IGNORED = {254, 269, 271, 272, 274, 282, 283, 296, 305, 306, 315}
_CODES = {3: ("H", 2), 4: ("I", 4)}
_FORMATS = {"u": 1, "i": 2, "f": 3}
_STACKS = (b"ImageJ=", b'{"shape"', b"shape=")
"""How descriptions begin that may make more, or other, planes of a file than its tags say."""


@dataclass(frozen=True, slots=True)
class _Strip:
    """Where a part of the image is in the file, and where in the array; bytes."""

    offset: int
    count: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Reader:
    """A file and its beginning, which holds most of what is asked for."""

    descriptor: int
    head: bytes

    def at(self, offset: int, count: int) -> bytes:
        if offset + count <= len(self.head):
            return self.head[offset : offset + count]
        return os.pread(self.descriptor, count, offset)


def read_plain(out: "NDArray[Any]", path: str | Path) -> bool:
    """Read the plane of a plain TIFF into an array.

    Parameters
    ----------
    out : ndarray
        ``[Y, X]``, C-contiguous, in native byte order.
    path : str or Path
        The file.

    Returns
    -------
    bool
        False for every other file, also for one of another shape or dtype; `out` is then
        undefined.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        reader = _Reader(descriptor, os.pread(descriptor, _HEAD_BYTES, 0))
        try:
            order, compression, strips = _find_strips(reader, out)
        except struct.error:  # cut short
            return False
        fill = _fill if compression == _PLAIN else _decode
        if not strips or not fill(out, descriptor, strips, compression):
            return False
    finally:
        os.close(descriptor)
    if order == ">" and out.dtype.itemsize > 1:
        out.byteswap(inplace=True)
    return True


def _bytes_of(out: "NDArray[Any]") -> memoryview:
    import numpy as np

    return out.reshape(-1).view(np.uint8).data


def _fill(out: "NDArray[Any]", descriptor: int, strips: Sequence[_Strip], _: int) -> bool:
    """Read pixels until `out` is full; False unless the strips lie in a row and are whole."""
    offset = strips[0].offset
    if any(
        strip.offset != offset + strip.start or strip.count != strip.end - strip.start
        for strip in strips
    ):
        return False
    pixels = _bytes_of(out)
    done = 0
    while done < len(pixels):
        count = os.preadv(descriptor, [pixels[done:]], offset + done)
        if count == 0:
            return False
        done += count
    return True


def _decode(
    out: "NDArray[Any]", descriptor: int, strips: Sequence[_Strip], compression: int
) -> bool:
    """Decompress each strip into its place; False where one is damaged or cannot be read here."""
    try:
        import imagecodecs
    except ImportError:
        return False
    decode = getattr(imagecodecs, _DECODERS[compression])
    pixels = _bytes_of(out)
    for strip in strips:
        coded = os.pread(descriptor, strip.count, strip.offset)
        part = pixels[strip.start : strip.end]
        try:
            decoded = decode(coded, out=part)
        except (RuntimeError, ValueError):
            return False
        if len(coded) != strip.count or len(decoded) != len(part):
            return False
    return True


def _find_strips(reader: _Reader, out: "NDArray[Any]") -> tuple[str, int, list[_Strip]]:
    """Return byte order, compression and strips; no strips where the file is of another form."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(reader.head[:4])
    if order is None or out.dtype.kind not in _FORMATS:
        return "", _PLAIN, []
    (start,) = struct.unpack_from(f"{order}I", reader.head, 4)
    (count,) = struct.unpack(f"{order}H", reader.at(start, 2))
    if count > _MAX_TAGS:
        return order, _PLAIN, []
    body = reader.at(start + 2, 12 * count + 4)
    (next_page,) = struct.unpack_from(f"{order}I", body, 12 * count)
    tags = _read_tags(reader, order, body[: 12 * count])
    if next_page or tags is None or not _is_wanted(tags, out):
        return order, _PLAIN, []
    return order, tags[_COMPRESSION][0], _strips(tags, out)


def _read_tags(reader: _Reader, order: str, body: bytes) -> "dict[int, Any] | None":
    """Return the values of all tags that matter, None where one of them is unusual."""
    tags: dict[int, Any] = {}
    for tag, kind, count, raw in struct.iter_unpack(f"{order}HHI4s", body):
        if tag in _IGNORED:
            continue
        if tag not in _SIZES and tag not in _FIXED:
            return None
        if tag == _DESCRIPTION:
            (place,) = struct.unpack(f"{order}I", raw)
            tags[tag] = reader.at(place, min(count, 64)) if count > 4 else b""
            continue
        if kind not in _CODES or not 1 <= count <= 1 << 16 or tag in tags:
            return None
        code, size = _CODES[kind]
        if count * size > 4:
            (place,) = struct.unpack(f"{order}I", raw)
            values = reader.at(place, count * size)
        else:
            values = raw
        tags[tag] = struct.unpack_from(f"{order}{count}{code}", values)
    return tags


def _is_wanted(tags: dict[int, Any], out: "NDArray[Any]") -> bool:
    """Return whether the file holds one plane of the shape and dtype of `out`."""
    height, width = out.shape
    expected = {
        _WIDTH: (width,),
        _HEIGHT: (height,),
        _BITS: (8 * out.dtype.itemsize,),
        _FORMAT: (_FORMATS[out.dtype.kind],),
    }
    found = {_FORMAT: (1,), _BITS: (1,), **tags}
    if any(found.get(tag) != value for tag, value in expected.items()):
        return False
    description = tags.get(_DESCRIPTION, b"")
    if description.startswith(_STACKS) and not description.startswith(
        f'{{"shape": [{height}, {width}]}}'.encode()
    ):
        return False
    compression = tags.get(_COMPRESSION, (0,))
    return compression in {(_PLAIN,), *((known,) for known in _DECODERS)} and all(
        len(tags[tag]) == 1 and tags[tag][0] in allowed
        for tag, allowed in _FIXED.items()
        if tag in tags
    )


def _strips(tags: dict[int, Any], out: "NDArray[Any]") -> list[_Strip]:
    """Return the strips, none unless there is one for each of the rows."""
    offsets, counts = tags.get(_OFFSETS, ()), tags.get(_COUNTS, ())
    (rows,) = tags.get(_ROWS, (out.shape[0],))[:1]
    step = rows * out.shape[1] * out.dtype.itemsize
    starts = range(0, out.nbytes, step) if step else ()
    if not len(starts) == len(offsets) == len(counts):
        return []
    return [
        _Strip(offset, count, start, min(start + step, out.nbytes))
        for offset, count, start in zip(offsets, counts, starts, strict=True)
    ]
