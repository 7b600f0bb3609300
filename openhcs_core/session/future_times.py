"""Results from the future: written while a clock was ahead, or on a machine whose clock is.

Snakemake would take everything that is made now for older than what it was made from.
"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

from openhcs_core.plan import CompiledPipeline
from openhcs_core.session.file_times import times_path
from openhcs_core.session.files import plan_records

_TOLERANCE_S = 60.0
"""Clocks of file servers differ by less."""
_TRACKED = ("manifests", "plan", "index", "tables", "benchmarks")
_NS = 1_000_000_000


def set_back_future_times(compiled: CompiledPipeline) -> str | None:
    """Set all times of results back, in their order, when the newest is ahead of the clock.

    Returns
    -------
    str or None
        What was done, for people.
    """
    results = Path(compiled.results)
    folders = [results / plate.name for plate in compiled.plates]
    newest = max((time_s for folder in folders for time_s in _tracked_times(folder)), default=0.0)
    ahead_s = newest - time.time()
    if ahead_s <= _TOLERANCE_S:
        return None
    for plate in compiled.plates:  # they have the times as they were
        times_path(results, plate.name).unlink(missing_ok=True)
    folders += [path for plate in compiled.plates for path in plan_records(results, plate.name)]
    _shift(folders, -int(ahead_s * _NS))
    return (
        f"files in {results} were up to {ahead_s:.0f} s ahead of this machine's clock; their times "
        "were set back by that, so that what is made now is newer"
    )


def _tracked_times(folder: Path) -> Iterator[float]:
    for name in _TRACKED:
        for parent, _, files in os.walk(folder / name):
            for file in files:
                with suppress(FileNotFoundError):
                    yield Path(parent, file).stat().st_mtime


def _shift(folders: Iterable[Path], by_ns: int) -> None:
    seen: set[int] = set()  # a file may have several names
    for parent, inner, files in chain.from_iterable(os.walk(folder) for folder in folders):
        for name in (*files, *inner):
            path = Path(parent, name)
            with suppress(FileNotFoundError):
                stat = path.lstat()
                if stat.st_ino in seen:
                    continue
                seen.add(stat.st_ino)
                times = (stat.st_atime_ns, stat.st_mtime_ns + by_ns)
                os.utime(path, ns=times, follow_symlinks=False)
