"""The JSON of OME-Zarr 0.5 plates on zarr v3, and back.

Groups are written as plain JSON. A ``zarr.json`` of a group is three keys; building it with
zarr-python (0.25 s of CPU to import) or with the models of yaozarrs (0.4 s) would cost a job
more than writing its images. Tests hold the result against zarr-python, yaozarrs,
ome-zarr-models and ngio. Keys keep the order they are given here, so equal input gives equal
bytes.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from openhcs_core.errors import InputDataError
from openhcs_core.planes import split_well
from openhcs_core.storage.atomic import replace_file
from openhcs_core.storage.ome_zarr.model import (
    FIELD_NAME,
    LABEL_NAME,
    ChannelMetadata,
    ImageMetadata,
    PlateLayout,
    well_path,
)

GROUP_FILE = "zarr.json"
OME_ZARR_VERSION = "0.5"
AXES = ("t", "c", "z", "y", "x")
_COLORS = ("0000FF", "00FF00", "FF0000", "FF00FF", "00FFFF", "FFFF00", "FFFFFF")


@dataclasses.dataclass(frozen=True, slots=True)
class DisplayRange:
    """What a channel's values span, for viewers: of the dtype, and of the image itself."""

    minimum: float
    maximum: float
    start: float
    end: float


def encode_json(content: Mapping[str, Any]) -> bytes:
    """Return the bytes of a metadata file."""
    return json.dumps(content, indent=1, allow_nan=False).encode() + b"\n"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a metadata file, whole or not at all."""
    with replace_file(path) as stream:
        stream.write(encode_json(content))


def read_json(path: Path) -> dict[str, Any]:
    """Read a metadata file.

    Raises
    ------
    InputDataError
        It is missing or no JSON object.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputDataError(
            f"{path}: no such file; the store is incomplete or its path is wrong"
        ) from None
    except (OSError, ValueError) as error:
        raise InputDataError(
            f"{path}: expected zarr metadata, found {error}; write it again"
        ) from error
    if not isinstance(content, dict):
        raise InputDataError(
            f"{path}: expected a JSON object, found {type(content).__name__}; write it again"
        )
    return content


