"""Results as plates: our kept ``<step>.ome.zarr``, and folders with ``openhcs_metadata.json``."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from openhcs_core.constants import Backend
from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.base import FilenameParts, MicroscopeHandler
from openhcs_core.microscopes.completeness import find_missing
from openhcs_core.microscopes.image_order import sort_images
from openhcs_core.microscopes.metadata import (
    METADATA_FILENAME,
    check_workspace_metadata,
    get_image_files,
    get_primary_backend,
    main_subdirectory,
)
from openhcs_core.microscopes.ome_zarr_ import (
    OMEZarrHandler,
    index_zarr_plate,
    is_ours,
    read_places,
)
from openhcs_core.microscopes.ome_zarr_metadata import ZarrGroup, ZarrImage, ZarrWell, find_plate
from openhcs_core.microscopes.plate_index import ChannelInfo, ImageFile, PlateIndex
from openhcs_core.microscopes.samples import HeaderReader, describe_channels
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import (
    ChunkForm,
    OpenHCSZarr,
    PlateSource,
    metadata_file,
    parse_reference,
    plane_reference,
    read_json,
)
from openhcs_core.storage.backends.virtual_workspace import SourceRef

_NAME = re.compile(
    r"(?P<well>[A-Z]{1,2}[0-9]{2})_s(?P<site>[0-9]+)_w(?P<channel>[0-9]+)"
    r"(?:_z(?P<z>[0-9]+))?(?:_t(?P<t>[0-9]+))?\.tiff?",
    re.IGNORECASE | re.ASCII,
)


class OpenHCSHandler(MicroscopeHandler):
    """Reads kept images of a run as a plate, and plates that OpenHCS described or wrote."""

    name = "openhcs"
    parser_name = "OpenHCSFilenameParser"

    def find_evidence(self, source: PlateSource) -> str | None:
        """Return the metadata file, or the plate of a kept step."""
        if source.exists(METADATA_FILENAME):
            return f"the file {METADATA_FILENAME}"
        found = find_plate(source)
        if found is not None and is_ours(source, *found):
            return f"the kept images in {found[1].file}, with the names of their planes"
        return None

    def looked_for(self) -> str:
        """Say what makes a folder such a plate."""
        return f"{METADATA_FILENAME}, or <step>.ome.zarr with kept images"

    def parse_filename(self, name: str) -> FilenameParts | None:
        """Read ``A01_s001_w1_z001_t001.tif``; z and time may be absent."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        z, t = match["z"], match["t"]
        return FilenameParts(
            match["well"].upper(),
            int(match["site"]),
            str(int(match["channel"])),
            int(z) if z else None,
            int(t) if t else None,
        )

    def read_index(self, source: PlateSource) -> PlateIndex:
        """Read the metadata; images are looked up, none is opened but a few headers."""
        if source.exists(METADATA_FILENAME):
            return _index_workspace(self, source)
        found = find_plate(source)
        if found is None or not is_ours(source, *found):
            raise InputDataError(
                f"{source.name} holds no results; looked for {self.looked_for()}. Give the folder "
                "of one step's images, or name the microscope ome_zarr for plates of others"
            )
        return index_zarr_plate(_KeptImages(), source, *found)


class _KeptImages(OMEZarrHandler):
    """Kept images list their planes by name: what a step left out is not there."""

    name = OpenHCSHandler.name
    parser_name = OpenHCSHandler.parser_name

    def planes_of(
        self, well: ZarrWell, site: int, image: ZarrImage, group: ZarrGroup | None
    ) -> Iterator[tuple[PlaneKey, tuple[int, int, int]]]:
        """Yield the planes that the image lists."""
        del group
        places = read_places(image.own.get("planes"))
        if places is None:
            raise InputDataError(
                f"{image.array}: its image does not list its planes; run the step again, or name "
                "the microscope ome_zarr"
            )
        for name, place in places:
            try:
                key = PlaneKey.parse(name)
                int(key.channel)
            except ValueError as error:
                raise InputDataError(f"{image.array}: {error}") from error
            if (key.well, key.site) != (well.name, site):
                raise InputDataError(
                    f"{image.array} lists {name}, but is site {site} of well {well.name}; run the "
                    "step again"
                )
            yield key, place

    def channel_names(self, image: ZarrImage, group: ZarrGroup | None) -> Mapping[str, str]:
        """Return the names that the well gives to its channels."""
        del image
        metadata = group.own.get("image_metadata", {}) if group is not None else {}
        channels = metadata.get("channels", ()) if isinstance(metadata, Mapping) else ()
        return {
            str(channel["id"]): str(channel["name"])
            for channel in channels
            if isinstance(channel, Mapping) and channel.get("id") and channel.get("name")
        }


