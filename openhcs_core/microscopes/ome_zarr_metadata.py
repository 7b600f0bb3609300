"""What an OME-Zarr plate says of itself: versions 0.4 and 0.5, of any writer."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openhcs_core.config import ZarrPlateConfig
from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.wells import well_name
from openhcs_core.planes import row_number
from openhcs_core.storage import (
    ChunkForm,
    PlateSource,
    array_status,
    is_folder,
    metadata_file,
    read_json,
)
from openhcs_core.storage.plate_source import FileStatus, is_inside

GROUP_FILES = {"zarr.json": "0.5", ".zattrs": "0.4"}
"""Where a group's attributes are, and the version of OME-Zarr that has them there."""

_UM = {
    "micrometer": 1.0, "um": 1.0, "µm": 1.0, "micron": 1.0, "nanometer": 1e-3, "nm": 1e-3,
    "millimeter": 1e3, "mm": 1e3, "meter": 1e6, "m": 1e6, "angstrom": 1e-4,
}  # fmt: skip
_AXES = "tczyx"
_MOST_WELLS = 1536
_CHOOSE = "In the plate's section of the config, 'microscope: ome_zarr' and"

ALL_IMAGES = ZarrPlateConfig()
"""Every image that a plate lists is one of its fields."""


@dataclass(frozen=True)
class ZarrGroup:
    """Attributes of one group.

    Attributes
    ----------
    file : str
        Where they stand, relative to the plate.
    ome : mapping
        OME-Zarr's, whichever version.
    own : mapping
        Ours: ``openhcs``.
    """

    file: str
    ome: Mapping[str, Any]
    own: Mapping[str, Any]


@dataclass(frozen=True)
class ZarrWell:
    """A well that the plate lists, and its place."""

    name: str
    path: str


@dataclass(frozen=True)
class ZarrImage:
    """One field of a well.

    Attributes
    ----------
    array : str
        Folder of the largest resolution, relative to the plate.
    axes : str
        Such as ``"czyx"``; the last two are y and x.
    form : ChunkForm
        Shape, dtype and chunks.
    channel_names : tuple of (str or None)
        As far as given.
    scale_um : mapping of str to float
        Of z, y and x, where the unit is known.
    status : FileStatus
        Of all its files.
    own : mapping
        Our attributes of the image.
    """

    array: str
    axes: str
    form: ChunkForm
    channel_names: tuple[str | None, ...]
    scale_um: Mapping[str, float]
    status: FileStatus
    own: Mapping[str, Any]

    def size_of(self, axis: str) -> int:
        """Return how many there are along an axis; 1 without it."""
        return self.form.shape[self.axes.index(axis)] if axis in self.axes else 1

    def indices(self, t: int, c: int, z: int) -> tuple[int, ...]:
        """Return the leading indices of a plane."""
        at = {"t": t, "c": c, "z": z}
        return tuple(at[axis] for axis in self.axes[:-2])


def read_zarr_group(source: PlateSource, folder: str) -> ZarrGroup | None:
    """Read a group's attributes, None where there is none.

    Raises
    ------
    InputDataError
        They are damaged.
    """
    prefix = f"{folder}/" if folder else ""
    for name in GROUP_FILES:
        if not source.exists(prefix + name):
            continue
        content = read_json(source, prefix + name)
        if name == "zarr.json":
            attributes = _mapping(content.get("attributes", {}), source, prefix + name)
            ome = _mapping(attributes.get("ome", {}), source, prefix + name)
        else:
            attributes = ome = content
        own = attributes.get("openhcs", {})
        return ZarrGroup(prefix + name, ome, own if isinstance(own, Mapping) else {})
    return None


def find_plate(source: PlateSource) -> tuple[str, ZarrGroup] | None:
    """Return the plate's group: the folder itself, or the one store in it."""
    group = read_zarr_group(source, "")
    if group is not None:
        return ("", group) if "plate" in group.ome else None
    stores = [
        entry.name
        for entry in source.list_folder("")
        if entry.name.lower().endswith(".zarr") and is_folder(entry)
    ]
    found = [(name, read_zarr_group(source, name)) for name in sorted(stores)]
    plates = [(name, group) for name, group in found if group and "plate" in group.ome]
    if len(plates) > 1:
        raise InputDataError(
            f"{source.name} has several OME-Zarr plates: "
            f"{', '.join(name for name, _ in plates[:6])}; give the folder of one"
        )
    return plates[0] if plates else None


