"""``openhcs_metadata.json``: a plate's images under flat virtual names, and what else is known.

The file describes a plate without touching it: it is kept with the results.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openhcs_core.constants import Backend
from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.plate_index import PlateIndex
from openhcs_core.storage import parse_json
from openhcs_core.storage.backends.virtual_workspace import SourceRef, VirtualWorkspaceBackend
from openhcs_core.storage.plate_source import is_inside

METADATA_FILENAME = "openhcs_metadata.json"
IMAGES_FOLDER = "images"
MAIN_SUBDIRECTORY = "."
BACKEND_PREFERENCE = (Backend.ZARR, Backend.VIRTUAL_WORKSPACE, Backend.DISK)
"""Which of several backends is read from."""

Plate = str | Path | Mapping[str, Any]
"""A plate's folder, its metadata file, or what is in it."""


def virtual_mapping(index: PlateIndex) -> dict[str, str]:
    """Return ``images/<virtual name>`` to real path, relative to the plate, of every image."""
    return {f"{IMAGES_FOLDER}/{image.key.filename}": image.path for image in index.images}


def build_workspace_metadata(
    index: PlateIndex, mapping: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the metadata of a plate's virtual workspace.

    Parameters
    ----------
    index : PlateIndex
        The plate.
    mapping : mapping of str to str, optional
        Virtual to real paths; those of :func:`virtual_mapping` when absent.

    Returns
    -------
    dict
        ``{"subdirectories": {".": {...}}}`` with ``workspace_mapping`` from virtual names
        (``images/B02_s001_w1_z001_t001.tif``) to real paths relative to the plate,
        ``image_files``, ``channels`` (id to name), ``wells``, ``sites``, ``z_indexes`` and
        ``timepoints`` (value to None: the instrument gives them no names), ``pixel_size``
        (µm or None), ``grid_dimensions`` ([rows, columns] or None), handler, parser and backends.
    """
    mapping = virtual_mapping(index) if mapping is None else dict(mapping)
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
        **_unnamed_components(index),
    }
    return {"subdirectories": {MAIN_SUBDIRECTORY: plate}}


def _unnamed_components(index: PlateIndex) -> dict[str, dict[str, None]]:
    """Return the plate's values of what has no names, in the form of ``channels``."""
    keys = [image.key for image in index.images]
    return {
        "wells": dict.fromkeys(index.wells),
        "sites": {str(site): None for site in index.sites},
        "z_indexes": {str(z): None for z in sorted({key.z_index for key in keys})},
        "timepoints": {str(time): None for time in sorted({key.timepoint for key in keys})},
    }


def dump(metadata: Mapping[str, Any]) -> str:
    """Return JSON text, one entry a line: equal metadata give equal text."""
    # The newline as separator, not `indent`, keeps json's fast encoder: plates have 1e5 entries.
    text = json.dumps(
        metadata, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",\n", ": ")
    )
    return f"{text}\n"


