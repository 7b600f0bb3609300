"""Plates of Opera Phenix and Operetta, made as Harmony's versions write their lists."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import numpy as np
import tifffile
from numpy.typing import NDArray

NAMESPACES = {
    "V4": "http://www.perkinelmer.com/PEHH/HarmonyV4",
    "V5": "http://www.perkinelmer.com/PEHH/HarmonyV5",
    "V6": "http://www.perkinelmer.com/PEHH/HarmonyV6",
    "V7": "43B2A954-E3C3-47E1-B392-6635266B0DD3/HarmonyV7",
}
"""What the versions are told by; V6 and V7 describe channels once, not in each image."""

_ONCE = frozenset({"V6", "V7"})

CHANNELS = {1: ("405ex, 570-630-em)", 405, 599), 2: ("A & B <µ>", 488, 522)}
"""Name, excitation and emission in nm."""

PIXEL_M = 2.96688132474701e-07
FIELDS = {1: (0.0, 0.0), 2: (0.0003, 0.0), 3: (0.0, -0.00025)}
"""Positions of fields in m, y upwards: no rectangle."""

SHAPE = (6, 8)


class ListedPlane(NamedTuple):
    """One image: row and column from 1, field, plane, time from 1, channel."""

    row: int
    column: int
    field: int
    plane: int
    time: int
    channel: int

    @property
    def file_name(self) -> str:
        """Return its file."""
        return (
            f"r{self.row:02d}c{self.column:02d}f{self.field:02d}p{self.plane:02d}"
            f"-ch{self.channel}sk{self.time}fk1fl1.tiff"
        )


def list_planes(
    wells: Iterable[tuple[int, int]],
    fields: Iterable[int] = tuple(FIELDS),
    plane_count: int = 2,
    times: int = 2,
) -> list[ListedPlane]:
    """Return the planes of some wells."""
    ranges = range(1, plane_count + 1), range(1, times + 1)
    return [
        ListedPlane(*well, field, plane, time, channel)
        for well, field, plane, time, channel in itertools.product(wells, fields, *ranges, CHANNELS)
    ]


def write_list(
    path: Path,
    version: str,
    listed: Sequence[ListedPlane],
    *,
    first_time: int = 0,
    bom: bool = True,
    wells: Sequence[tuple[int, int]] | None = None,
    instrument: str = "Phenix",
) -> None:
    """Write the list of `listed`; `wells` of the plate are those listed unless given.

    `instrument` is ``Operetta``, ``Phenix`` or ``Sonata``, as they name themselves.
    """
    if wells is None:
        wells = sorted({(plane.row, plane.column) for plane in listed})
    named = "".join(f'<Well id="{row:02d}{column:02d}" />' for row, column in wells)
    maps = '<Map><Entry ChannelID="1"><FlatfieldProfile>{Mean: NaN, Random: INF, ChannelName: '
    maps += '"405ex, 570-630-em)"}</FlatfieldProfile></Entry></Map>'
    if version in _ONCE:
        entries = (f'<Entry ChannelID="{c}">{_channel(c)}</Entry>' for c in CHANNELS)
        maps += f"<Map>{''.join(entries)}</Map>"
    images = "".join(_image(version, first_time, plane) for plane in listed)
    text = (
        '<?xml version="1.0" encoding="utf-8"?>\r\n<EvaluationInputData Version="1" '
        f'xmlns="{NAMESPACES[version]}"><User>x</User><InstrumentType>{instrument}</InstrumentType>'
        f"<Plates><Plate><Name>P</Name>{named}</Plate></Plates>"
        '<Wells><Well><id>0101</id><Image id="0101K1F1P1R1" /></Well></Wells>'
        f"<Maps>{maps}</Maps>\r\n  <Images>{images}\r\n  </Images>\r\n</EvaluationInputData>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())


def write_images(folder: Path, listed: Sequence[ListedPlane]) -> dict[ListedPlane, NDArray[Any]]:
    """Write LZW TIFFs of random uint16; return the pixels."""
    random = np.random.default_rng(3)
    pixels = {}
    for plane in listed:
        pixels[plane] = random.integers(0, 65536, SHAPE).astype(np.uint16)
        tifffile.imwrite(folder / plane.file_name, pixels[plane], compression="lzw")
    return pixels


def _channel(number: int) -> str:
    name, excitation, emission = CHANNELS.get(number, (f"C{number}", 405, 599))
    return (
        f"<ChannelName>{escape(name)}</ChannelName>"
        f'<ImageResolutionX Unit="m">{PIXEL_M}</ImageResolutionX>'
        f'<ImageResolutionY Unit="m">{PIXEL_M}</ImageResolutionY>'
        f"<ImageSizeX>{SHAPE[1]}</ImageSizeX><ImageSizeY>{SHAPE[0]}</ImageSizeY>"
        f'<MainExcitationWavelength Unit="nm">{excitation}</MainExcitationWavelength>'
        f'<MainEmissionWavelength Unit="nm">{emission}</MainEmissionWavelength>'
    )


def _image(version: str, first_time: int, plane: ListedPlane) -> str:
    x, y = FIELDS.get(plane.field, (3e-4 * plane.field, 0.0))
    sequence = "<SequenceID>1</SequenceID><GroupID>1</GroupID>" if version in _ONCE else ""
    return (
        f'\r\n    <Image Version="1">\r\n<id>{plane.row:02d}{plane.column:02d}</id>'
        f"<State>Ok</State><URL>{plane.file_name}</URL>"
        f"<Row>{plane.row}</Row><Col>{plane.column}</Col><FieldID>{plane.field}</FieldID>"
        f"<PlaneID>{plane.plane}</PlaneID>"
        f"<TimepointID>{plane.time - 1 + first_time}</TimepointID>{sequence}"
        f"<ChannelID>{plane.channel}</ChannelID><FlimID>1</FlimID>"
        f"{_channel(plane.channel) if version not in _ONCE else ''}"
        f'<PositionX Unit="m">{x}</PositionX><PositionY Unit="m">{y}</PositionY>'
        f'<PositionZ Unit="m">{plane.plane * 1.5e-06 + plane.channel * 1e-06:g}</PositionZ>'
        f'<AbsPositionZ Unit="m">0.1346{plane.plane}</AbsPositionZ>'
        f"<AbsTime>2021-03-29T16:55:{plane.time:02d}.987-04:00</AbsTime></Image>"
    )
