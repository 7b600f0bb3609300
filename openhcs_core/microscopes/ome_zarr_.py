"""OME-Zarr plates of any writer, versions 0.4 and 0.5."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Self

from openhcs_core.config import PlateConfig, ZarrPlateConfig
from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.base import MicroscopeHandler
from openhcs_core.microscopes.completeness import find_missing
from openhcs_core.microscopes.image_order import sort_images
from openhcs_core.microscopes.ome_zarr_metadata import (
    ALL_IMAGES,
    GROUP_FILES,
    ZarrGroup,
    ZarrImage,
    ZarrWell,
    check_acquisition,
    find_plate,
    iterate_images,
    list_wells,
    read_zarr_group,
)
from openhcs_core.microscopes.own_metadata import read_acquisitions, read_lights
from openhcs_core.microscopes.plate_index import Acquisition, ChannelInfo, ImageFile, PlateIndex
from openhcs_core.microscopes.site_positions import SitePositions
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import PlateSource, plane_reference

_Place = tuple[int, int, int]


class OMEZarrHandler(MicroscopeHandler):
    """Reads the plate's metadata and those of each field; sites count from 1, as channels do.

    Plates that this software wrote are left to the handler ``openhcs``, which knows which planes
    exist; naming ``ome_zarr`` reads them as any other.
    """

    name = "ome_zarr"
    parser_name = "OMEZarrMetadata"

    def __init__(self, choice: ZarrPlateConfig = ALL_IMAGES) -> None:
        self.choice = choice

    def configured(self, settings: PlateConfig) -> Self:
        """Return a handler that takes the images that the plate's section names."""
        return self if settings.ome_zarr is None else type(self)(settings.ome_zarr)

    def find_evidence(self, source: PlateSource) -> str | None:
        """Return the plate's metadata."""
        found = find_plate(source)
        if found is None or is_ours(source, *found):
            return None
        file = found[1].file
        return f"the plate in {file}, OME-Zarr {GROUP_FILES[file.rpartition('/')[2]]}"

    def looked_for(self) -> str:
        """Say what makes a folder such a plate."""
        return "an OME-Zarr plate: zarr.json or .zattrs with 'plate', here or in one .zarr folder"

    def read_index(self, source: PlateSource) -> PlateIndex:
        """Read the metadata of every field, list its files; no chunk is opened."""
        found = find_plate(source)
        if found is None:
            raise InputDataError(
                f"{source.name} is no OME-Zarr plate; looked for {self.looked_for()}. Give the "
                "folder of the plate, not that of an image"
            )
        return index_zarr_plate(self, source, *found)

    def planes_of(
        self, well: ZarrWell, site: int, image: ZarrImage, group: ZarrGroup | None
    ) -> "Iterator[tuple[PlaneKey, _Place]]":
        """Yield the planes of an image, and ``(t, c, z)`` of each."""
        del group
        for t, c, z in product(*(range(image.size_of(axis)) for axis in "tcz")):
            yield PlaneKey(well.name, site, str(c + 1), z + 1, t + 1), (t, c, z)

    def channel_names(self, image: ZarrImage, group: ZarrGroup | None) -> Mapping[str, str]:
        """Return display names by channel id, as far as given."""
        del group
        return {str(c): name for c, name in enumerate(image.channel_names, start=1) if name}


@dataclass
class _Gathered:
    """What the fields of a plate say together."""

    images: list[ImageFile] = field(default_factory=list)
    wells: list[str] = field(default_factory=list)
    sites: set[int] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    forms: dict[str, dict[tuple[str, tuple[int, int]], str]] = field(default_factory=dict)
    scales: dict[str, set[float | None]] = field(default_factory=lambda: {"z": set(), "x": set()})
    renamed: dict[str, str] = field(default_factory=dict)
    lights: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)
    places: dict[PlaneKey, Acquisition] = field(default_factory=dict)
    stages: dict[PlaneKey, Acquisition] = field(default_factory=dict)

    def add_own(self, own: Mapping[str, Any]) -> None:
        places, stages = read_acquisitions(own)
        self.places |= places
        self.stages |= stages
        self.lights |= read_lights(own)

    def add_names(self, names: Mapping[str, str], array: str) -> None:
        for id_, name in names.items():
            if self.names.setdefault(id_, name) != name:
                self.renamed.setdefault(
                    id_, f"channel {id_} is {self.names[id_]!r}, but {name!r} in {array}"
                )

    def add_scales(self, image: ZarrImage) -> None:
        scale = image.scale_um
        self.scales["x"].add(scale.get("x") if scale.get("x") == scale.get("y") else None)
        if image.size_of("z") > 1:
            self.scales["z"].add(scale.get("z"))


