"""What the groups of an OME-Zarr plate say, and back.

Tests hold the result against zarr-python, yaozarrs, ome-zarr-models, ngio and ome-zarr.js.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from openhcs_core.config import ZarrConfig
from openhcs_core.errors import InputDataError
from openhcs_core.planes import split_well
from openhcs_core.storage.ome_zarr.groups import Group
from openhcs_core.storage.ome_zarr.layout import AXES
from openhcs_core.storage.ome_zarr.model import (
    FIELD_NAME,
    LABEL_NAME,
    ChannelMetadata,
    ImageMetadata,
    PlateLayout,
)
from openhcs_core.storage.ome_zarr.pyramid import MEAN, NEAREST, Reduction

_COLORS = ("0000FF", "00FF00", "FF0000", "FF00FF", "00FFFF", "FFFF00", "FFFFFF")
_KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


@dataclasses.dataclass(frozen=True, slots=True)
class DisplayRange:
    """What a channel's values span, for viewers: of the dtype, and of the image itself."""

    minimum: float
    maximum: float
    start: float
    end: float


def plate_group(layout: PlateLayout) -> Group:
    """Return the plate's group; rows and columns are those that have wells."""
    places = [split_well(well) for well in layout.wells]
    rows = list(dict.fromkeys(row for row, _ in places))
    columns = sorted({column for _, column in places})
    plate = {
        "name": layout.name,
        "field_count": layout.field_count,
        "rows": [{"name": row} for row in rows],
        "columns": [{"name": column} for column in columns],
        "wells": [
            {
                "path": f"{row}/{column}",
                "rowIndex": rows.index(row),
                "columnIndex": columns.index(column),
            }
            for row, column in places
        ],
    }
    return Group({"plate": plate})


def well_group(
    field_paths: Mapping[int, str], metadata: ImageMetadata, config: ZarrConfig
) -> Group:
    """Return a well's group: its fields, which site each is, the plate's axes, how it is stored."""
    paths = sorted(field_paths.values(), key=lambda path: (len(path), path))
    openhcs = {
        "fields": {str(site): field_paths[site] for site in sorted(field_paths)},
        "image_metadata": dataclasses.asdict(metadata),
        "zarr_config": config.model_dump(mode="json"),
    }
    return Group({"well": {"images": [{"path": path} for path in paths]}}, openhcs)


def image_group(
    name: str,
    metadata: ImageMetadata,
    planes: Mapping[str, list[int]],
    ranges: Mapping[int, DisplayRange],
    level_count: int = 1,
) -> Group:
    """Return a field's group.

    Parameters
    ----------
    name : str
        Shown by viewers.
    metadata : ImageMetadata
        Axes, scales and channels.
    planes : mapping of str to list of int
        ``[t, c, z]`` of each plane that exists, by plane name.
    ranges : mapping of int to DisplayRange
        By position on the c axis; channels without planes have none.
    level_count : int
        Levels of its pyramid, itself included.
    """
    channels = [
        _omero_channel(channel, _color(metadata, position), ranges.get(position))
        for position, channel in enumerate(metadata.channels)
    ]
    multiscale = _multiscale(name, metadata, level_count, MEAN)
    ome = {"multiscales": [multiscale], "omero": {"channels": channels}}
    return Group(ome, {"planes": dict(planes)})


def label_group(
    name: str, metadata: ImageMetadata, planes: Mapping[str, list[int]], level_count: int = 1
) -> Group:
    """Return a label image's group; see :func:`image_group`."""
    ome = {
        "multiscales": [_multiscale(name, metadata, level_count, NEAREST)],
        "image-label": {"source": {"image": "../../"}},
    }
    return Group(ome, {"planes": dict(planes)})


def labels_group(names: Iterable[str]) -> Group:
    """Return the group that holds a field's label images."""
    return Group({"labels": list(names)})


def parse_image_metadata(well: Group, source: object) -> ImageMetadata:
    """Read the axes back from a well's group.

    Raises
    ------
    InputDataError
        `well` was not written by :func:`well_group`.
    """
    try:
        stored = dict(well.openhcs["image_metadata"])
        stored["channels"] = tuple(ChannelMetadata(**c) for c in stored["channels"])
        for axis in ("z_indices", "timepoints", "sites"):
            stored[axis] = tuple(stored[axis])
        return ImageMetadata(**stored)
    except (KeyError, TypeError) as error:
        raise not_ours(source, "openhcs.image_metadata") from error


