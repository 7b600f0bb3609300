"""The first image directory of a TIFF file, read without an array library.

Planning looks at a few headers of a plate on every run; the tags it needs are a
few hundred bytes in a fixed form (TIFF 6.0, sections 2 and 8; BigTIFF), so that
nothing heavy has to be imported and no pixel is read: tifffile needs numpy, and
importing both costs 190 ms of every dry run. Images themselves are read by tifffile;
tests hold these headers against it.
"""

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from openhcs_core.errors import InputDataError
from openhcs_core.storage import MOST_IMAGE_BYTES

MAX_DESCRIPTION_BYTES = 1 << 20
"""Longer ImageDescriptions are refused; MetaXpress writes about 7 kB."""

_MAX_TAGS = 4096
_TYPE_CODES = {1: "B", 2: "s", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_TYPE_SIZES = {"B": 1, "s": 1, "H": 2, "I": 4, "Q": 8}
_WIDTH, _HEIGHT, _BITS, _DESCRIPTION = 256, 257, 258, 270
_SAMPLES, _SAMPLE_FORMAT, _STK_PLANES = 277, 339, 33629
_WANTED = {_WIDTH, _HEIGHT, _BITS, _DESCRIPTION, _SAMPLES, _SAMPLE_FORMAT}
_KINDS = {1: "uint", 2: "int", 3: "float"}
_DTYPES = frozenset(
    {"uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"}
    | {"float16", "float32", "float64"}
)


class UnsupportedImageError(InputDataError):
    """A readable TIFF that is not one grey-scale plane."""


@dataclass(frozen=True, slots=True)
class TiffHeader:
    """What the first image directory says.

    Attributes
    ----------
    shape : (int, int)
        ``(Y, X)`` in px.
    dtype : str
        numpy dtype name; byte order is the file's own affair.
    description : str
        The ImageDescription tag, ``""`` where there is none.
    """

    shape: tuple[int, int]
    dtype: str
    description: str


@dataclass(frozen=True, slots=True)
class _Form:
    """Byte order and the field widths of classic TIFF or BigTIFF."""

    order: str
    first_ifd: int
    count_code: str
    value_bytes: int

    @property
    def entry_bytes(self) -> int:
        return 4 + 2 * self.value_bytes


@dataclass(frozen=True, slots=True)
class _Entry:
    type_code: int
    count: int
    raw: bytes


def read_tiff_header(path: Path) -> TiffHeader:
    """Read shape, dtype and description of the one plane in `path`.

    Raises
    ------
    UnsupportedImageError
        Several pages, colour, or samples that are no numpy type.
    InputDataError
        The file is missing, empty, cut short or not a TIFF.
    """
    try:
        with path.open("rb") as file:
            return parse_tiff_header(file, str(path))
    except OSError as error:
        raise InputDataError(f"{path} cannot be read: {error.strerror or error}") from error


def parse_tiff_header(file: BinaryIO, path: str) -> TiffHeader:
    """Read the header of an open file; `path` names it in messages (see `read_tiff_header`)."""
    try:
        return _read(file, path)
    except struct.error as error:
        raise InputDataError(f"{path} is cut short: its TIFF header is incomplete") from error


def _read(file: BinaryIO, path: str) -> TiffHeader:
    form = _read_form(file, path)
    entries, next_ifd = _read_entries(file, form)
    if next_ifd or (_STK_PLANES in entries and entries[_STK_PLANES].count > 1):
        raise UnsupportedImageError(
            f"{path} has several pages; expected one plane a file. Export single planes"
        )
    if not {_WIDTH, _HEIGHT} <= entries.keys():
        raise InputDataError(f"{path} is damaged: its TIFF header has no image width and height")
    values = {
        tag: _value(file, form, entry, path) for tag, entry in entries.items() if tag in _WANTED
    }
    samples = _first(values, _SAMPLES, 1)
    if samples != 1:
        raise UnsupportedImageError(
            f"{path} has {samples} colour samples a pixel; expected a grey-scale image. "
            "Export each channel as an image of its own"
        )
    kind = _KINDS.get(_first(values, _SAMPLE_FORMAT, 1), "unknown")
    dtype = f"{kind}{_first(values, _BITS, 1)}"
    if dtype not in _DTYPES:
        raise UnsupportedImageError(
            f"{path} has pixels of type {dtype}; expected one of {', '.join(sorted(_DTYPES))}"
        )
    shape = (_first(values, _HEIGHT, 0), _first(values, _WIDTH, 0))
    _check_size(shape, dtype, path)
    return TiffHeader(shape, dtype, _text(values.get(_DESCRIPTION, ())))


def _check_size(shape: tuple[int, int], dtype: str, path: str) -> None:
    """Refuse images without pixels, and those that declare more than is read."""
    size_bytes = shape[0] * shape[1] * int(re.sub("[a-z]", "", dtype)) // 8
    if not 0 < size_bytes <= MOST_IMAGE_BYTES:
        raise InputDataError(
            f"{path} declares {shape[0]} x {shape[1]} px {dtype}, {size_bytes} bytes; expected "
            f"1 to {MOST_IMAGE_BYTES}. The file is damaged: copy or export it again"
        )


def _read_form(file: BinaryIO, path: str) -> _Form:
    start = file.read(16)
    if not start:
        raise InputDataError(f"{path} is empty (0 bytes)")
    if start.startswith(b"version https:/"):
        raise InputDataError(f"{path} is a git-LFS pointer, not an image; run `git lfs pull`")
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    magic = struct.unpack_from(f"{order}H", start, 2)[0] if order else None
    if order is not None and magic == 42:
        return _Form(order, struct.unpack_from(f"{order}I", start, 4)[0], "H", 4)
    if order is not None and magic == 43:
        return _Form(order, struct.unpack_from(f"{order}Q", start, 8)[0], "Q", 8)
    raise InputDataError(f"{path} is not a TIFF file: it begins with {start[:4]!r}")


def _read_entries(file: BinaryIO, form: _Form) -> tuple[dict[int, _Entry], int]:
    """Return the tags of the first directory and the offset of the next one."""
    if form.first_ifd > file.seek(0, os.SEEK_END):
        raise struct.error("directory beyond the end of the file")
    file.seek(form.first_ifd)
    count_format = form.order + form.count_code
    (count,) = struct.unpack(count_format, file.read(struct.calcsize(count_format)))
    if count > _MAX_TAGS:
        raise struct.error("absurd number of tags")
    offset_code = "I" if form.value_bytes == 4 else "Q"
    body = file.read(count * form.entry_bytes + form.value_bytes)
    entries = {}
    for start in range(0, count * form.entry_bytes, form.entry_bytes):
        tag, kind, values = struct.unpack_from(f"{form.order}HH{offset_code}", body, start)
        end = start + form.entry_bytes
        entries[tag] = _Entry(kind, values, body[end - form.value_bytes : end])
    (next_ifd,) = struct.unpack_from(form.order + offset_code, body, count * form.entry_bytes)
    return entries, next_ifd


def _value(file: BinaryIO, form: _Form, entry: _Entry, path: str) -> tuple[int | bytes, ...]:
    code = _TYPE_CODES.get(entry.type_code)
    if code is None:
        raise InputDataError(f"{path} is damaged: a TIFF tag has the type {entry.type_code}")
    size_bytes = entry.count * _TYPE_SIZES[code]
    if size_bytes > MAX_DESCRIPTION_BYTES:
        raise InputDataError(
            f"{path} has a tag of {size_bytes} bytes; at most {MAX_DESCRIPTION_BYTES} are read"
        )
    raw = entry.raw
    if size_bytes > form.value_bytes:
        offset_code = "I" if form.value_bytes == 4 else "Q"
        file.seek(min(struct.unpack(form.order + offset_code, raw)[0], 1 << 62))
        raw = file.read(size_bytes)
    return struct.unpack_from(f"{form.order}{entry.count}{code}", raw)


def _first(values: dict[int, tuple[int | bytes, ...]], tag: int, default: int) -> int:
    value = values.get(tag, (default,))
    return value[0] if value and isinstance(value[0], int) else default


def _text(value: tuple[int | bytes, ...]) -> str:
    raw = value[0] if value and isinstance(value[0], bytes) else b""
    raw = raw.partition(b"\0")[0]
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
