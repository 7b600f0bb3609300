"""``MeasurementData.mlf``: every image that a CellVoyager took, one record each."""

import re
from collections.abc import Iterator, Sequence
from html import unescape
from typing import NamedTuple

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.numbers import finite
from openhcs_core.microscopes.xml_ import stream_xml
from openhcs_core.storage import PlateSource

_RECORD = re.compile(rb"<(?:[\w.-]+:)?MeasurementRecord\s([^<>]*)>([^<]*)")
_NUMBERS = ("Row", "Column", "TimePoint", "FieldIndex", "ZIndex", "Ch")
_OTHERS = ("X", "Y", "Z", "Time")
_MOST = 1_000_000
_MAX_RECORD_BYTES = 1 << 16


class Record(NamedTuple):
    """One image; numbers are the instrument's, from 1, and lengths in µm as it writes them."""

    row: int
    column: int
    timepoint: int
    site: int
    plane: int
    channel: int
    x_um: float | None
    y_um: float | None
    z_um: float | None
    acquired: str | None
    name: str


def read_records(source: PlateSource, path: str) -> Iterator[Record | None]:
    """Yield the images of a list, and None for each error that it records instead.

    Raises
    ------
    InputDataError
        It is not such a list, not to be trusted, or says of an image what cannot be.
    """
    where = source.where(path)
    reader = _RecordReader(where)
    rest, is_list = b"", False
    for piece in stream_xml(source, path):
        rest += piece
        is_list = is_list or b"MeasurementData" in rest
        if len(rest) > len(piece) + _MAX_RECORD_BYTES:
            raise InputDataError(f"{where} has a record of more than {_MAX_RECORD_BYTES} bytes")
        cut = rest.rfind(b"<")  # what is before it is complete, text included
        for match in _RECORD.finditer(rest, 0, cut):
            yield reader.read(*match.groups())
        rest = rest[cut:]
    if not is_list:
        raise InputDataError(f"{where} is no list of images: it has no MeasurementData")


class _RecordReader:
    """Reads records; one program writes the same attributes in the same order in all."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._layouts: dict[tuple[bytes, ...], list[int | None]] = {}

    def read(self, attributes: bytes, text: bytes) -> Record | None:
        """Return one record; None for one that is no image's."""
        parts = attributes.split(b'"')
        names = tuple(parts[::2])
        places = self._layouts.get(names)
        if places is None:
            places = self._layouts[names] = self._learn(names)
        values = [b"" if place is None else parts[place] for place in places]
        if values[0] != b"IMG":
            return None
        return self._record(values[1:], text)

    def _learn(self, names: Sequence[bytes]) -> list[int | None]:
        found = {
            name.strip().rstrip(b"= ").rpartition(b":")[2].decode("utf-8", "replace"): 2 * n + 1
            for n, name in enumerate(names[:-1])
        }
        return [found.get(name) for name in ("Type", *_NUMBERS, *_OTHERS)]

    def _record(self, values: Sequence[bytes], text: bytes) -> Record:
        name = unescape(text.decode("utf-8", errors="replace")).strip()
        count = len(_NUMBERS)
        try:
            numbers = [int(value) for value in values[:count]]
        except ValueError:
            numbers = [-1]
        if min(numbers) < 0 or max(numbers) > _MOST or not name:
            found = ", ".join(
                f"{key} {value.decode(errors='replace')!r}"
                for key, value in zip(_NUMBERS, values[:count], strict=True)
            )
            raise InputDataError(
                f"{self._where}: a record of the image {name!r} has {found}; expected a name and "
                f"whole numbers up to {_MOST}"
            )
        row, column, timepoint, site, plane, channel = numbers
        x, y, z, acquired = values[count:]
        return Record(
            row, column, timepoint, site, plane, channel,
            finite(x), finite(y), finite(z), acquired.decode("utf-8", "replace") or None, name,
        )  # fmt: skip
