"""What a CellVoyager's measurement was to be: ``MeasurementDetail.mrf`` and the ``.mes`` file."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.numbers import finite
from openhcs_core.microscopes.wells import well_name
from openhcs_core.microscopes.xml_ import local_name, read_xml
from openhcs_core.storage import PlateSource
from openhcs_core.storage.plate_source import is_inside

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the type alone

_DETAIL = "MeasurementDetail.mrf"
_BAND = re.compile(r"(?:BP|EM)?\s*(?P<centre>[0-9]{3})\s*/\s*[0-9]+", re.IGNORECASE)
_COUNTS = {"time point": "TimePointCount", "field": "FieldCount", "z plane": "ZCount"}


@dataclass(frozen=True)
class YokogawaChannel:
    """One channel; None where the files do not say."""

    name: str
    pixel_size_um: float | None = None
    shape: tuple[int, int] | None = None
    excitation_nm: float | None = None
    emission_nm: float | None = None


@dataclass
class Measurement:
    """What is declared.

    Attributes
    ----------
    name : str
        The file that declares counts, relative to the plate.
    channels : dict of str to YokogawaChannel
        By number.
    timelines : list of list of str
        Selected wells of each.
    counts : dict of str to int
        How many fields, z planes and time points.
    warnings : list of str
        Files that are not there.
    """

    name: str
    channels: dict[str, YokogawaChannel] = field(default_factory=dict)
    timelines: list[list[str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def alike(self) -> list[list[str]]:
        """Return the selected wells, those of the same timelines together."""
        groups: dict[tuple[int, ...], list[str]] = {}
        for well in dict.fromkeys(chain.from_iterable(self.timelines)):
            of = tuple(n for n, wells in enumerate(self.timelines) if well in wells)
            groups.setdefault(of, []).append(well)
        return list(groups.values())


def read_measurement(source: PlateSource, list_path: str) -> Measurement:
    """Read the files beside the list of images; what is not there is a warning.

    Raises
    ------
    InputDataError
        One is not XML, or not to be trusted.
    """
    folder = list_path[: list_path.rfind("/") + 1]
    names = {entry.name for entry in source.list_folder(folder)}
    measurement = Measurement(folder + _DETAIL)
    if _DETAIL not in names:
        measurement.warnings.append(
            f"there is no {folder}{_DETAIL}: channels have no names, and the pixel size is unknown"
        )
        return measurement
    detail = read_xml(source, folder + _DETAIL)
    attributes = _attributes(detail)
    for kind, key in _COUNTS.items():
        count = finite(attributes.get(key, ""))
        if count is not None and count.is_integer() and 0 < count <= 100_000:
            measurement.counts[kind] = int(count)
    settings_name = attributes.get("MeasurementSettingFileName", "")
    settings: list[Element] = []
    if settings_name in names and is_inside(settings_name):
        settings = list(read_xml(source, folder + settings_name).iter())
    else:
        measurement.warnings.append(
            f"{folder}{_DETAIL} names the settings {settings_name!r}, which are not there: "
            "channels have no names, and wells without any image go unseen"
        )
    measurement.channels = dict(_channels(detail, settings))
    where = source.where(folder + settings_name)
    timelines = [element for element in settings if local_name(element.tag) == "Timeline"]
    measurement.timelines = [_wells(timeline.iter(), where) for timeline in timelines]
    return measurement


def _channels(
    detail: "Element", settings: "Iterable[Element]"
) -> Iterator[tuple[str, YokogawaChannel]]:
    settings = list(settings)
    lamps = {
        a.get("Name", ""): finite(a.get("WaveLength", "")) for a in _all(settings, "LightSource")
    }
    chosen = {
        _attributes(element).get("Ch", ""): element
        for element in settings
        if local_name(element.tag) == "Channel"
    }
    for values in _all(detail.iter(), "MeasurementChannel"):
        id_ = values.get("Ch", "")
        if not (id_.isascii() and id_.isdigit()):
            continue
        element = chosen.get(id_)
        setting = {} if element is None else _attributes(element)
        lights = [] if element is None else _texts(element, "LightSourceName")
        band = _BAND.search(setting.get("Acquisition", ""))
        sizes = [
            finite(values.get(f"{axis}PixelDimension", "")) for axis in ("Horizontal", "Vertical")
        ]
        shape = [finite(values.get(f"{axis}Pixels", "")) for axis in ("Vertical", "Horizontal")]
        yield (
            str(int(id_)),
            YokogawaChannel(
                name=setting.get("Fluorophore") or setting.get("Acquisition") or f"w{int(id_)}",
                pixel_size_um=sizes[0] if sizes[0] and sizes[0] == sizes[1] else None,
                shape=(int(shape[0]), int(shape[1])) if shape[0] and shape[1] else None,
                excitation_nm=(lamps.get(lights[0]) or None) if len(lights) == 1 else None,
                emission_nm=float(band["centre"]) if band else None,
            ),
        )


def _wells(settings: "Iterable[Element]", where: str) -> list[str]:
    wells = []
    for element in settings:
        if local_name(element.tag) == "TargetWell" and (element.text or "").strip() == "true":
            values = _attributes(element)
            row, column = (finite(values.get(key, "")) for key in ("Row", "Column"))
            try:
                wells.append(well_name(int(row or 0), int(column or 0)))
            except ValueError as error:
                raise InputDataError(f"{where}: {error}") from error
    return wells


def _all(elements: "Iterable[Element]", name: str) -> Iterator[Mapping[str, str]]:
    return (_attributes(element) for element in elements if local_name(element.tag) == name)


def _attributes(element: "Element") -> dict[str, str]:
    return {local_name(key): value.strip() for key, value in element.attrib.items()}


def _texts(element: "Element", name: str) -> list[str]:
    return [(child.text or "").strip() for child in element if local_name(child.tag) == name]
