"""Groups of OME-Zarr plates as files: one of zarr v3 for version 0.5, two of zarr v2 for 0.4.

They are written as plain JSON. A group is a few keys; building it with zarr-python (0.25 s of
CPU to import) or with the models of yaozarrs (0.4 s) would cost a job more than writing its
images. Keys keep the order they are given, so equal input gives equal bytes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openhcs_core.errors import InputDataError
from openhcs_core.ground.atomic import replace_file
from openhcs_core.ground.zarr_groups import (
    V2_GROUP,
    ZARR_GROUP_FILES,
    OmeZarrVersion,
    remove_group,
)
from openhcs_core.storage.bounded_json import parse_json


@dataclass(frozen=True, slots=True)
class Group:
    """What the attributes of a group say, whichever version they are of.

    Attributes
    ----------
    ome : mapping
        OME-Zarr's own: ``plate``, ``well``, ``multiscales``…, without versions.
    openhcs : mapping
        Ours.
    """

    ome: Mapping[str, Any] = field(default_factory=dict)
    openhcs: Mapping[str, Any] = field(default_factory=dict)


def group_files(group: Group, version: OmeZarrVersion) -> dict[str, Any]:
    """Return the JSON of each file of a group, the one that makes it a group last."""
    own = {"openhcs": dict(group.openhcs)} if group.openhcs else {}
    ome = {key: _with_version(key, value, version) for key, value in group.ome.items()}
    if version == "0.5":
        attributes = {"ome": {"version": version, **ome}} if ome else {}
        content = {"zarr_format": 3, "node_type": "group", "attributes": {**attributes, **own}}
        return {ZARR_GROUP_FILES[version]: content}
    return {V2_GROUP: {"zarr_format": 2}, ZARR_GROUP_FILES[version]: {**ome, **own}}


def write_group(folder: Path, group: Group, version: OmeZarrVersion) -> None:
    """Write a group's files, each whole or not at all, and remove those of the other version."""
    files = group_files(group, version)
    for name, content in files.items():
        write_json(folder / name, content)
    remove_group(folder, keep=files)


def is_group(folder: Path) -> bool:
    """Return whether a folder is a group of either version."""
    return any((folder / name).is_file() for name in ZARR_GROUP_FILES.values())


def group_file(folder: Path) -> Path:
    """Return the file of a group's metadata, of version 0.5 where there is none."""
    for name in ZARR_GROUP_FILES.values():
        if (folder / name).is_file():
            return folder / name
    return folder / ZARR_GROUP_FILES["0.5"]


def read_group(folder: Path) -> Group:
    """Read a group.

    Raises
    ------
    InputDataError
        It is missing or no JSON object.
    """
    file = group_file(folder)
    content = read_json(file)
    try:
        if file.name == ZARR_GROUP_FILES["0.5"]:
            attributes = content["attributes"]
            return Group(dict(attributes.get("ome", {})), dict(attributes.get("openhcs", {})))
        own = dict(content.pop("openhcs", {}))
        return Group(content, own)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputDataError(
            f"{file}: expected attributes of a zarr group, found {error!r}; write it again"
        ) from error


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
        content = parse_json(path.read_bytes())
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


def _with_version(key: str, value: Any, version: OmeZarrVersion) -> Any:
    """Return a part of OME-Zarr's attributes with the version it has to name itself.

    The attributes of 0.5 carry it already; its text asks for it in the plate as well.
    """
    if key == "plate" or (version == "0.4" and isinstance(value, Mapping)):
        return {"version": version, **value}
    if version == "0.4" and key == "multiscales":
        return [{"version": version, **image} for image in value]
    return value
