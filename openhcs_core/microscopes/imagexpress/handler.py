"""Molecular Devices ImageXpress: plates exported by MetaXpress, or its database's folders."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.base import FilenameParts, MicroscopeHandler
from openhcs_core.microscopes.completeness import find_missing, undeclared_warnings
from openhcs_core.microscopes.image_order import plane_places
from openhcs_core.microscopes.imagexpress.files import (
    PlateFiles,
    find_evidence,
    parse_image_name,
    scan_plate,
)
from openhcs_core.microscopes.imagexpress.htd import MAX_HTD_BYTES, Htd, parse_htd
from openhcs_core.microscopes.imagexpress.planes import Planes, choose_planes
from openhcs_core.microscopes.imagexpress.stage import place_sites
from openhcs_core.microscopes.plate_index import ChannelInfo, ImageFile, PlateIndex
from openhcs_core.microscopes.samples import HeaderReader, describe_channels
from openhcs_core.planes import well_order
from openhcs_core.storage import PlateSource

_LOOKED_FOR = (
    "images named <plate>_<well>[_s<site>][_w<wave>].tif, in folders TimePoint_n and ZStep_n or not"
)

_Z_JITTER = 0.05
"""Stage positions give the distance of planes to a few per cent."""


class ImageXpressHandler(MicroscopeHandler):
    """Reads ``[TimePoint_n/][ZStep_n/]<plate>_<well>[_s<site>][_w<wave>].tif`` and the HTD file.

    Also ``<date>/<acquisition>/[ZStep_n/]`` with a GUID in each name, as in the
    MetaXpress database: there projections lie outside of the ZStep folders, and no
    HTD file gives names to the channels.
    """

    name = "imagexpress"
    parser_name = "ImageXpressFilenameParser"

    def find_evidence(self, source: PlateSource) -> str | None:
        """Return the HTD file or the typically named image that was found."""
        return find_evidence(source)

    def looked_for(self) -> str:
        """Say what makes a folder an ImageXpress plate."""
        return f"an HTD file, or {_LOOKED_FOR}"

    def parse_filename(self, name: str) -> FilenameParts | None:
        """Read ``<plate>_<well>[_s<site>][_w<wave>].tif``; folders hold z and time."""
        parsed = parse_image_name(name)
        if parsed is None or parsed.is_thumbnail:
            return None
        return FilenameParts(parsed.well, parsed.site, parsed.channel)

    def read_index(self, source: PlateSource) -> PlateIndex:
        """Scan the folder once, open a few headers of each channel."""
        files = scan_plate(source)
        if not files.images:
            raise _no_images_error(source.name, files)
        htd = _read_plate_htd(source, files)
        headers = HeaderReader(source)
        planes = choose_planes(files.images, htd, headers)
        images = _sorted_images(planes)
        names = htd.channels if htd is not None else {}
        channels, odd = describe_channels(images, names, headers)
        pixel_size_um, pixel_warnings = _pixel_size(headers)
        z_step_um, z_warnings = _z_step(planes.z_steps_um)
        declared_sites, site_warnings = _declared_sites(htd, images)
        grid, dimensions, grid_warnings = place_sites(images, headers, htd.grid if htd else None)
        warnings = (
            *_file_warnings(files),
            *planes.warnings,
            *(_htd_warnings(htd, images) if htd is not None else _no_htd_warnings()),
            *site_warnings,
            *grid_warnings,
            *pixel_warnings,
            *z_warnings,
            *odd,
            *(f"a sampled image was passed over: {text}" for text in headers.problems.values()),
        )
        return PlateIndex(
            plate_path=source.name,
            microscope=self.name,
            parser=self.parser_name,
            images=images,
            channels=_with_light(channels, headers),
            missing=find_missing(images, (htd and htd.wells) or (), declared_sites),
            pixel_size_um=pixel_size_um,
            z_step_um=z_step_um,
            grid_dimensions=dimensions,
            site_grid=grid,
            warnings=warnings,
            projections=planes.projections,
            copies=planes.copies,
            surplus=tuple(sorted(files.strays)),
        )


def _no_images_error(plate: str, files: PlateFiles) -> InputDataError:
    found = []
    if files.strays:
        found.append(f"{len(files.strays)} TIFF files of other names, e.g. {min(files.strays)}")
    if files.thumbnails:
        found.append(f"{files.thumbnails} thumbnails")
    if files.htd_files:
        found.append(f"the HTD file {min(files.htd_files)}")
    return InputDataError(
        f"{plate} has no ImageXpress images: looked for {_LOOKED_FOR}; "
        f"found {', '.join(found) or 'no TIFF file'}. Give the plate's own folder"
    )


def _read_plate_htd(source: PlateSource, files: PlateFiles) -> Htd | None:
    """Read the HTD file nearest to the plate's folder: exports repeat it in every folder."""
    if not files.htd_files:
        return None
    depth = min(name.count("/") for name in files.htd_files)
    nearest = sorted(name for name in files.htd_files if name.count("/") == depth)
    raw = source.read(nearest[0], MAX_HTD_BYTES + 1)
    htd = parse_htd(raw, source.where(nearest[0]), nearest[0])
    for name in nearest[1:]:
        if source.read(name, MAX_HTD_BYTES + 1) != raw:
            raise InputDataError(
                f"{source.name} has different HTD files: {nearest[0]} and {name}; expected one "
                "plate. Give the folder of a single plate"
            )
    return htd


