"""The cache within its size: what was of no use for longest goes first.

Everything in it can be computed again, so removing is safe at any moment, during a run too.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from openhcs_core.plan import CompiledPipeline, plan_digest
from openhcs_core.put_back import SHORTCUT
from openhcs_core.runtime import (
    FILES_FOLDER,
    IMAGES_FOLDER,
    JOBS_FOLDER,
    OBJECTS_FOLDER,
    ImageCache,
    JobCache,
)
from openhcs_core.session.compiling import Compilation
from openhcs_core.storage import TEMPORARY_PREFIX

GB = 1e9
_UNFINISHED_S = 24 * 3600.0
"""A temporary file older than this is nobody's."""
_ROOM = 0.9
"""Trimmed to this part of the limit, so that not every run trims."""
_SUPERSEDED, _CURRENT, _NEVER = 0, 1, 2

JobKey = tuple[str, str]
"""Plan digest and well."""


@dataclass(frozen=True)
class CacheLimits:
    """What is to stay in the cache.

    Attributes
    ----------
    keep_bytes : float, optional
        Nothing is removed while all is within this size. Files that results share (hard links)
        take no room of their own and are not counted.
    unused_s : float, optional
        What was not used for so many seconds goes.
    """

    keep_bytes: float | None = None
    unused_s: float | None = None

    @property
    def are_given(self) -> bool:
        """Whether there is one."""
        return self.keep_bytes is not None or self.unused_s is not None


@dataclass(frozen=True)
class Trimmed:
    """What went, and what is left."""

    file_count: int
    size_bytes: int
    left_bytes: int

    def __str__(self) -> str:
        """Return it as words."""
        gone, left = self.size_bytes / GB, self.left_bytes / GB
        return f"{self.file_count} files removed, {gone:.2f} GB; {left:.2f} GB left"


@dataclass(frozen=True)
class CacheEntry:
    """A job's record with the files it names, or one file that no record names.

    Attributes
    ----------
    paths : tuple of Path
        The record first; each once.
    used_s : float
        When it was last written or taken, in s.
    rank : int
        Lower ones go first.
    """

    paths: tuple[Path, ...]
    used_s: float
    rank: int


def keep_cache_size(
    compilation: Compilation, others: Mapping[JobKey, bool] = MappingProxyType({})
) -> str:
    """Bring the cache within ``storage.cache_gb``; return what was done as text, or nothing.

    Parameters
    ----------
    others : mapping
        Jobs of plates that were not compiled, as :func:`current_jobs` has them.
    """
    limit_gb = compilation.config.storage.cache_gb
    current = {**others, **current_jobs(compilation.compiled)}
    trimmed = trim_cache(compilation.cache_root, current, CacheLimits(limit_gb * GB))
    if not trimmed.file_count:
        return ""
    return f"Cache: {trimmed} (storage.cache_gb: {limit_gb:g})"


def current_jobs(compiled: CompiledPipeline) -> dict[JobKey, bool]:
    """Return the jobs of today's plans; true for those on a GPU, whose results always stay."""
    return {
        (plan_digest(mine), well): plate.resources[plan.step_name].gpu > 0
        for plate in compiled.plates
        for plan in plate.steps
        for mine, wells in plate.variants(plan)
        for well in wells
    }


def trim_cache(
    root: Path, current: Mapping[JobKey, bool], limits: CacheLimits, *, dry_run: bool = False
) -> Trimmed:
    """Remove what is of least use.

    Parameters
    ----------
    root : Path
        The cache.
    current : mapping
        See :func:`current_jobs`. They go after all others; those on a GPU never go for size.
    dry_run : bool
        Only say what would be removed.
    """
    sizes = _scan(root)
    total, keep = sum(size for size, _ in sizes.values()), limits.keep_bytes
    goal = None if keep is None or total <= keep else _ROOM * keep
    if goal is None and limits.unused_s is None:
        return Trimmed(0, 0, total)
    entries = sorted(_entries(root, sizes, current), key=lambda one: (one.rank, one.used_s))
    oldest = None if limits.unused_s is None else time.time() - limits.unused_s
    gone = choose(entries, {path: size for path, (size, _) in sizes.items()}, goal, oldest)
    if not dry_run:
        gone = [path for path in gone if _remove(path)]
    freed = sum(sizes[path][0] for path in gone)
    return Trimmed(len(gone), freed, total - freed)


