"""Writing OME-Zarr plates so that many jobs can do it at once.

A plate is complete from the top: one job writes the plate's and the rows' groups
(:func:`write_plate_metadata`), and each well's job writes inside its own well only
(:func:`write_well`). Nobody reads and changes a file that somebody else writes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.config import ZarrConfig
from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.ground.folder_lock import locked_folder
from openhcs_core.ground.replaced_folder import replace_fields, staged
from openhcs_core.planes import PlaneKey, split_well
from openhcs_core.storage.ome_zarr.arrays import WrittenImage, write_levels
from openhcs_core.storage.ome_zarr.groups import Group, group_files, write_group
from openhcs_core.storage.ome_zarr.metadata import (
    image_group,
    label_group,
    labels_group,
    plate_group,
    well_group,
)
from openhcs_core.storage.ome_zarr.model import (
    FieldImages,
    ImageMetadata,
    PlateLayout,
    well_path,
)
from openhcs_core.storage.ome_zarr.pyramid import MEAN, NEAREST
from openhcs_core.storage.ome_zarr.tensorstore_ import WriteQueue

if TYPE_CHECKING:
    from openhcs_core.storage.ome_zarr.model import PlaneSource

_DEFAULT_CONFIG = ZarrConfig()
_PENDING_BYTES = 32 * 2**20
"""Of pixels that are encoded and written while the next are read."""


def write_plate_metadata(store: Path, layout: PlateLayout) -> list[str]:
    """Write the groups of a plate's rows, then the plate's own; return the paths of their files.

    Parameters
    ----------
    store : Path
        ``<step>.ome.zarr``; created where it is absent.
    layout : PlateLayout
        Its wells.
    """
    for path, group in _plate_groups(layout).items():
        write_group(store / path, group, layout.version)
    return list(plate_files(layout))


def plate_files(layout: PlateLayout) -> dict[str, Any]:
    """Return the content of each metadata file of a plate, by path, its own last."""
    return {
        f"{path}/{name}".removeprefix("./"): content
        for path, group in _plate_groups(layout).items()
        for name, content in group_files(group, layout.version).items()
    }


def _plate_groups(layout: PlateLayout) -> dict[str, Group]:
    rows = dict.fromkeys(split_well(well)[0] for well in layout.wells)
    return {row: Group() for row in rows} | {".": plate_group(layout)}


def write_well(
    store: Path,
    well: str,
    fields: Iterable[FieldImages],
    image_metadata: ImageMetadata,
    zarr_config: ZarrConfig = _DEFAULT_CONFIG,
    *,
    confirm: Callable[[], None] | None = None,
) -> None:
    """Write a whole well, replacing what was there; its group (``zarr.json``) comes last.

    All fields are built in a temporary folder and then renamed: a well that is a group
    has all its fields, whole, and no others. An error while they are built leaves the well
    as it was. Nothing outside the well's folder is touched. Equal input gives equal bytes.
    Of two writers of one well the second waits for the first.

    Parameters
    ----------
    store : Path
        ``<step>.ome.zarr``.
    well : str
        For example ``"B02"``; its folder may be there already, and empty.
    fields : iterable of FieldImages
        Read once, one field at a time. None at all gives a well without images.
    image_metadata : ImageMetadata
        Axes that all fields of the plate share.
    zarr_config : ZarrConfig
        Chunks, codec, pyramid and version.
    confirm : callable, optional
        Called when all fields are built, before the first rename; raises to stop.

    Raises
    ------
    InputDataError
        Planes of one field differ in shape or dtype, or labels are no integers of that shape.
    StorageResolutionError
        A field or plane that does not belong here.
    OSError
        The well's folder cannot be written; DiskFullError where there is no room.
    """
    folder = store / well_path(well)
    with locked_folder(folder):
        with staged(folder) as stage:
            with WriteQueue(_PENDING_BYTES) as queue:
                written = _write_fields(stage, well, fields, image_metadata, zarr_config, queue)
            if confirm is not None:
                confirm()
            replace_fields(stage, set(written.values()), folder)
        group = well_group(written, image_metadata, zarr_config)
        write_group(folder, group, zarr_config.ome_zarr_version)


def _write_fields(
    stage: Path,
    well: str,
    fields: Iterable[FieldImages],
    metadata: ImageMetadata,
    config: ZarrConfig,
    queue: WriteQueue,
) -> dict[int, str]:
    """Build each field in `stage`; return the fields' names by site."""
    written: dict[int, str] = {}
    for images in fields:
        images.check(well)
        if images.site in written or images.path in written.values():
            raise StorageResolutionError(
                f"well {well}: site {images.site} or field {images.path!r} is given twice"
            )
        _write_field(stage / images.path, well, images, metadata, config, queue)
        written[images.site] = images.path
    return written