def group(ome: Mapping[str, Any] | None = None, openhcs: Mapping[str, Any] | None = None) -> Any:
    """Return a group's ``zarr.json`` with OME-Zarr attributes and our own."""
    attributes: dict[str, Any] = {}
    if ome is not None:
        attributes["ome"] = {"version": OME_ZARR_VERSION, **ome}
    if openhcs is not None:
        attributes["openhcs"] = dict(openhcs)
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def plate_group(layout: PlateLayout) -> Any:
    """Return the plate's ``zarr.json``; rows and columns are those that have wells."""
    places = [split_well(well) for well in layout.wells]
    rows = list(dict.fromkeys(row for row, _ in places))
    columns = sorted({column for _, column in places})
    plate = {
        # The attributes carry the version already; the 0.5 text asks for it here as well.
        "version": OME_ZARR_VERSION,
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
    return group({"plate": plate})


def well_group(field_paths: Mapping[int, str], metadata: ImageMetadata) -> Any:
    """Return a well's ``zarr.json``: its fields, which site each is, and the plate's axes."""
    paths = sorted(field_paths.values(), key=lambda path: (len(path), path))
    openhcs = {
        "fields": {str(site): field_paths[site] for site in sorted(field_paths)},
        "image_metadata": dataclasses.asdict(metadata),
    }
    return group({"well": {"images": [{"path": path} for path in paths]}}, openhcs)


def image_group(
    name: str,
    metadata: ImageMetadata,
    planes: Mapping[str, list[int]],
    ranges: Mapping[int, DisplayRange],
) -> Any:
    """Return a field's ``zarr.json``.

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
    """
    channels = [
        _omero_channel(channel, _color(metadata, position), ranges.get(position))
        for position, channel in enumerate(metadata.channels)
    ]
    ome = {"multiscales": [_multiscale(name, metadata)], "omero": {"channels": channels}}
    return group(ome, {"planes": dict(planes)})


def label_group(name: str, metadata: ImageMetadata, planes: Mapping[str, list[int]]) -> Any:
    """Return a label image's ``zarr.json``."""
    ome = {
        "multiscales": [_multiscale(name, metadata)],
        "image-label": {"source": {"image": "../../"}},
    }
    return group(ome, {"planes": dict(planes)})


def labels_group(names: Iterable[str]) -> Any:
    """Return the ``zarr.json`` of the group that holds a field's label images."""
    return group({"labels": list(names)})


def parse_image_metadata(well_json: Mapping[str, Any], source: object) -> ImageMetadata:
    """Read the axes back from a well's ``zarr.json``.

    Raises
    ------
    InputDataError
        `well_json` was not written by :func:`well_group`.
    """
    try:
        stored = dict(well_json["attributes"]["openhcs"]["image_metadata"])
        stored["channels"] = tuple(ChannelMetadata(**c) for c in stored["channels"])
        for axis in ("z_indices", "timepoints", "sites"):
            stored[axis] = tuple(stored[axis])
        return ImageMetadata(**stored)
    except (KeyError, TypeError) as error:
        raise not_ours(source, "openhcs.image_metadata") from error


def parse_fields(well_json: Mapping[str, Any], source: object) -> dict[int, str]:
    """Return the field of each site from a well's ``zarr.json``."""
    try:
        fields = well_json["attributes"]["openhcs"]["fields"]
        found = {int(site): str(path) for site, path in fields.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_ours(source, "openhcs.fields") from error
    if not all(FIELD_NAME.fullmatch(path) for path in found.values()):
        raise not_ours(source, "openhcs.fields")
    return found


def parse_labels(labels_json: Mapping[str, Any], source: object) -> list[str]:
    """Return the names of a field's label images."""
    try:
        names = [str(name) for name in labels_json["attributes"]["ome"]["labels"]]
    except (KeyError, TypeError) as error:
        raise not_ours(source, "ome.labels") from error
    if not all(LABEL_NAME.fullmatch(name) for name in names):
        raise not_ours(source, "ome.labels")
    return names


def parse_planes(image_json: Mapping[str, Any], source: object) -> dict[str, tuple[int, int, int]]:
    """Return ``(t, c, z)`` of each plane of an image or label image, by plane name."""
    try:
        planes = image_json["attributes"]["openhcs"]["planes"]
        return {str(name): (int(t), int(c), int(z)) for name, (t, c, z) in planes.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise not_ours(source, "openhcs.planes") from error


def not_ours(source: object, key: str) -> InputDataError:
    """Return the error for OME-Zarr metadata without our own attributes."""
    return InputDataError(
        f"{source}: expected attribute {key}, found none that can be read; this store was "
        "written by other software or is damaged: give it as a plate of its own"
    )


def well_file(store: Path, well: str) -> Path:
    """Return the ``zarr.json`` of a well."""
    return store / well_path(well) / GROUP_FILE


def _multiscale(name: str, metadata: ImageMetadata) -> dict[str, Any]:
    """Return one image's axes and scales; a scale nobody knows is 1 and has no unit."""
    size, step, time = metadata.pixel_size_um, metadata.z_step_um, metadata.time_step_s
    axes = [
        _axis("t", "time", "second" if time is not None else None),
        _axis("c", "channel", None),
        _axis("z", "space", "micrometer" if step is not None else None),
        _axis("y", "space", "micrometer" if size is not None else None),
        _axis("x", "space", "micrometer" if size is not None else None),
    ]
    scale = [1.0 if value is None else float(value) for value in (time, 1.0, step, size, size)]
    transformations = [{"type": "scale", "scale": scale}]
    return {
        "name": name,
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": transformations}],
    }


def _axis(name: str, kind: str, unit: str | None) -> dict[str, str]:
    axis = {"name": name, "type": kind}
    return axis if unit is None else {**axis, "unit": unit}


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