def read_workspace_metadata(path: Path) -> dict[str, Any]:
    """Read ``openhcs_metadata.json`` and check what the helpers below rely on.

    Files that OpenHCS wrote are read too: in their ``workspace_mapping`` a real path is an
    object with ``backend``, ``backend_address`` and ``source_axis_indices``.

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
        metadata = parse_json(file.read_bytes())
    except OSError as error:
        raise InputDataError(f"{file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputDataError(f"{file} is not JSON: {error}; compile again to write it") from error
    check_workspace_metadata(metadata, str(file))
    checked: dict[str, Any] = metadata
    return checked


def check_workspace_metadata(metadata: object, where: str) -> None:
    """Check what the helpers below rely on.

    Raises
    ------
    InputDataError
        `metadata` are not of this form, or a real path leaves the plate; `where` they are is said.
    """
    try:
        for name, entry in _subdirectories(metadata).items():
            _check_subdirectory(name, entry)
    except InputDataError as error:
        raise InputDataError(f"{where}: {error}") from error


def get_available_backends(plate: Plate) -> tuple[str, ...]:
    """Return the backends that can read the main subdirectory, best first.

    Parameters
    ----------
    plate : str, Path or mapping
        The plate's folder, its ``openhcs_metadata.json``, or what is in it.

    Raises
    ------
    InputDataError
        No subdirectory is the main one, or the file is none.
    """
    _, main = main_subdirectory(_metadata_of(plate))
    available = main.get("available_backends", {})
    return tuple(backend.value for backend in BACKEND_PREFERENCE if available.get(backend.value))


def get_primary_backend(plate: Plate) -> str:
    """Return the backend to read from: zarr before virtual_workspace before disk.

    Parameters
    ----------
    plate : str, Path or mapping
        See :func:`get_available_backends`.

    Raises
    ------
    InputDataError
        There is none.
    """
    available = get_available_backends(plate)
    if not available:
        raise InputDataError(
            "available_backends: none is true; expected one of "
            f"{', '.join(backend.value for backend in BACKEND_PREFERENCE)}"
        )
    return available[0]


def get_image_files(plate: Plate) -> tuple[str, ...]:
    """Return the (virtual) image files of the main subdirectory, relative to the plate.

    Parameters
    ----------
    plate : str, Path or mapping
        See :func:`get_available_backends`.

    Raises
    ------
    InputDataError
        No subdirectory is the main one.
    """
    _, main = main_subdirectory(_metadata_of(plate))
    return tuple(main.get("image_files", main.get("workspace_mapping", ())))


def open_workspace(plate: str | Path, metadata: Plate | None = None) -> VirtualWorkspaceBackend:
    """Return what reads the images of :func:`get_image_files` by their names.

    They come from the best backend that the main subdirectory has: the arrays of a zarr store,
    the files that a ``workspace_mapping`` leads to, or files on disk.

    Parameters
    ----------
    plate : str or Path
        The plate's folder or, where the images are TIFFs, its URL.
    metadata : str, Path or mapping, optional
        What describes it, when that lies elsewhere (``results/<plate>/workspace``) or was read.

    Returns
    -------
    VirtualWorkspaceBackend
        Can be registered with a FileManager as ``virtual_workspace``.

    Raises
    ------
    InputDataError
        The metadata are missing or wrong, or an image's path leaves the plate.
    """
    described = _metadata_of(plate if metadata is None else metadata)
    backend = get_primary_backend(described)
    name, main = main_subdirectory(described)
    if backend == Backend.VIRTUAL_WORKSPACE:
        if not main.get("workspace_mapping"):
            raise InputDataError(
                f"subdirectories.{name}: virtual_workspace is available but there is no "
                "workspace_mapping; compile again, or correct available_backends"
            )
        return VirtualWorkspaceBackend(plate, main["workspace_mapping"])
    files = get_image_files(described)
    return VirtualWorkspaceBackend(plate, {file: SourceRef(file, backend) for file in files})


def _metadata_of(plate: Plate) -> Mapping[str, Any]:
    return plate if isinstance(plate, Mapping) else read_workspace_metadata(Path(plate))


def _subdirectories(metadata: Any) -> dict[str, Any]:
    entries = metadata.get("subdirectories") if isinstance(metadata, Mapping) else None
    if not isinstance(entries, dict) or not entries:
        raise InputDataError("subdirectories: expected an object with at least one entry")
    return entries


def main_subdirectory(metadata: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return name and content of the subdirectory that images are read from.

    Raises
    ------
    InputDataError
        There is none, or several are.
    """
    entries = _subdirectories(metadata)
    main = [name for name, entry in entries.items() if entry.get("main")]
    if not main and len(entries) == 1:
        main = list(entries)
    if len(main) != 1:
        raise InputDataError(
            f"subdirectories: {len(main)} of {', '.join(entries)} have main: true; expected one"
        )
    entry: dict[str, Any] = entries[main[0]]
    return main[0], entry


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
        try:
            SourceRef.parse(real)
        except InputDataError as error:
            raise InputDataError(
                f"{where}.workspace_mapping[{virtual!r}]: {real!r} is not a path inside the "
                f"plate: {error}"
            ) from error
    for file in entry.get("image_files", ()):
        if not isinstance(file, str) or not is_inside(file):
            raise InputDataError(f"{where}.image_files: {file!r} is not a path inside the plate")
