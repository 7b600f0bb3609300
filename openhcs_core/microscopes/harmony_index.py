"""Index.xml and Index.idx.xml of Harmony: every image of an Opera Phenix or Operetta plate.

Versions differ in their namespace and in where they describe channels: V4 and V5 in each image, V6
and V7 once in a map. A Sonata (Operetta CLS) names itself in lists of V5 and V6. Flat-field
profiles are passed over.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, NamedTuple

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.numbers import finite
from openhcs_core.microscopes.plate_index import Acquisition
from openhcs_core.microscopes.xml_ import local_name, parse_xml, stream_xml
from openhcs_core.storage import PlateSource

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the type alone

ROOT_TAG = "EvaluationInputData"
_MAX_IMAGE_BYTES = 1 << 16
_MAX_LAYOUTS = 16
_MOST = 1_000_000
_IMAGES, _IMAGE_END = b"<Images>", b"</Image>"
_NEEDED = ("URL", "Row", "Col", "FieldID", "PlaneID", "TimepointID", "ChannelID")
_LENGTHS = ("PositionX", "PositionY", "PositionZ", "AbsPositionZ")
_TAGS = (*_NEEDED, "State", "AbsTime", *_LENGTHS)
_UM = {"m": 1e6, "mm": 1e3, "um": 1.0, "µm": 1.0, "nm": 1e-3}
_NM = {"nm": 1.0, "m": 1e9, "um": 1e3}


class ListedImage(NamedTuple):
    """One image of the list, with the numbers that the list gives.

    Attributes
    ----------
    row, column, site, plane, timepoint : int
        The list's: rows and columns from 1, time points from 0 or 1.
    channel : str
        Its number.
    url : str
        The file, relative to the list's folder; empty where the instrument recorded none.
    is_ok : bool
        Whether the instrument says so.
    acquisition : Acquisition
        Where and when.
    """

    row: int
    column: int
    site: int
    channel: str
    plane: int
    timepoint: int
    url: str
    is_ok: bool
    acquisition: Acquisition


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
    images : list of ListedImage
        In the list's order.
    """

    wells: list[tuple[int, int]] = field(default_factory=list)
    channels: dict[str, HarmonyChannel] = field(default_factory=dict)
    images: list[ListedImage] = field(default_factory=list)


def read_harmony_index(source: PlateSource, path: str) -> HarmonyIndex:
    """Read a list, in pieces: it may name 1e5 images in 200 MB.

    Raises
    ------
    InputDataError
        It is not such a list, not to be trusted, or says of an image what cannot be.
    """
    where = source.where(path)
    pieces = stream_xml(source, path)
    head, rest = _read_head(pieces, where)
    index = _parse_head(head, where)
    reader = _ImageReader(where)
    for block in _blocks(rest, pieces, where):
        image = reader.read(block)
        index.images.append(image)
        if image.channel not in index.channels:
            index.channels[image.channel] = _describe(reader.parse(block))
    return index


def _read_head(pieces: Iterator[bytes], where: str) -> tuple[bytes, bytes]:
    """Return what lies before and behind the beginning of the list of images."""
    head = b""
    for piece in pieces:
        head += piece
        before, tag, behind = head.partition(_IMAGES)
        if tag:
            return before, behind
    if b"<Images />" in head or b"<Images/>" in head:
        return head, b""
    raise InputDataError(
        f"{where} has no <Images>: it is not a list of images that Harmony wrote; give the folder "
        "of a measurement with its Index.xml or Index.idx.xml"
    )


def _blocks(rest: bytes, pieces: Iterator[bytes], where: str) -> Iterator[bytes]:
    """Yield the text of each image; what lies behind the last is none."""
    while True:
        *blocks, rest = rest.split(_IMAGE_END)
        yield from blocks
        piece = next(pieces, None)
        if piece is None:
            return
        if len(rest) > _MAX_IMAGE_BYTES and b"</Images>" not in rest:
            raise InputDataError(f"{where} has an image of more than {_MAX_IMAGE_BYTES} bytes")
        rest += piece


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
                index.channels[str(entry.get("ChannelID")).strip()] = _describe(values)
    return index


_END = f"</{ROOT_TAG}>".encode()


def _well(text: str, where: str) -> tuple[int, int]:
    if len(text) != 4 or not (text.isascii() and text.isdigit()):
        raise InputDataError(f"{where} names a well {text!r}; expected row and column as 0101")
    return int(text[:2]), int(text[2:])


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