def index_zarr_plate(
    handler: OMEZarrHandler, source: PlateSource, root: str, plate: ZarrGroup
) -> PlateIndex:
    """Return the index of a plate whose planes `handler` tells."""
    check_acquisition(source, plate, handler.choice)
    wells = list_wells(source, root, plate)
    found = _Gathered(wells=[well.name for well in wells])
    for well, group, site, image in iterate_images(source, wells, handler.choice):
        if group is not None:
            found.sites.add(site)
        if image is None:
            continue
        found.add_names(handler.channel_names(image, group), image.array)
        found.add_scales(image)
        found.add_own(image.own)
        form = (image.form.dtype, (image.form.shape[-2], image.form.shape[-1]))
        for key, (t, c, z) in handler.planes_of(well, site, image, group):
            found.forms.setdefault(key.channel, {}).setdefault(form, image.array)
            path = plane_reference(image.array, image.indices(t, c, z))
            found.images.append(
                ImageFile(key, path, image.status.st_size, image.status.st_mtime_ns)
            )
    if not found.images:
        raise InputDataError(
            f"{source.name}: none of the {len(wells)} wells in {plate.file} has an image that is "
            "asked for; copy the plate again, or correct ome_zarr in the plate's section"
        )
    pixel_size_um, z_step_um, warnings = _scale(found.scales)
    keys = {image[0] for image in found.images}
    positions = SitePositions({key: taken for key, taken in found.places.items() if key in keys})
    said = found.stages | found.places
    return PlateIndex(
        plate_path=source.name,
        microscope=handler.name,
        parser=handler.parser_name,
        images=sort_images(found.images),
        channels=_channels(found),
        missing=find_missing(found.images, found.wells, found.sites),
        pixel_size_um=pixel_size_um,
        z_step_um=z_step_um,
        grid_dimensions=positions.dimensions,
        warnings=(*warnings, *positions.warnings, *found.renamed.values()),
        site_grid=positions.grid,
        acquisitions={key: taken for key, taken in said.items() if key in keys},
    )


def _channels(found: _Gathered) -> tuple[ChannelInfo, ...]:
    channels = []
    for id_ in sorted(found.forms, key=int):
        forms = found.forms[id_]
        if len(forms) > 1:
            said = ", ".join(
                f"{array} has {shape[0]} x {shape[1]} px {dtype}"
                for (dtype, shape), array in list(forms.items())[:4]
            )
            raise InputDataError(
                f"channel {id_}: its images differ in form: {said}; expected one size and pixel "
                "type a channel. Make a plate of each kind"
            )
        ((dtype, shape),) = forms
        name, light = found.names.get(id_, f"w{id_}"), found.lights.get(id_, (None, None))
        channels.append(ChannelInfo(id_, name, dtype, shape, *light))
    return tuple(channels)


def _scale(
    scales: Mapping[str, set[float | None]],
) -> tuple[float | None, float | None, list[str]]:
    values: list[float | None] = []
    warnings = []
    for axis, what in (("x", "pixel sizes"), ("z", "distances of planes")):
        found = scales[axis]
        if len(found) > 1:
            said = ", ".join(sorted("unknown" if v is None else f"{v:g}" for v in found))
            warnings.append(f"images have different {what}: {said} µm; none is used")
        values.append(next(iter(found)) if len(found) == 1 else None)
    return values[0], values[1], warnings


def is_ours(source: PlateSource, root: str, plate: ZarrGroup) -> bool:
    """Return whether this software wrote a plate: the first of its wells that is there says so."""
    for well in list_wells(source, root, plate):
        group = read_zarr_group(source, well.path)
        if group is not None:
            return bool(group.own)
    return False


def read_places(planes: object) -> Sequence[tuple[str, _Place]] | None:
    """Return names and places of planes as our images list them; None for anything else."""
    if not isinstance(planes, Mapping):
        return None
    places = []
    for name, place in planes.items():
        if not isinstance(place, list) or len(place) != 3:
            return None
        if not all(type(index) is int and index >= 0 for index in place):
            return None
        places.append((str(name), (place[0], place[1], place[2])))
    return places
