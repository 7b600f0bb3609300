"""Opera Phenix and Operetta: folders of TIFFs and the list of them that Harmony writes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from openhcs_core.microscopes.base import FilenameParts, MicroscopeHandler
from openhcs_core.microscopes.completeness import find_missing
from openhcs_core.microscopes.harmony_index import (
    ROOT_TAG,
    HarmonyChannel,
    HarmonyIndex,
    read_harmony_index,
)
from openhcs_core.microscopes.image_order import sort_images
from openhcs_core.microscopes.listed_files import find_lists
from openhcs_core.microscopes.listed_planes import (
    FoundPlanes,
    find_planes,
    listed_well,
    one_list,
)
from openhcs_core.microscopes.plate_index import ChannelInfo, PlateIndex
from openhcs_core.microscopes.samples import HeaderReader, describe_channels
from openhcs_core.microscopes.site_positions import SitePositions
from openhcs_core.microscopes.wells import well_name
from openhcs_core.microscopes.z_steps import z_step_of
from openhcs_core.storage import PlateSource

_LIST_NAMES = frozenset({"index.xml", "index.idx.xml", "index.ref.xml"})
_LISTS = "Index.xml, Index.idx.xml or Index.ref.xml"
_FILENAME = re.compile(
    r"r(?P<row>[0-9]{2})c(?P<column>[0-9]{2})f(?P<site>[0-9]+)p(?P<plane>[0-9]+)"
    r"-ch(?P<channel>[0-9]+)sk(?P<time>[0-9]+)(?:fk[0-9]+)?(?:fl[0-9]+)?\.tiff?",
    re.IGNORECASE | re.ASCII,
)


class OperaPhenixHandler(MicroscopeHandler):
    """Reads what ``Index.xml``, ``Index.idx.xml`` or ``Index.ref.xml`` lists, in its folder.

    Rows, columns, fields, planes and channels are the list's; time points count from 1. What the
    list names and is not there is missing; flat-field profiles are no images.
    """

    name = "opera_phenix"
    parser_name = "OperaPhenixFilenameParser"

    def find_evidence(self, source: PlateSource) -> str | None:
        """Return the nearest list of images."""
        paths = _find_lists(source)
        return f"the list of images {paths[0]}, written by Harmony" if paths else None

    def looked_for(self) -> str:
        """Say what makes a folder a plate of these instruments."""
        return f"{_LISTS} of Harmony, here or in a folder Images"

    def parse_filename(self, name: str) -> FilenameParts | None:
        """Read ``r01c02f03p04-ch5sk1fk1fl1.tiff``: row, column, site, plane, channel, time."""
        match = _FILENAME.fullmatch(name)
        if match is None:
            return None
        row, column, site, plane, channel, time = (int(part) for part in match.groups())
        try:
            well = well_name(row, column)
        except ValueError:
            return None
        return FilenameParts(well, site, str(channel), plane, time)

    def read_index(self, source: PlateSource) -> PlateIndex:
        """Read the list, scan its folder, open a few headers of each channel."""
        path = one_list(source, _find_lists(source), f"{_LISTS} of Harmony")
        listed = read_harmony_index(source, path)
        found = _find_planes(source, path, listed)
        wells = [listed_well(*place, source.where(path)) for place in listed.wells]
        images = sort_images(found.images)
        headers = HeaderReader(source)
        names = {id_: c.name for id_, c in listed.channels.items() if c.name}
        channels, odd = describe_channels(images, names, headers)
        positions = SitePositions(found.acquisitions)
        z_step_um, z_warnings = z_step_of(found.acquisitions)
        pixel_size_um, pixel_warnings = _pixel_size(listed.channels)
        return PlateIndex(
            plate_path=source.name,
            microscope=self.name,
            parser=self.parser_name,
            images=images,
            channels=tuple(_with_light(channel, listed.channels) for channel in channels),
            missing=find_missing(images, wells, (), found.acquisitions.keys()),
            pixel_size_um=pixel_size_um,
            z_step_um=z_step_um,
            grid_dimensions=positions.dimensions,
            warnings=(
                *found.warnings,
                *_absent_warnings(channels, listed.channels),
                *_form_warnings(channels, listed.channels, path),
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


def _find_lists(source: PlateSource) -> list[str]:
    return [path for path in find_lists(source, _LIST_NAMES) if _is_list(source, path)]


def _is_list(source: PlateSource, path: str) -> bool:
    return ROOT_TAG.encode() in source.read(path, 1024)


def _find_planes(source: PlateSource, path: str, listed: HarmonyIndex) -> FoundPlanes:
    """Find each image of the list in its folder."""
    hint = "fluorescence lifetimes or sequences are not read. Export one image a plane"
    found = find_planes(source, path, listed.planes, hint)
    if listed.failed:
        found.warnings.append(f"{path} says of {listed.failed} images that they are not Ok")
    if found.unrecorded:
        found.warnings.append(
            f"{path} names no file for {found.unrecorded} images: none was recorded; they are "
            "missing"
        )
    return found


def _with_light(channel: ChannelInfo, listed: Mapping[str, HarmonyChannel]) -> ChannelInfo:
    known = listed[channel.id]
    return replace(channel, excitation_nm=known.excitation_nm, emission_nm=known.emission_nm)


def _absent_warnings(
    channels: Sequence[ChannelInfo], listed: Mapping[str, HarmonyChannel]
) -> list[str]:
    absent = listed.keys() - {channel.id for channel in channels}
    return [
        f"channel {id_} {listed[id_].name or ''!r}: none of its images is there"
        for id_ in sorted(absent, key=int)
    ]


def _form_warnings(
    channels: Sequence[ChannelInfo], listed: Mapping[str, HarmonyChannel], path: str
) -> list[str]:
    return [
        f"channel {channel.id}: its images have {channel.shape[0]} x {channel.shape[1]} px but "
        f"{path} says {shape[0]} x {shape[1]}"
        for channel in channels
        if (shape := listed[channel.id].shape) is not None and shape != channel.shape
    ]


def _pixel_size(channels: Mapping[str, HarmonyChannel]) -> tuple[float | None, list[str]]:
    sizes = {channel.pixel_size_um for channel in channels.values()}
    if len(sizes) == 1:
        return sizes.pop(), []
    said = ", ".join(sorted("unknown" if size is None else f"{size:g}" for size in sizes))
    return None, [f"channels have different pixel sizes: {said} µm; none is used"] if said else []
