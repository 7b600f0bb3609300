"""``openhcs_metadata.json``: a plate's images under flat virtual names, and what else is known.

The file describes a plate without touching it: it is kept with the results.
"""

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from openhcs_core.constants import Backend
from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.plate_index import PlateIndex

METADATA_FILENAME = "openhcs_metadata.json"
IMAGES_FOLDER = "images"
BACKEND_PREFERENCE = (Backend.ZARR, Backend.VIRTUAL_WORKSPACE, Backend.DISK)
"""Which of several backends is read from."""


def build_workspace_metadata(index: PlateIndex) -> dict[str, Any]:
    """Return the metadata of a plate's virtual workspace.

    Parameters
    ----------
    index : PlateIndex
        The plate.

    Returns
    -------
    dict
        ``{"subdirectories": {".": {...}}}`` with ``workspace_mapping`` from virtual names
        (``images/B02_s001_w1_z001_t001.tif``) to real paths relative to the plate,
        ``image_files``, ``channels`` (id to name), ``pixel_size`` (µm or None),
        ``grid_dimensions`` ([rows, columns] or None), handler, parser and backends.
    """
    mapping = {f"{IMAGES_FOLDER}/{image.key.filename}": image.path for image in index.images}
    grid = index.grid_dimensions
    plate = {
        "workspace_mapping": mapping,
        "image_files": list(mapping),
        "available_backends": {Backend.DISK.value: True, Backend.VIRTUAL_WORKSPACE.value: True},
        "main": True,
        "microscope_handler_name": index.microscope,
        "source_filename_parser_name": index.parser,
        "grid_dimensions": None if grid is None else list(grid),
        "pixel_size": index.pixel_size_um,
        "channels": index.channel_names,
    }
    return {"subdirectories": {".": plate}}


def dump(metadata: Mapping[str, Any]) -> str:
    """Return JSON text, one entry a line: equal metadata give equal text."""
    # The newline as separator, not `indent`, keeps json's fast encoder: plates have 1e5 entries.
    text = json.dumps(
        metadata, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",\n", ": ")
    )
    return f"{text}\n"


def read_workspace_metadata(path: Path) -> dict[str, Any]:
    """Read ``openhcs_metadata.json`` and check what the helpers below rely on.

    Parameters
    ----------
    path : Path
        The file, or the folder it lies in.

    Raises
    ------
    InputDataError
        Missing, no JSON, not of this form, or a real path that leaves the plate.
    """
    file = path / METADATA_FILENAME if path.is_dir() else path
    try:
        metadata = json.loads(file.read_bytes())
    except OSError as error:
        raise InputDataError(f"{file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputDataError(f"{file} is not JSON: {error}; compile again to write it") from error
    try:
        for name, entry in _subdirectories(metadata).items():
            _check_subdirectory(name, entry)
    except InputDataError as error:
        raise InputDataError(f"{file}: {error}") from error
    checked: dict[str, Any] = metadata
    return checked


def get_available_backends(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the backends that can read the main subdirectory, best first.

    Raises
    ------
    InputDataError
        No subdirectory is the main one.
    """
    available = _main_subdirectory(metadata).get("available_backends", {})
    return tuple(backend.value for backend in BACKEND_PREFERENCE if available.get(backend.value))


def get_primary_backend(metadata: Mapping[str, Any]) -> str:
    """Return the backend to read from: zarr before virtual_workspace before disk.

    Raises
    ------
    InputDataError
        There is none.
    """
    available = get_available_backends(metadata)
    if not available:
        raise InputDataError(
            "available_backends: none is true; expected one of "
            f"{', '.join(backend.value for backend in BACKEND_PREFERENCE)}"
        )
    return available[0]


def get_image_files(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the (virtual) image files of the main subdirectory.

    Raises
    ------
    InputDataError
        No subdirectory is the main one.
    """
    main = _main_subdirectory(metadata)
    return tuple(main.get("image_files", main.get("workspace_mapping", ())))


def _subdirectories(metadata: Any) -> dict[str, Any]:
    entries = metadata.get("subdirectories") if isinstance(metadata, Mapping) else None
    if not isinstance(entries, dict) or not entries:
        raise InputDataError("subdirectories: expected an object with at least one entry")
    return entries


def _main_subdirectory(metadata: Mapping[str, Any]) -> dict[str, Any]:
    entries = _subdirectories(metadata)
    main = [name for name, entry in entries.items() if entry.get("main")]
    if not main and len(entries) == 1:
        main = list(entries)
    if len(main) != 1:
        raise InputDataError(
            f"subdirectories: {len(main)} of {', '.join(entries)} have main: true; expected one"
        )
    entry: dict[str, Any] = entries[main[0]]
    return entry


def _check_subdirectory(name: str, entry: Any) -> None:
    where = f"subdirectories.{name}"
    if not isinstance(entry, dict):
        raise InputDataError(f"{where}: expected an object, not {type(entry).__name__}")
    for key, kind in (
        ("workspace_mapping", dict),
        ("available_backends", dict),
        ("image_files", list),
    ):
        if not isinstance(entry.get(key, kind()), kind):
            raise InputDataError(f"{where}.{key}: expected {kind.__name__}, not {entry[key]!r}")
    for virtual, real in entry.get("workspace_mapping", {}).items():
        if not isinstance(real, str) or not _stays_inside(real):
            raise InputDataError(
                f"{where}.workspace_mapping[{virtual!r}]: {real!r} is not a path inside the plate"
            )


def _stays_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return bool(pure.parts) and not pure.is_absolute() and ".." not in pure.parts
