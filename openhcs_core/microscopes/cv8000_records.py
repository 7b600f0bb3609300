"""``MeasurementData.mlf``: every image that a CellVoyager took, one record each."""

import re
from html import unescape

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.listed_planes import Lengths, ListedPlane, Numbers, bad_numbers
from openhcs_core.microscopes.plate_index import Acquisition
from openhcs_core.microscopes.xml_rows import RowKind, XmlRows, split_attributes
from openhcs_core.storage import PlateSource

_NUMBERS = ("Row", "Column", "FieldIndex", "Ch", "ZIndex", "TimePoint")
_TEXT = "text"


def _name(before: str) -> str:
    """Return an attribute's name without its namespace; `_TEXT` for what a record holds."""
    if before.endswith('="'):
        return before[:-2].split()[-1].rpartition(":")[2]
    return _TEXT if before.endswith('">') else ""


_RECORDS = RowKind(
    what="a record",
    end=re.compile(
        r"</(?:[\w.-]+:)?MeasurementRecord>|<(?:[\w.-]+:)?MeasurementRecord\s[^<>]*/>", re.ASCII
    ),
    end_of_list="",
    wanted=("Type", *_NUMBERS, "X", "Y", "Z", "Time", _TEXT),
    split=split_attributes,
    name=_name,
)


def read_records(source: PlateSource, path: str) -> tuple[list[ListedPlane], int]:
    """Return the images of a list, and how many errors it records instead.

    Raises
    ------
    InputDataError
        It is not such a list, not to be trusted, or says of an image what cannot be.
    """
    where, rows = source.where(path), XmlRows(source, path, _RECORDS)
    if rows.head("MeasurementData") is None:
        raise InputDataError(f"{where} is no list of images: it has no MeasurementData")
    planes: list[ListedPlane] = []
    errors, number, new = 0, Numbers(), tuple.__new__
    xs, ys, zs = Lengths(), Lengths(is_upwards=True), Lengths()
    for _, (kind, row, column, site, channel, plane, time, x, y, z, acquired, text) in rows.rows():
        if kind != "IMG":
            errors += 1
            continue
        name = text.strip()
        name = unescape(name) if "&" in name else name
        try:
            numbers = (number[row], number[column], number[site], str(number[channel]))
            place = (number[plane], number[time], name)
        except ValueError as error:
            texts = (row, column, site, channel, plane, time)
            raise bad_numbers(where, _NUMBERS, texts, name) from error
        if not name:
            raise InputDataError(f"{where}: a record of an image names no file; expected a name")
        acquisition = new(Acquisition, (xs[x], ys[y], zs[z], acquired or None, None))
        planes.append(new(ListedPlane, (*numbers, *place, acquisition)))
    return planes, errors