def parse_zarr_config(well: Group, source: object) -> ZarrConfig:
    """Read back how a well is stored."""
    try:
        return ZarrConfig.model_validate(well.openhcs["zarr_config"])
    except (KeyError, ValidationError) as error:
        raise not_ours(source, "openhcs.zarr_config") from error


def parse_fields(well: Group, source: object) -> dict[int, str]:
    """Return the field of each site from a well's group."""
    try:
        fields = well.openhcs["fields"]
        found = {int(site): str(path) for site, path in fields.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_ours(source, "openhcs.fields") from error
    if not all(FIELD_NAME.fullmatch(path) for path in found.values()):
        raise not_ours(source, "openhcs.fields")
    return found


def parse_labels(labels: Group, source: object) -> list[str]:
    """Return the names of a field's label images."""
    try:
        names = [str(name) for name in labels.ome["labels"]]
    except (KeyError, TypeError) as error:
        raise not_ours(source, "ome.labels") from error
    if not all(LABEL_NAME.fullmatch(name) for name in names):
        raise not_ours(source, "ome.labels")
    return names


def parse_planes(image: Group, source: object) -> dict[str, tuple[int, int, int]]:
    """Return ``(t, c, z)`` of each plane of an image or label image, by plane name."""
    try:
        planes = image.openhcs["planes"]
        return {str(name): (int(t), int(c), int(z)) for name, (t, c, z) in planes.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_ours(source, "openhcs.planes") from error


def not_ours(source: object, key: str) -> InputDataError:
    """Return the error for OME-Zarr metadata without our own attributes."""
    return InputDataError(
        f"{source}: expected attribute {key}, found none that can be read; this store was "
        "written by other software or is damaged: give it as a plate of its own"
    )


def _multiscale(
    name: str, metadata: ImageMetadata, level_count: int, reduction: Reduction
) -> dict[str, Any]:
    """Return one image's axes and scales; a scale nobody knows is 1 and has no unit."""
    size, step, time = metadata.pixel_size_um, metadata.z_step_um, metadata.time_step_s
    known = dict(zip(AXES, (time, None, step, size, size), strict=True))
    units = {"time": "second", "space": "micrometer"}
    axes = [
        {"name": axis, "type": _KINDS[axis]}
        | ({} if known[axis] is None else {"unit": units[_KINDS[axis]]})
        for axis in AXES
    ]
    scale = [1.0 if value is None else float(value) for value in known.values()]
    levels = [_level(number, scale, reduction) for number in range(level_count)]
    multiscale = {"name": name, "axes": axes, "datasets": levels}
    return multiscale | ({"type": reduction.name} if level_count > 1 else {})


def _level(number: int, scale: list[float], reduction: Reduction) -> dict[str, Any]:
    """Return the scale of a level, and where its first pixel is: amid those it was made of."""
    factors = [1, 1, 1, 2**number, 2**number]
    scaled = [size * factor for size, factor in zip(scale, factors, strict=True)]
    transformations: list[dict[str, Any]] = [{"type": "scale", "scale": scaled}]
    if number > 0 and reduction.is_centred:
        shift = [size * (factor - 1) / 2 for size, factor in zip(scale, factors, strict=True)]
        transformations.append({"type": "translation", "translation": shift})
    return {"path": str(number), "coordinateTransformations": transformations}


def _color(metadata: ImageMetadata, position: int) -> str:
    chosen = metadata.channels[position].color
    if chosen is not None:
        return chosen
    return "FFFFFF" if len(metadata.channels) == 1 else _COLORS[position % len(_COLORS)]


def _omero_channel(
    channel: ChannelMetadata, color: str, span: DisplayRange | None
) -> dict[str, Any]:
    span = span or DisplayRange(0, 1, 0, 1)
    window = {
        "min": span.minimum,
        "max": span.maximum,
        "start": span.start,
        "end": span.end,
    }
    return {"label": channel.name, "color": color, "active": True, "window": window}