class _Layout(NamedTuple):
    """Where the values of an image are among the pieces between ``<``.

    One program writes all images of a list: the same tags, with the same attributes, in the same
    order. That is checked for each value, and learnt anew where it differs.

    Attributes
    ----------
    piece_count : int
        Pieces of an image.
    places : list of (int, bytes, int)
        Of each tag of ``_TAGS``: which piece, how it begins, and how long that is.
    scales : list of float
        µm per unit of each of ``_LENGTHS``.
    """

    piece_count: int
    places: list[tuple[int, bytes, int]]
    scales: list[float]

    def values(self, pieces: list[bytes]) -> list[bytes] | None:
        """Return the texts of ``_TAGS``; None where an image is of another layout."""
        if len(pieces) != self.piece_count:
            return None
        found = []
        for place, begin, size in self.places:  # 1e6 times
            piece = pieces[place]
            if piece[:size] != begin:
                return None
            found.append(piece[size:])
        return found


class _ImageReader:
    """Reads the text of one image after the other."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._layouts: list[_Layout] = []
        self._lengths: dict[tuple[bytes, float], float | None] = {}  # grids repeat them

    def read(self, block: bytes) -> ListedImage:
        """Return what the list says of an image."""
        pieces = block.split(b"<")
        for layout in self._layouts:
            values = layout.values(pieces)
            if values is not None:
                return self._image(values, layout.scales)
        layout = self._learn(pieces)
        self._layouts = [layout, *self._layouts[: _MAX_LAYOUTS - 1]]
        values = layout.values(pieces)
        assert values is not None
        return self._image(values, layout.scales)

    def parse(self, block: bytes) -> "dict[str, Element]":
        """Return all that the list says of an image."""
        text = block.decode("utf-8", errors="replace").strip()
        root = parse_xml(f"{text}</Image>".encode(), self._where)
        return {local_name(child.tag): child for child in root}

    def _learn(self, pieces: list[bytes]) -> _Layout:
        places = dict.fromkeys(_TAGS, (0, b"", 0))
        scales = dict.fromkeys(_LENGTHS, 0.0)
        for place, piece in enumerate(pieces):
            begin, end, _ = piece.partition(b">")
            name = begin.partition(b" ")[0].rstrip(b"/").decode("utf-8", errors="replace")
            is_empty = begin.endswith(b"/") and name != "URL"  # an image that was not recorded
            if name not in places or not end or is_empty:
                continue
            if places[name][1]:
                raise InputDataError(f"{self._where}: an image has two {name}; expected one")
            places[name] = (place, begin + end, len(begin) + 1)
            if name in scales:
                scales[name] = _UM.get(_attribute(begin, b"Unit"), 0.0)
            if name == "URL" and _attribute(begin, b"BufferNo") not in {"", "0"}:
                raise InputDataError(
                    f"{self._where}: images lie in pages of one file ({begin.decode()}); expected "
                    "one plane a file. Export single planes"
                )
        missing = [name for name in _NEEDED if not places[name][1]]
        if missing:
            text = b"<".join(pieces).strip()[:80].decode("utf-8", errors="replace")
            raise InputDataError(
                f"{self._where}: an image has no {', '.join(missing)}: {text!r}…; copy the file "
                "from the instrument again"
            )
        # absent ones: the first piece begins with nothing, and is white space
        return _Layout(len(pieces), list(places.values()), list(scales.values()))

    def _image(self, values: list[bytes], scales: list[float]) -> ListedImage:
        url, row, column, site, plane, timepoint, channel, state, acquired, *lengths = values
        try:
            numbers = [int(number) for number in (row, column, site, plane, timepoint, channel)]
        except ValueError:
            numbers = [-1]
        if min(numbers) < 0 or max(numbers) > _MOST:
            raise InputDataError(
                f"{self._where}: an image has {b', '.join(values[1:7]).decode(errors='replace')!r} "
                f"for {', '.join(_NEEDED[1:])}; expected whole numbers up to {_MOST}"
            )
        x, y, z, stage_z = [
            self._length(text, scale) for text, scale in zip(lengths, scales, strict=True)
        ]
        where = Acquisition(x, None if y is None else 0.0 - y, z, _text(acquired) or None, stage_z)
        is_ok = state.strip().lower() in {b"ok", b""}
        row_number, column_number, site_number, plane_number, time, channel_number = numbers
        return ListedImage(
            row_number,
            column_number,
            site_number,
            str(channel_number),
            plane_number,
            time,
            _text(url),
            is_ok,
            where,
        )

    def _length(self, text: bytes, scale: float) -> float | None:
        """Return a length in µm, without the last digits that only the change of unit made."""
        if (text, scale) not in self._lengths:
            number = finite(text) if scale else None
            self._lengths[text, scale] = None if number is None else round(number * scale, 6)
        return self._lengths[text, scale]


def _attribute(tag: bytes, name: bytes) -> str:
    """Return an attribute's text as XML writers write it; empty without it."""
    return tag.partition(b" " + name + b'="')[2].partition(b'"')[0].decode("utf-8", "replace")


def _text(raw: bytes) -> str:
    text = raw.decode("utf-8", errors="replace").strip()
    return unescape(text) if "&" in text else text