def _remove(path: Path) -> bool:
    """Remove a file; return whether it is gone: in a cache of several users, theirs may stay."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError:
        return False
    return True


def choose(
    entries: Sequence[CacheEntry],
    sizes: Mapping[Path, int],
    goal_bytes: float | None,
    oldest_s: float | None,
) -> list[Path]:
    """Return the files to remove: of entries last used before a time, then until a size is met.

    A file goes with the last entry that names it.
    """
    named = Counter(path for entry in entries for path in entry.paths)
    left = sum(sizes.values())
    gone: list[Path] = []
    for entry in entries:
        is_old = oldest_s is not None and entry.used_s < oldest_s
        is_over = goal_bytes is not None and left > goal_bytes and entry.rank != _NEVER
        if not (is_old or is_over):
            continue
        named.subtract(entry.paths)
        free = [path for path in entry.paths if named[path] == 0 and path in sizes]
        left -= sum(sizes[path] for path in free)
        gone += free
    return gone


def _scan(root: Path) -> dict[Path, tuple[int, float]]:
    """Return size and time of each file of the cache, in bytes that removing it frees."""
    found = {}
    newest_unfinished = time.time() - _UNFINISHED_S
    for folder in (OBJECTS_FOLDER, FILES_FOLDER, IMAGES_FOLDER, JOBS_FOLDER):
        for parent, _, names in os.walk(root / folder):
            for name in names:
                path = Path(parent, name)
                with suppress(FileNotFoundError):  # removed meanwhile
                    stat = path.stat()
                    if name.startswith(TEMPORARY_PREFIX) and stat.st_mtime > newest_unfinished:
                        continue
                    found[path] = (stat.st_size if stat.st_nlink == 1 else 0, stat.st_mtime)
    return found


def _entries(
    root: Path, sizes: Mapping[Path, tuple[int, float]], current: Mapping[JobKey, bool]
) -> Iterator[CacheEntry]:
    jobs = root / JOBS_FOLDER
    named: set[Path] = set()
    shortcuts: dict[Path, list[Path]] = {}
    for path in sizes:
        if path.suffix == SHORTCUT:
            record = path.with_name(f"{path.stem.partition('-')[0]}.json")
            shortcuts.setdefault(record, []).append(path)
    for path, (_, used_s) in sizes.items():
        if not path.is_relative_to(jobs) or path.suffix != ".json":
            continue
        files = list(dict.fromkeys([*_named_files(root, path), *shortcuts.get(path, ())]))
        named.update((path, *files))
        is_gpu = current.get((path.parent.parent.name, path.parent.name))
        rank = _SUPERSEDED if is_gpu is None else _NEVER if is_gpu else _CURRENT
        yield CacheEntry((path, *files), used_s, rank)
    for path, (_, used_s) in sizes.items():
        if path not in named:
            yield CacheEntry((path,), used_s, _SUPERSEDED)


def _named_files(root: Path, record: Path) -> list[Path]:
    """Return the files that a record names; none when it cannot be read."""
    try:
        content = json.loads(record.read_bytes())
        manifest = content["manifest"]
        objects = [stack["object"] for stack in manifest["images"]]
        files = [file["digest"] for file in manifest["files"].values()]
        images = [file["digest"] for file in content["kept"].values()]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    jobs = JobCache(root)
    return [
        *map(ImageCache(root).path, objects),
        *map(jobs.files.path, files),
        *map(jobs.images.path, images),
    ]
