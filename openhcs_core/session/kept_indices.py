"""Indices of plates, kept so that a plate that has not changed is not indexed again.

``.plan/indices/<plate>.json`` holds what was asked about the plate, the index that was made of the
answers, and digests of the files that are generated from it. It is plain data, taken for absent
when anything about it is not as it should be, and safe to delete.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import openhcs_core
from openhcs_core.config import PlateConfig
from openhcs_core.microscopes import (
    AUTO,
    HANDLERS,
    KEPT_FORMAT,
    PlateIndex,
    collector_paused,
    decode_index,
    encode_index,
    get_handler,
    known_handlers,
)
from openhcs_core.plan import digest_bytes
from openhcs_core.storage import (
    FolderTrace,
    LocalPlate,
    PlateTrace,
    RecordedPlate,
    is_unchanged,
    open_plate_source,
    replace_file,
)

_ROOMS = ("microscopes", "microscopes/imagexpress", "storage", "storage/ome_zarr", "session")
"""Where the code is that an index, and what is generated from it, come from."""


@dataclass(frozen=True)
class IndexedPlate:
    """A plate's index and what there is to keep of it.

    Attributes
    ----------
    index : PlateIndex
        What the plate consists of.
    trace : PlateTrace or None
        What was asked about it; None where it cannot be kept.
    digests : mapping of str to str
        Of generated files, by path below ``results/<plate>``: those of a kept index.
    """

    index: PlateIndex
    trace: PlateTrace | None = None
    digests: Mapping[str, str] = field(default_factory=dict)


def kept_index_path(results: Path, plate: str) -> Path:
    """Return where a plate's index is kept."""
    return results / ".plan/indices" / f"{plate}.json"


def index_plate(
    name: str, settings: PlateConfig, results: Path, settled_s: float = 2.0
) -> IndexedPlate:
    """Return what a plate consists of: as it was kept, if it has not changed, else by indexing it.

    Plates behind URLs, and those read by handlers of other distributions, are always indexed.

    Parameters
    ----------
    settled_s : float
        Where a file that is read (metadata, headers) is younger, the index is not kept: the file
        may change again at what is the same time to a file system.

    Raises
    ------
    ConfigError
        There is no such plate.
    InputDataError
        It cannot be read.
    """
    source = open_plate_source(settings.path)
    if not isinstance(source, LocalPlate):
        return IndexedPlate(get_handler(settings.microscope, source, settings).index(source))
    source.check()
    with collector_paused():
        found = _read(kept_index_path(results, name), source, settings)
        if found is not None:
            return found
        recorded = RecordedPlate(Path(source.name), settled_s)
        index = get_handler(settings.microscope, recorded, settings).index(recorded)
        is_own = index.microscope in HANDLERS
        return IndexedPlate(index, recorded.trace() if is_own else None)


def keep_index(
    name: str,
    settings: PlateConfig,
    results: Path,
    plate: IndexedPlate,
    digests: Mapping[str, str],
) -> None:
    """Keep a plate's index, unless it is kept with all of `digests` already.

    Parameters
    ----------
    digests : mapping of str to str
        Of the files that are generated from it, by path below ``results/<plate>``.
    """
    if plate.trace is None or digests.items() <= plate.digests.items():
        return
    head = {
        "made_by": _made_by(settings),
        "trace": asdict(plate.trace) | {"folders": [list(one) for one in plate.trace.folders]},
        "raw": settings.raw,
        "digests": {**plate.digests, **digests},
    }
    with collector_paused():
        lines = (json.dumps(head, separators=(",", ":")), *encode_index(plate.index))
    content = "\n".join(lines).encode()
    with replace_file(kept_index_path(results, name), durable=False) as stream:
        stream.write(f"{digest_bytes(content)}\n".encode())
        stream.write(content)


def _read(path: Path, source: LocalPlate, settings: PlateConfig) -> IndexedPlate | None:
    """Return a kept index, None where it is not there, not whole or not of what is there now."""
    try:
        content = path.read_bytes()
        digest, _, lines = content.partition(b"\n")
        if digest != digest_bytes(lines).encode():
            return None
        first, *of_index = lines.split(b"\n")
        head: dict[str, Any] = json.loads(first)
        if head["made_by"] != _made_by(settings):
            return None
        folders = tuple(FolderTrace(*folder) for folder in head["trace"].pop("folders"))
        trace = PlateTrace(folders=folders, **head["trace"])
        if not is_unchanged(source, trace, checks_files=settings.raw == "checked"):
            return None
        index = decode_index(*of_index)
        digests = head["digests"] if head["raw"] == settings.raw else {}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    return IndexedPlate(index, trace, digests)


def _made_by(settings: PlateConfig) -> dict[str, Any]:
    """Return all but the plate itself that its index depends on."""
    generic = settings.generic
    return {
        "format": KEPT_FORMAT,
        "version": openhcs_core.__version__,
        "code": _code(),
        "path": settings.path,
        "microscope": settings.microscope,
        "generic": None if generic is None else generic.model_dump(mode="json"),
        "handlers": sorted(known_handlers()) if settings.microscope == AUTO else [],
    }


@cache
def _code() -> str:
    """Return what changes with the code of indexing: sizes and times of its files."""
    root = Path(openhcs_core.__file__).parent
    found = []
    for room in _ROOMS:
        with os.scandir(root / room) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    found.append(f"{room}/{entry.name} {status.st_size} {status.st_mtime_ns}")
    return digest_bytes("\n".join(sorted(found)).encode())