def _sorted_images(planes: Planes) -> tuple[ImageFile, ...]:
    items = list(planes.images.items())
    places = plane_places(list(planes.images))
    order = sorted(range(len(items)), key=places.__getitem__)
    new = tuple.__new__  # 1e5 times: no call that can be spared
    return tuple(
        [
            new(ImageFile, (key, path, size_bytes, mtime_ns))
            for key, (_, _, _, _, _, path, size_bytes, mtime_ns) in map(items.__getitem__, order)
        ]
    )


def _pixel_size(headers: HeaderReader) -> tuple[float | None, list[str]]:
    sizes = sorted({entry.pixel_size_um for entry in headers.metadata if entry.pixel_size_um})
    if len(sizes) > 1:
        found = ", ".join(f"{size:g}" for size in sizes)
        return None, [f"images have different pixel sizes: {found} µm; none is used"]
    return (sizes[0] if sizes else None), []


def _with_light(channels: Sequence[ChannelInfo], headers: HeaderReader) -> tuple[ChannelInfo, ...]:
    """Return channels with the wavelengths that their images say.

    Where several say the same, it was not set for each: none is used.
    """
    found: dict[str, set[float | None]] = {}
    for path, sample in headers.samples.items():
        name = parse_image_name(path.rpartition("/")[2])
        if name is not None:
            found.setdefault(name.channel, set()).add(sample.metadata.wavelength_nm)
    said = {id_: next(iter(lights)) for id_, lights in found.items() if len(lights) == 1}
    counts = Counter(said.values())
    return tuple(
        replace(channel, emission_nm=light)
        if (light := said.get(channel.id)) is not None and counts[light] == 1
        else channel
        for channel in channels
    )


def _declared_sites(htd: Htd | None, images: Sequence[ImageFile]) -> tuple[range, list[str]]:
    """Return the sites that every well should have, when numbers in names are those of the HTD."""
    if htd is None or htd.sites is None:
        return range(0), []
    declared = range(1, htd.sites + 1)
    beyond = sorted({image.key.site for image in images} - set(declared))
    if beyond:
        text = (
            f"{htd.name} declares {htd.sites} sites but there are images of site "
            f"{', '.join(map(str, beyond))}; only sites that some well has are expected"
        )
        return range(0), [text]
    return declared, []


def _file_warnings(files: PlateFiles) -> list[str]:
    warnings = [f"{path} is a link to nothing" for path in sorted(files.dangling)]
    if files.strays:
        warnings.append(
            f"{len(files.strays)} TIFF files are not named as images of a well and are left out, "
            f"e.g. {min(files.strays)}"
        )
    return warnings


def _no_htd_warnings() -> list[str]:
    return ["no HTD file: channels have no names, and wells or sites without any image go unseen"]


def _htd_warnings(htd: Htd, images: Sequence[ImageFile]) -> list[str]:
    waves = {
        int(id_): f"{id_} {name!r}" for id_, name in htd.channels.items() if id_ in htd.collected
    }
    keys = {image.key[2:] for image in images}
    warnings = [
        *undeclared_warnings(htd.name, "channel", waves, {int(key[0]) for key in keys}),
        *undeclared_warnings(htd.name, "z plane", _numbers(htd.z_steps), {key[1] for key in keys}),
        *undeclared_warnings(
            htd.name, "time point", _numbers(htd.timepoints), {key[2] for key in keys}
        ),
    ]
    extra = sorted({image.key.well for image in images} - set(htd.wells or ()), key=well_order)
    if htd.wells is not None and extra:
        warnings.append(
            f"there are images of well {', '.join(extra)}, which {htd.name} does not declare"
        )
    return warnings


def _numbers(count: int | None) -> dict[int, str]:
    return {number: str(number) for number in range(1, (count or 0) + 1)}


def _z_step(distances_um: Sequence[float]) -> tuple[float | None, list[str]]:
    """Return the distance of planes when channels agree but for the stage's jitter."""
    if not distances_um:
        return None, []
    low, high = min(distances_um), max(distances_um)
    if high - low > _Z_JITTER * high:
        return None, [f"channels have planes {low:g} to {high:g} µm apart; no distance is used"]
    return distances_um[0], []