def check_acquisition(source: PlateSource, group: ZarrGroup, choice: ZarrPlateConfig) -> None:
    """Refuse a plate of several acquisitions unless one of them is chosen."""
    acquisitions = _mapping(group.ome["plate"], source, group.file).get("acquisitions") or ()
    if not isinstance(acquisitions, Sequence):
        acquisitions = ()
    known = [str(one.get("id")) for one in acquisitions if isinstance(one, Mapping)]
    if choice.acquisition is None and len(known) > 1 and not choice.images:
        raise InputDataError(
            f"{source.where(group.file)} has {len(known)} acquisitions, {', '.join(known[:12])}; "
            f"expected one. {_CHOOSE} 'ome_zarr: {{acquisition: {known[0]}}}' takes one, "
            f"as --acquisition {known[0]} does for index, init and convert"
        )
    if choice.acquisition is not None and known and str(choice.acquisition) not in known:
        raise InputDataError(
            f"{source.where(group.file)} has no acquisition {choice.acquisition}, which is asked "
            f"for; it has {', '.join(known[:12])}"
        )


def list_wells(source: PlateSource, root: str, group: ZarrGroup) -> list[ZarrWell]:
    """Return the wells that a plate lists.

    Raises
    ------
    InputDataError
        The list is damaged, or leads out of the plate.
    """
    where = source.where(group.file)
    plate = _mapping(group.ome["plate"], source, group.file)
    try:
        rows = [str(entry["name"]) for entry in plate["rows"]]
        columns = [str(entry["name"]) for entry in plate["columns"]]
        wells = [_well(entry, rows, columns, root, where) for entry in plate["wells"]]
    except (LookupError, TypeError, ValueError) as error:
        raise InputDataError(
            f"{where}: expected rows, columns and wells of a plate, found {error!r}; copy it again"
        ) from error
    if len(wells) > _MOST_WELLS or len({well.name for well in wells}) < len(wells):
        raise InputDataError(f"{where} lists {len(wells)} wells, too many or some twice")
    return wells


def _well(
    entry: Mapping[str, Any], rows: Sequence[str], columns: Sequence[str], root: str, where: str
) -> ZarrWell:
    path = str(entry["path"])
    if not is_inside(path):
        raise InputDataError(f"{where} lists the well {path!r}, which is not in the plate")
    row, column = path.split("/")[-2:]
    if "rowIndex" in entry and "columnIndex" in entry:
        row, column = rows[entry["rowIndex"]], columns[entry["columnIndex"]]
    # positions that are no plate's are rows and columns from 0
    number = int(row) + _first(rows) if row.isdigit() else row_number(row.upper()) + 1
    name = well_name(number, int(column) + _first(columns))
    return ZarrWell(name, f"{root}/{path}" if root else path)


def _first(names: Sequence[str]) -> int:
    """Return what is to be added to numbers so that none is 0."""
    return int(all(name.isdigit() for name in names) and any(int(name) == 0 for name in names))


def list_fields(
    source: PlateSource, well: ZarrWell, group: ZarrGroup, choice: ZarrPlateConfig = ALL_IMAGES
) -> dict[int, str]:
    """Return the folder of each site: fields named by numbers count from the first possible one.

    Names that are no numbers are counted in their order.

    Raises
    ------
    InputDataError
        The list is damaged, leads out of the plate, or has several images of one field.
    """
    try:
        paths = [
            str(image["path"])
            for image in group.ome["well"]["images"]
            if choice.acquisition is None
            or str(image.get("acquisition", choice.acquisition)) == str(choice.acquisition)
        ]
    except (LookupError, TypeError, AttributeError) as error:
        raise InputDataError(
            f"{source.where(group.file)}: expected images of a well, found {error!r}; copy it again"
        ) from error
    wrong = [path for path in paths if not is_inside(path)]
    if wrong:
        raise InputDataError(
            f"{source.where(group.file)} lists the image {wrong[0]!r}, which is not in the plate"
        )
    if choice.images:
        paths = [path for path in paths if path in choice.images]
    _check_versions(source.where(group.file), paths)
    own = group.own.get("fields")
    if isinstance(own, Mapping) and sorted(map(str, own.values())) == sorted(paths):
        numbers = _field_numbers(source.where(group.file), list(own))
        return {number: f"{well.path}/{own[site]}" for number, site in numbers.items()}
    if all(re.fullmatch("[0-9]{1,6}", path) for path in paths):
        return {int(path) + 1: f"{well.path}/{path}" for path in paths}
    return {number: f"{well.path}/{path}" for number, path in enumerate(paths, start=1)}