def _write_field(
    folder: Path,
    well: str,
    images: FieldImages,
    metadata: ImageMetadata,
    config: ZarrConfig,
    queue: WriteQueue,
) -> None:
    name, version = field_name(well, images.path), config.ome_zarr_version
    places = plane_places(images.planes, metadata)
    outer = (len(metadata.timepoints), len(metadata.channels), len(metadata.z_indices))
    written = write_levels(folder, _in_order(images.planes, places), outer, config, MEAN, queue)
    for label in sorted(images.labels):
        _write_label(folder, label, images.labels[label], metadata, config, written, queue)
    if images.labels:
        write_group(folder / "labels", labels_group(sorted(images.labels)), version)
    planes = {key.filename: list(place) for key, place in places.items()}
    group = image_group(name, metadata, planes, written.ranges, len(written.shapes))
    if images.attributes:
        group = replace(group, openhcs={**group.openhcs, **images.attributes})
    write_group(folder, group, version)


def _write_label(
    field_folder: Path,
    name: str,
    sources: "Mapping[PlaneKey, PlaneSource]",
    metadata: ImageMetadata,
    config: ZarrConfig,
    image: WrittenImage,
    queue: WriteQueue,
) -> None:
    """Write one label image; it is of one channel, so its c axis has length 1."""
    folder = field_folder / "labels" / name
    places = label_places(sources, metadata)
    outer = (len(metadata.timepoints), 1, len(metadata.z_indices))
    written = write_levels(folder, _in_order(sources, places), outer, config, NEAREST, queue)
    key = next(iter(places))
    if "int" not in written.dtype:
        raise InputDataError(
            f"{key.filename}: label image {name!r} expected whole numbers, found {written.dtype}; "
            "a label is the number of an object"
        )
    if written.shapes != image.shapes:
        raise InputDataError(
            f"{key.filename}: label image {name!r} expected the shape of its image "
            f"{image.shapes[0]}, found {written.shapes[0]}"
        )
    planes = {key.filename: list(place) for key, place in places.items()}
    group = label_group(name, metadata, planes, len(written.shapes))
    write_group(folder, group, config.ome_zarr_version)


def plane_places(
    sources: Iterable[PlaneKey], metadata: ImageMetadata
) -> dict[PlaneKey, tuple[int, int, int]]:
    """Return ``(t, c, z)`` of each plane, in that order whatever the mapping's order."""
    places = {key: metadata.index_of(key) for key in sources}
    return dict(sorted(places.items(), key=lambda item: item[1]))


def label_places(
    sources: Iterable[PlaneKey], metadata: ImageMetadata
) -> dict[PlaneKey, tuple[int, int, int]]:
    """Return ``(t, 0, z)`` of each plane of a label image, which is of one channel."""
    return {key: (t, 0, z) for key, (t, _, z) in plane_places(sources, metadata).items()}


def field_name(well: str, path: str) -> str:
    """Return what viewers call a field."""
    return f"{well} field {path}"


def _in_order(
    sources: "Mapping[PlaneKey, PlaneSource]", places: Mapping[PlaneKey, tuple[int, int, int]]
) -> "Iterator[tuple[str, tuple[int, int, int], PlaneSource]]":
    for key, place in places.items():
        yield key.filename, place, sources[key]
