"""Index.xml and Index.idx.xml of Harmony: every image of an Opera Phenix or Operetta plate.

Versions differ in their namespace and in where they describe channels: V4 and V5 in each image, V6
and V7 once in a map. A Sonata (Operetta CLS) names itself in lists of V5 and V6. Flat-field
profiles are passed over.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.listed_planes import Lengths, ListedPlane, Numbers, bad_numbers
from openhcs_core.microscopes.numbers import finite
from openhcs_core.microscopes.plate_index import Acquisition
from openhcs_core.microscopes.xml_ import MAX_XML_BYTES, local_name, parse_xml
from openhcs_core.microscopes.xml_rows import RowForm, RowKind, XmlRows, split_texts
from openhcs_core.storage import PlateSource

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the type alone

ROOT_TAG = "EvaluationInputData"
_NEEDED = ("URL", "Row", "Col", "FieldID", "PlaneID", "TimepointID", "ChannelID")
_LENGTHS = ("PositionX", "PositionY", "PositionZ", "AbsPositionZ")
_UPWARDS = "PositionY"
_TAGS = (*_NEEDED, "State", "AbsTime", *_LENGTHS)
_UM = {"m": 1e6, "mm": 1e3, "um": 1.0, "µm": 1.0, "nm": 1e-3}
_NM = {"nm": 1.0, "m": 1e9, "um": 1e3}


@dataclass(frozen=True)
class HarmonyChannel:
    """What the list says of a channel; None where it does not."""

    name: str | None = None
    pixel_size_um: float | None = None
    shape: tuple[int, int] | None = None
    excitation_nm: float | None = None
    emission_nm: float | None = None


@dataclass
class HarmonyIndex:
    """What one list says.

    Attributes
    ----------
    wells : list of (int, int)
        Row and column, from 1, of the plate's measured wells.
    channels : dict of str to HarmonyChannel
        By number.
    planes : list of ListedPlane
        In the list's order.
    failed : int
        Images of which the instrument says that they are not Ok.
    """

    wells: list[tuple[int, int]] = field(default_factory=list)
    channels: dict[str, HarmonyChannel] = field(default_factory=dict)
    planes: list[ListedPlane] = field(default_factory=list)
    failed: int = 0


def read_harmony_index(source: PlateSource, path: str) -> HarmonyIndex:
    """Read a list, in pieces: it may name 1e5 images in 200 MB.

    Raises
    ------
    InputDataError
        It is not such a list, not to be trusted, or says of an image what cannot be.
    """
    where, rows = source.where(path), XmlRows(source, path, _IMAGES)
    head = rows.head("<Images>")
    if head is None:
        return _without_images(source, path)
    index = _parse_head(head.encode(), where)
    reader = _PlaneReader(where)
    for form, values in rows.rows():
        index.planes.append(reader.read(form, values))
        channel = index.planes[-1].channel
        if channel not in index.channels:
            root = parse_xml(rows.row.strip().encode(), where)
            index.channels[channel] = _describe({local_name(child.tag): child for child in root})
    index.failed = reader.failed
    return index


def _without_images(source: PlateSource, path: str) -> HarmonyIndex:
    """Return what a list says that names no image."""
    where = source.where(path)
    head = source.read(path, MAX_XML_BYTES + 1)
    if b"<Images />" in head or b"<Images/>" in head:
        return _parse_head(head, where)
    raise InputDataError(
        f"{where} has no <Images>: it is not a list of images that Harmony wrote; give the folder "
        "of a measurement with its Index.xml or Index.idx.xml"
    )


def _parse_head(head: bytes, where: str) -> HarmonyIndex:
    """Read plates and channel maps. Lists of images by well say nothing new, and are long."""
    start = head.find(b"<Wells>")
    end = head.find(b"</Wells>", start)
    if 0 <= start < end:
        head = head[:start] + head[end + len(b"</Wells>") :]
    root = parse_xml(head if head.rstrip().endswith(_END) else head + _END, where)
    if local_name(root.tag) != ROOT_TAG:
        raise InputDataError(f"{where} is a {local_name(root.tag)}; expected {ROOT_TAG}")
    index = HarmonyIndex()
    plates = [element for element in root.iter() if local_name(element.tag) == "Plate"]
    if len(plates) > 1:
        raise InputDataError(f"{where} lists {len(plates)} plates; expected one")
    for element in (child for plate in plates for child in plate):
        if local_name(element.tag) == "Well":
            index.wells.append(_well(element.get("id", ""), where))
    for entry in root.iter():
        if local_name(entry.tag) == "Entry" and entry.get("ChannelID"):
            values = {local_name(child.tag): child for child in entry}
            if "ChannelName" in values:
                index.channels[_channel(str(entry.get("ChannelID")), where)] = _describe(values)
    return index


_END = f"</{ROOT_TAG}>".encode()


def _well(text: str, where: str) -> tuple[int, int]:
    if len(text) != 4 or not (text.isascii() and text.isdigit()):
        raise InputDataError(f"{where} names a well {text!r}; expected row and column as 0101")
    return int(text[:2]), int(text[2:])


def _channel(text: str, where: str) -> str:
    number = text.strip()
    if not (number.isascii() and number.isdigit()):
        raise InputDataError(f"{where} names a channel {text!r}; expected a number")
    return number


def _describe(values: "Mapping[str, Element]") -> HarmonyChannel:
    sizes = [_scaled(values, f"ImageResolution{axis}", _UM) for axis in "XY"]
    shape = [_scaled(values, f"ImageSize{axis}", {"": 1.0}) for axis in "YX"]
    name = values["ChannelName"].text if "ChannelName" in values else None
    return HarmonyChannel(
        name=name.strip() if name and name.strip() else None,
        pixel_size_um=sizes[0] if sizes[0] and sizes[0] == sizes[1] else None,
        shape=(int(shape[0]), int(shape[1])) if shape[0] and shape[1] else None,
        excitation_nm=_scaled(values, "MainExcitationWavelength", _NM) or None,
        emission_nm=_scaled(values, "MainEmissionWavelength", _NM) or None,
    )


def _scaled(values: "Mapping[str, Element]", tag: str, scales: Mapping[str, float]) -> float | None:
    element = values.get(tag)
    if element is None or element.get("Unit", "") not in scales:
        return None
    number = finite(element.text or "")
    return None if number is None else number * scales[element.get("Unit", "")]


class _PlaneReader:
    """Reads the values of one image after the other."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._form: RowForm | None = None
        self._number = Numbers()
        self._lengths = dict[tuple[float, bool], Lengths]()
        self._of_form: list[Lengths] = []
        self.failed = 0

    def read(self, form: RowForm, values: tuple[str, ...]) -> ListedPlane:
        """Return what the list says of an image."""
        if form is not self._form:
            self._check(form, values)
        url, row, column, site, plane, time, channel, state, acquired, x, y, z, stage_z = values
        xs, ys, zs, stage_zs = self._of_form
        number, new = self._number, tuple.__new__
        if state != "Ok" and state.strip().lower() not in {"ok", ""}:
            self.failed += 1
        where = new(Acquisition, (xs[x], ys[y], zs[z], _text(acquired) or None, stage_zs[stage_z]))
        try:
            place = (number[row], number[column], number[site], str(number[channel]))
            return new(ListedPlane, (*place, number[plane], number[time], _text(url), where))
        except ValueError as error:
            raise bad_numbers(self._where, _NEEDED[1:], values[1:7], _text(url)) from error

    def _check(self, form: RowForm, values: tuple[str, ...]) -> None:
        """Learn the units of a form; refuse what is no image of one plane."""
        missing = [name for name in _NEEDED if name not in form.tags]
        if missing:
            raise InputDataError(
                f"{self._where}: an image has no {', '.join(missing)}: {values[0]!r}; copy the "
                "file from the instrument again"
            )
        if _attribute(form.tags["URL"], "BufferNo") not in {"", "0"}:
            raise InputDataError(
                f"{self._where}: images lie in pages of one file ({form.tags['URL']}); expected "
                "one plane a file. Export single planes"
            )
        units = [_attribute(form.tags.get(name, ""), "Unit") for name in _LENGTHS]
        keys = [
            (_UM.get(unit, 0.0), name == _UPWARDS)
            for unit, name in zip(units, _LENGTHS, strict=True)
        ]
        self._of_form = [
            self._lengths.setdefault(key, Lengths(key[0], is_upwards=key[1])) for key in keys
        ]
        self._form = form


def _name(tag: str) -> str:
    """Return the name of a tag that begins a value.

    A file without a name is one too: of an image that was not recorded.
    """
    name = tag[1:-1].rstrip("/").partition(" ")[0]
    return "" if tag.endswith("/>") and name != "URL" else name


_IMAGES = RowKind(
    what="an image",
    end=re.compile("</Image>"),
    end_of_list="</Images>",
    wanted=_TAGS,
    split=split_texts,
    name=_name,
)


def _attribute(tag: str, name: str) -> str:
    """Return an attribute's text as XML writers write it; empty without it."""
    return tag.partition(f' {name}="')[2].partition('"')[0]


def _text(raw: str) -> str:
    text = raw.strip()
    return unescape(text) if "&" in text else text