def _field_numbers(where: str, sites: Sequence[object]) -> dict[int, object]:
    """Return the fields of a well by their numbers."""
    numbers = {int(str(site)): site for site in sites if re.fullmatch("[0-9]{1,6}", str(site))}
    if len(numbers) < len(sites):
        raise InputDataError(
            f"{where}: expected a number of its own for each field, found {list(map(str, sites))}; "
            "copy it again"
        )
    return numbers


def _check_versions(where: str, paths: Sequence[str]) -> None:
    """Refuse a field and what was made of it: they would count as two fields."""
    for path in paths:
        others = [other for other in paths if other.startswith(f"{path}_")]
        if others:
            raise InputDataError(
                f"{where} lists the images {path} and {', '.join(others[:6])}, which look like one "
                f"field before and after processing; expected one image a field. {_CHOOSE} "
                f"'ome_zarr: {{images: [{path!r}]}}' takes one, as --image {shlex.quote(path)} "
                "does for index, init and convert"
            )


def read_image(source: PlateSource, folder: str) -> ZarrImage | None:
    """Read what an image is, None where it is not there.

    Raises
    ------
    InputDataError
        Its metadata are damaged, or it has axes that no plane has.
    """
    group = read_zarr_group(source, folder)
    if group is None:
        return None
    where = source.where(group.file)
    try:
        multiscale = group.ome["multiscales"][0]
        axes = "".join(str(axis["name"]) for axis in multiscale["axes"])
        dataset = multiscale["datasets"][0]
        path = str(dataset["path"])
        scales = _scales(multiscale, dataset, axes)
        omero = group.ome.get("omero") or {}
        names = tuple(_label(channel.get("label")) for channel in omero.get("channels", ()))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputDataError(
            f"{where}: expected the multiscales of an image, found {error!r}; copy it again"
        ) from error
    if not is_inside(path):
        raise InputDataError(f"{where} names the array {path!r}, which is not in the plate")
    if not axes.endswith("yx") or len(set(axes)) < len(axes) or not set(axes) <= set(_AXES):
        raise InputDataError(
            f"{where} has the axes {axes!r}; expected y and x last, before them any of t, c and z"
        )
    array = f"{folder}/{path}"
    file = metadata_file(source, array)
    form = ChunkForm.parse(read_json(source, file), source.where(file))
    if len(form.shape) != len(axes):
        raise InputDataError(f"{where} has the axes {axes!r} but its array {list(form.shape)}")
    return ZarrImage(array, axes, form, names, scales, array_status(source, array), group.own)


def _label(label: object) -> str | None:
    """Return a channel's name; some writers number channels."""
    if isinstance(label, dict | list | bool):
        raise TypeError(f"the label {label!r} of a channel")
    return None if label is None else str(label)


def _scales(
    multiscale: Mapping[str, Any], dataset: Mapping[str, Any], axes: str
) -> dict[str, float]:
    """Return µm per index of z, y and x; axes without a known unit are left out."""
    factors = [1.0] * len(axes)
    for owner in (dataset, multiscale):
        for transformation in owner.get("coordinateTransformations") or ():
            if transformation["type"] == "scale":
                pairs = zip(factors, transformation["scale"], strict=True)
                factors = [a * float(b) for a, b in pairs]
    units = [_UM.get(str(axis.get("unit", ""))) for axis in multiscale["axes"]]
    return {
        axis: factor * unit
        for axis, factor, unit in zip(axes, factors, units, strict=True)
        if axis in "zyx" and unit is not None and 0 < factor * unit < 1e4
    }


def _mapping(value: object, source: PlateSource, file: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputDataError(
            f"{source.where(file)}: expected an object, found {value!r:.80}; copy it again"
        )
    return value


def iterate_images(
    source: PlateSource, wells: Sequence[ZarrWell], choice: ZarrPlateConfig = ALL_IMAGES
) -> Iterator[tuple[ZarrWell, ZarrGroup | None, int, ZarrImage | None]]:
    """Yield each field of each well; None for a group of a well, or an image, that is not there."""
    for well in wells:
        group = read_zarr_group(source, well.path)
        if group is None:
            yield well, None, 0, None
            continue
        for site, folder in list_fields(source, well, group, choice).items():
            yield well, group, site, read_image(source, folder)
