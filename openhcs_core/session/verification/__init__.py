"""Are results what their run left? Compared with plans and manifests; nothing is changed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.errors import ConfigError
from openhcs_core.plan import LOCATION
from openhcs_core.put_back import SHORTCUT, check_shortcut
from openhcs_core.runtime import JOBS_FOLDER, OBJECTS_FOLDER, ImageCache, JobCache, Location
from openhcs_core.session.verification.plans import (
    PlannedPlate,
    PlannedResults,
    find_results,
    read_results,
)
from openhcs_core.session.verification.plates import (
    PlateVerifier,
    Progress,
    find_cache,
    read_location,
)
from openhcs_core.session.verification.problems import Problem, Verification

__all__ = ["Problem", "Progress", "Verification", "VerifyOptions", "verify_results"]


@dataclass(frozen=True)
class VerifyOptions:
    """What else to look at.

    Attributes
    ----------
    plates : tuple of str
        These plates only; empty for all.
    cache : bool
        Check the content of computed images in the cache.
    raw : bool
        Read the plates' own images and compare them with what jobs read.
    """

    plates: tuple[str, ...] = ()
    cache: bool = False
    raw: bool = False


def verify_results(path: Path, options: VerifyOptions, progress: Progress) -> Verification:
    """Compare a results folder with what its plans and manifests say.

    Parameters
    ----------
    path : Path
        ``results`` or ``results/<plate>``.
    options : VerifyOptions
        What to look at.
    progress : callable
        Called after each well, from this thread.

    Raises
    ------
    ConfigError
        `path` is no results folder, or there is no such plate.
    """
    results, named = find_results(path)
    planned = read_results(results)
    if not planned.is_readable:
        note = "without an index of plans nothing else can be compared"
        return Verification(planned.problems, (note,), 0, 0)
    chosen = _choose(planned, options.plates or ((named,) if named else ()), results)
    parts = [PlateVerifier(plate, options.raw).verify(progress) for plate in chosen]
    problems = [*planned.problems, *(problem for part in parts for problem in part.problems)]
    notes = [note for part in parts for note in part.notes]
    if not (options.plates or named):
        notes += _other_plates(results, planned)
    size_bytes = sum(part.size_bytes for part in parts)
    if options.cache:
        for cache in _caches(chosen):
            found, read_bytes = _check_cache(cache)
            problems += found
            size_bytes += read_bytes
    wells = sum(part.wells for part in parts)
    return Verification(tuple(problems), tuple(notes), wells, size_bytes)


def _choose(planned: PlannedResults, names: tuple[str, ...], results: Path) -> list[PlannedPlate]:
    for name in names:
        if name not in planned.plates:
            raise ConfigError(f"no plate {name!r} in {results}; it has {', '.join(planned.plates)}")
    return [planned.plates[name] for name in names or planned.plates]


def _other_plates(results: Path, planned: PlannedResults) -> list[str]:
    """Return a note on each plate that an earlier config had."""
    found = sorted(path.parents[1] for path in results.glob(f"*/{LOCATION}"))
    return [
        f"{folder} is of a plate that the config no longer has; 'openhcs-core gc --stale --plate "
        f"{folder.name}' removes it"
        for folder in found
        if folder.name not in planned.plates
    ]


def _caches(plates: list[PlannedPlate]) -> list[ImageCache]:
    """Return the plates' caches, each once."""
    found = {}
    for plate in plates:
        location = read_location(plate.folder / LOCATION)
        if isinstance(location, Location):
            cache = find_cache(location, plate.folder)
            found[cache.root.resolve()] = cache
    return list(found.values())


def _check_cache(cache: ImageCache) -> tuple[list[Problem], int]:
    """Return stacks of images, and what is kept of jobs, that are not what their names say."""
    jobs = JobCache(cache.root)
    records = cache.root / JOBS_FOLDER
    checks = [
        *((cache.check, path) for path in cache.root.glob(f"{OBJECTS_FOLDER}/*/*.npy")),
        *((jobs.files.check, path) for path in jobs.files.root.glob("*/[!.]*")),
        *((jobs.images.check, path) for path in jobs.images.root.glob("*/[!.]*")),
        *((jobs.check, path) for path in records.rglob("[!.]*.json")),
        *((check_shortcut, path) for path in records.rglob(f"[!.]*{SHORTCUT}")),
    ]
    checks.sort(key=lambda check: check[1])
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda check: check[0](check[1]), checks))
    problems = [
        Problem("altered", str(path), "content that gives its name", wrong, "delete it")
        for (_, path), wrong in zip(checks, found, strict=True)
        if wrong is not None and path.exists()  # else a run or gc has removed it meanwhile
    ]
    return problems, sum(_size(path) for _, path in checks)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
