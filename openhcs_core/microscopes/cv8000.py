"""Yokogawa CellVoyager CV7000 and CV8000: ``MeasurementData.mlf`` and the files it names."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from openhcs_core.microscopes.base import FilenameParts, MicroscopeHandler
from openhcs_core.microscopes.completeness import find_missing, plane_order, undeclared_warnings
from openhcs_core.microscopes.cv8000_metadata import (
    Measurement,
    YokogawaChannel,
    read_measurement,
)
from openhcs_core.microscopes.cv8000_records import read_records
from openhcs_core.microscopes.image_order import sort_images
from openhcs_core.microscopes.listed_files import find_lists
from openhcs_core.microscopes.listed_planes import FoundPlanes, find_planes, one_list
from openhcs_core.microscopes.plate_index import Acquisition, ChannelInfo, ImageFile, PlateIndex
from openhcs_core.microscopes.samples import HeaderReader, describe_channels
from openhcs_core.microscopes.site_positions import SitePositions
from openhcs_core.microscopes.z_steps import z_step_of
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import PlateSource

_LIST = "MeasurementData.mlf"
_FILENAME = re.compile(
    r"(?:.*_)?(?P<row>A[A-F]|[A-Z])(?P<column>[0-9]{2})_T(?P<time>[0-9]+)F(?P<site>[0-9]+)"
    r"L[0-9]+A[0-9]+Z(?P<plane>[0-9]+)C(?P<channel>[0-9]+)\.tiff?",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_CALIBRATION = re.compile(r"(?:DC|SC)_.*\.tiff?", re.IGNORECASE | re.DOTALL)


class CV8000Handler(MicroscopeHandler):
    """Reads what ``MeasurementData.mlf`` lists.

    Channels, pixel size and wells are from ``MeasurementDetail.mrf`` and the ``.mes`` file.
    Dark-current and shading images (``DC_…``, ``SC_…``) are no images of the plate.
    """

    name = "cv8000"
    parser_name = "CV8000FilenameParser"

    def find_evidence(self, source: PlateSource) -> str | None:
        """Return the nearest list of images."""
        paths = find_lists(source, {_LIST.lower()})
        return f"the list of images {paths[0]} of a CellVoyager" if paths else None

    def looked_for(self) -> str:
        """Say what makes a folder a plate of these instruments."""
        return f"{_LIST}, here or below"

    def parse_filename(self, name: str) -> FilenameParts | None:
        """Read ``<plate>_D08_T0001F002L01A01Z03C02.tif``: well, time, field, plane, channel."""
        match = _FILENAME.fullmatch(name)
        if match is None or int(match["column"]) not in range(1, 49):
            return None
        return FilenameParts(
            match["row"].upper() + match["column"],
            int(match["site"]),
            str(int(match["channel"])),
            int(match["plane"]),
            int(match["time"]),
        )

    def read_index(self, source: PlateSource) -> PlateIndex:
        """Read the list, scan its folder, open a few headers of each channel."""
        path = one_list(source, find_lists(source, {_LIST.lower()}), _LIST)
        found = _read_planes(source, path)
        measurement = read_measurement(source, path)
        images = sort_images(found.images)
        headers = HeaderReader(source)
        names = {id_: channel.name for id_, channel in measurement.channels.items()}
        channels, odd = describe_channels(images, names, headers)
        positions = SitePositions(found.acquisitions)
        z_step_um, z_warnings = z_step_of(found.acquisitions)
        pixel_size_um, pixel_warnings = _pixel_size(channels, measurement)
        return PlateIndex(
            plate_path=source.name,
            microscope=self.name,
            parser=self.parser_name,
            images=images,
            channels=tuple(_with_light(channel, measurement.channels) for channel in channels),
            missing=_find_missing(images, measurement, found.acquisitions),
            pixel_size_um=pixel_size_um,
            z_step_um=z_step_um,
            grid_dimensions=positions.dimensions,
            warnings=(
                *found.warnings,
                *measurement.warnings,
                *_count_warnings(found.acquisitions, measurement),
                *_form_warnings(channels, measurement),
                *pixel_warnings,
                *z_warnings,
                *positions.warnings,
                *odd,
                *(f"a sampled image was passed over: {text}" for text in headers.problems.values()),
            ),
            site_grid=positions.grid,
            acquisitions=found.acquisitions,
            surplus=found.surplus,
        )


def _read_planes(source: PlateSource, path: str) -> FoundPlanes:
    """Read the list and find its images."""
    planes, errors = read_records(source, path)
    hint = (
        "expected one action and timeline a channel. Name microscope generic and a pattern of one "
        "of them, {_}_{well}_T{timepoint}F{site}L01A01Z{z_index}C{channel}.tif"
    )
    found = find_planes(source, path, planes, hint)
    if errors:
        found.warnings.append(f"{path} has {errors} records of errors during the measurement")
    found.surplus = tuple(
        name for name in found.surplus if not _CALIBRATION.fullmatch(name.rpartition("/")[2])
    )
    return found


def _find_missing(
    images: Sequence[ImageFile],
    measurement: Measurement,
    listed: Mapping[PlaneKey, Acquisition],
) -> tuple[PlaneKey, ...]:
    """Return what is missing: a well should have the planes of the others of its timelines."""
    groups = measurement.alike()
    begun = {key.well for key in listed}
    if len(groups) < 2 or not all(begun.intersection(group) for group in groups):
        return find_missing(images, [well for wells in groups for well in wells], (), listed.keys())
    chosen = {well for wells in groups for well in wells}
    missing: list[PlaneKey] = []
    for wells in [*groups, sorted(begun - chosen)]:
        own = [image for image in images if image.key.well in wells]
        declared = [key for key in listed if key.well in wells]
        missing += find_missing(own, wells, (), declared)
    return tuple(sorted(missing, key=plane_order))


def _with_light(channel: ChannelInfo, known: Mapping[str, YokogawaChannel]) -> ChannelInfo:
    if channel.id not in known:
        return channel
    light = known[channel.id]
    return replace(channel, excitation_nm=light.excitation_nm, emission_nm=light.emission_nm)


def _count_warnings(keys: Mapping[PlaneKey, Acquisition], measurement: Measurement) -> list[str]:
    seen = {
        "field": {key[1] for key in keys},
        "z plane": {key[3] for key in keys},
        "time point": {key[4] for key in keys},
    }
    warnings = []
    for kind, numbers in seen.items():
        declared = range(1, measurement.counts.get(kind, 0) + 1)
        labels = {number: str(number) for number in declared}
        warnings.extend(undeclared_warnings(measurement.name, kind, labels, numbers))
    return warnings


def _form_warnings(channels: tuple[ChannelInfo, ...], measurement: Measurement) -> list[str]:
    return [
        f"channel {channel.id}: its images have {channel.shape[0]} x {channel.shape[1]} px but "
        f"{measurement.name} says {shape[0]} x {shape[1]}"
        for channel in channels
        if channel.id in measurement.channels
        and (shape := measurement.channels[channel.id].shape) is not None
        and shape != channel.shape
    ]


def _pixel_size(
    channels: tuple[ChannelInfo, ...], measurement: Measurement
) -> tuple[float | None, list[str]]:
    known = measurement.channels
    sizes = {known[c.id].pixel_size_um if c.id in known else None for c in channels}
    if len(sizes) == 1:
        return sizes.pop(), []
    said = ", ".join(sorted("unknown" if size is None else f"{size:g}" for size in sizes))
    return None, [f"channels have different pixel sizes: {said} µm; none is used"] if said else []
