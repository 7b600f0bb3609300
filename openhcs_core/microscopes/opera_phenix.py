"""Opera Phenix and Operetta: folders of TIFFs and the list of them that Harmony writes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.base import FilenameParts, MicroscopeHandler
from openhcs_core.microscopes.completeness import find_missing
from openhcs_core.microscopes.harmony_index import (
    ROOT_TAG,
    HarmonyChannel,
    HarmonyIndex,
    ListedImage,
    read_harmony_index,
)
from openhcs_core.microscopes.image_order import sort_images
from openhcs_core.microscopes.listed_files import ListedFiles, find_lists
from openhcs_core.microscopes.plate_index import Acquisition, ChannelInfo, ImageFile, PlateIndex
from openhcs_core.microscopes.samples import HeaderReader, describe_channels
from openhcs_core.microscopes.site_positions import SitePositions
from openhcs_core.microscopes.wells import well_name
from openhcs_core.microscopes.z_steps import z_step_of
from openhcs_core.planes import PlaneKey
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
        path = _one_list(source)
        listed = read_harmony_index(source, path)
        found = _match_files(source, path, listed)
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
            missing=find_missing(images, found.wells, (), found.acquisitions.keys()),
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


@dataclass
class _Found:
    """The list's images, those that are there, and what else is in their folders."""

    images: list[ImageFile]
    acquisitions: dict[PlaneKey, Acquisition]
    wells: list[str]
    surplus: tuple[str, ...]
    warnings: list[str]


def _find_lists(source: PlateSource) -> list[str]:
    return [path for path in find_lists(source, _LIST_NAMES) if _is_list(source, path)]


def _is_list(source: PlateSource, path: str) -> bool:
    return ROOT_TAG.encode() in source.read(path, 1024)


def _one_list(source: PlateSource) -> str:
    paths = _find_lists(source)
    if not paths:
        raise InputDataError(
            f"{source.name} has no {_LISTS} of Harmony, in this folder or below; give the folder "
            "of one measurement"
        )
    if len(paths) > 1:
        raise InputDataError(
            f"{source.name} has several lists of images: {', '.join(paths[:6])}; expected one "
            "measurement. Give the folder of a single one, or move a list away"
        )
    return paths[0]


def _match_files(source: PlateSource, path: str, listed: HarmonyIndex) -> _Found:
    """Find each image of the list in its folder."""
    where = source.where(path)
    files = ListedFiles(source, path)
    first_time, first_plane = (_first(listed.images, part) for part in ("timepoint", "plane"))
    names: dict[tuple[int, int], str] = {}
    images: list[ImageFile] = []
    acquisitions: dict[PlaneKey, Acquisition] = {}
    paths: dict[str, PlaneKey] = {}
    failed = unrecorded = 0
    for image in listed.images:
        place = (image.row, image.column)
        if place not in names:
            names[place] = _well(place, where)
        key = PlaneKey(
            names[place],
            image.site,
            image.channel,
            image.plane + first_plane,
            image.timepoint + first_time,
        )
        if key in acquisitions:
            raise _same_plane_error(where, key, image)
        acquisitions[key] = image.acquisition
        failed += not image.is_ok
        if not image.url:
            unrecorded += 1
            continue
        if paths.setdefault(image.url, key) is not key:
            raise InputDataError(
                f"{where} says that {image.url} is {paths[image.url].filename} and {key.filename}; "
                "expected one plane a file"
            )
        status = files.find(image.url)
        if status is not None:
            images.append(
                ImageFile(key, files.folder + image.url, status.st_size, status.st_mtime_ns)
            )
    warnings = files.warnings
    if failed:
        warnings = [*warnings, f"{path} says of {failed} images that they are not Ok"]
    if unrecorded:
        text = f"{path} names no file for {unrecorded} images: none was recorded; they are missing"
        warnings = [*warnings, text]
    wells = [_well(place, where) for place in listed.wells]
    return _Found(images, acquisitions, wells, files.surplus(paths.keys()), warnings)


def _first(images: Sequence[ListedImage], part: str) -> int:
    """Return what is to be added to numbers so that none is 0."""
    return 1 if any(getattr(image, part) == 0 for image in images) else 0


def _well(place: tuple[int, int], where: str) -> str:
    try:
        return well_name(*place)
    except ValueError as error:
        raise InputDataError(f"{where}: {error}") from error


def _same_plane_error(where: str, key: PlaneKey, image: ListedImage) -> InputDataError:
    return InputDataError(
        f"{where} lists several images of well {key.well} field {image.site} channel "
        f"{image.channel} plane {image.plane} time {image.timepoint}, {image.url} among them: "
        "fluorescence lifetimes or sequences are not read. Export one image a plane"
    )


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
