"""What killed jobs left unfinished: temporary files and folders that nobody will rename."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from openhcs_core.plan import KEPT_SINKS, CompiledPipeline
from openhcs_core.session.files import plan_records
from openhcs_core.storage import TEMPORARY_NAME

_STORE_SUFFIX = ".ome.zarr"
_DAY_S = 24 * 3600.0
_WELL_DEPTH = 2
"""Wells of an OME-Zarr plate lie in rows; unfinished fields lie in wells."""


def remove_unfinished(
    compiled: CompiledPipeline, cache: Path, *, is_alone: bool = True
) -> list[Path]:
    """Remove what jobs of dead runs left, whatever step or well it was of.

    To be called by a run that holds the lock, before its first job. A job that outlives its
    run loses what it has not finished: its work is done again by this run.

    Parameters
    ----------
    cache : Path
        The cache. Other runs may write into one that is not below the results: what is younger
        than a day stays there.
    is_alone : bool
        No run of another plate works on these results.

    Returns
    -------
    list of Path
        What was removed.
    """
    results = Path(compiled.results)
    records = [path for one in compiled.plates for path in plan_records(results, one.name)]
    found = [path for folder in records for path in _temporaries(folder)]
    if is_alone:
        found = list(_temporaries(results / ".plan"))
    is_shared = not is_alone or not cache.is_relative_to(results.resolve())
    oldest = time.time() - (_DAY_S if is_shared else 0)
    found += [path for path in _temporaries(cache) if _is_older(path, oldest)]
    for plate in compiled.plates:
        folder = results / plate.name
        found += _temporaries(folder)
        for sinks in _entries(folder / KEPT_SINKS):
            found += map(Path, _entries(Path(sinks)))
    for path in found:
        _remove(path)
    return found


def _is_older(path: Path, time_s: float) -> bool:
    try:
        return path.stat().st_mtime <= time_s
    except FileNotFoundError:
        return False


def _temporaries(folder: Path, depth: int | None = None) -> Iterator[Path]:
    """Yield unfinished files and folders; fields of finished wells are not looked through.

    Parameters
    ----------
    depth : int, optional
        How far below an OME-Zarr plate `folder` is.
    """
    for entry in _entries(folder):
        if TEMPORARY_NAME.fullmatch(entry.name):
            yield Path(entry)
        elif entry.name[0] != "." and entry.is_dir(follow_symlinks=False) and depth != _WELL_DEPTH:
            inner = 0 if entry.name.endswith(_STORE_SUFFIX) else depth
            yield from _temporaries(Path(entry), inner if depth is None else depth + 1)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)  # a job that lives on may still write into it
    else:
        with suppress(PermissionError):  # of another user, in a cache that they share
            path.unlink(missing_ok=True)