def _index_workspace(handler: OpenHCSHandler, source: PlateSource) -> PlateIndex:
    metadata = read_json(source, METADATA_FILENAME)
    where = source.where(METADATA_FILENAME)
    check_workspace_metadata(metadata, where)
    _, main = main_subdirectory(metadata)
    files = dict(_real_files(metadata, main, source))
    declared: dict[PlaneKey, str] = {}
    for virtual, real in files.items():
        parts = handler.parse_filename(virtual.rpartition("/")[2])
        if parts is None:
            raise InputDataError(
                f"{where} lists the image {virtual!r}; expected a name such as "
                "A01_s001_w1_z001_t001.tif"
            )
        well, site, channel, z_index, timepoint = parts
        key = PlaneKey(well, site or 1, channel or "1", z_index or 1, timepoint or 1)
        if key in declared:
            raise InputDataError(f"{where} lists {key.filename} twice: {declared[key]} and {real}")
        declared[key] = real
    images = [image for key, real in declared.items() if (image := _look_up(source, key, real))]
    names = {str(id_): str(name) for id_, name in (main.get("channels") or {}).items() if name}
    channels, warnings = _describe(source, images, names)
    return PlateIndex(
        plate_path=source.name,
        microscope=handler.name,
        parser=handler.parser_name,
        images=sort_images(images),
        channels=channels,
        missing=find_missing(images, (), (), declared),
        pixel_size_um=_pixel_size(main.get("pixel_size")),
        grid_dimensions=_grid(main.get("grid_dimensions")),
        warnings=warnings,
    )


def _pixel_size(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < 1e4 else None


def _grid(value: object) -> tuple[int, int] | None:
    is_grid = isinstance(value, list) and len(value) == 2 and all(type(n) is int for n in value)
    return (value[0], value[1]) if is_grid and isinstance(value, list) else None


def _real_files(
    metadata: Mapping[str, Any], main: Mapping[str, Any], source: PlateSource
) -> Iterator[tuple[str, str]]:
    """Yield virtual names and real paths, planes in arrays by references."""
    backend = get_primary_backend(metadata)
    if backend == Backend.VIRTUAL_WORKSPACE:
        for virtual, entry in main.get("workspace_mapping", {}).items():
            ref = SourceRef.parse(entry)
            if ref.backend == Backend.ZARR:
                yield virtual, _zarr_reference(source, {}, ref.path)
            elif ref.indices:
                raise InputDataError(
                    f"{source.where(METADATA_FILENAME)}: {virtual} is a page of {ref.path}; pages "
                    "of one file are not read. Name the plate's own microscope"
                )
            else:
                yield virtual, ref.path
        return
    stores: dict[str, OpenHCSZarr] = {}
    for file in get_image_files(metadata):
        yield file, _zarr_reference(source, stores, file) if backend == Backend.ZARR else file


def _zarr_reference(source: PlateSource, stores: dict[str, OpenHCSZarr], file: str) -> str:
    folder, _, name = file.rpartition("/")
    if folder not in stores:
        stores[folder] = OpenHCSZarr(source, folder)
    array, indices = stores[folder].place(name)
    return plane_reference(array, indices)


def _look_up(source: PlateSource, key: PlaneKey, real: str) -> ImageFile | None:
    if not source.exists(real):
        return None
    status = source.status(real)
    return ImageFile(key, real, status.st_size, status.st_mtime_ns)


def _describe(
    source: PlateSource, images: list[ImageFile], names: Mapping[str, str]
) -> tuple[tuple[ChannelInfo, ...], tuple[str, ...]]:
    """Return form and name of each channel, from a few headers or arrays."""
    in_arrays = [image for image in images if parse_reference(image.path) is not None]
    if not in_arrays:
        headers = HeaderReader(source)
        channels, odd = describe_channels(images, names, headers)
        return channels, (*odd, *headers.problems.values())
    forms: dict[str, tuple[str, tuple[int, int]]] = {}
    for image in images:
        reference = parse_reference(image.path)
        if reference is not None and image.key.channel not in forms:
            file = metadata_file(source, reference.array)
            form = ChunkForm.parse(read_json(source, file), source.where(file))
            forms[image.key.channel] = (form.dtype, (form.shape[-2], form.shape[-1]))
    return tuple(
        ChannelInfo(id_, names.get(id_, f"w{id_}"), dtype, shape)
        for id_, (dtype, shape) in sorted(forms.items(), key=lambda item: int(item[0]))
    ), ()
