"""Putting the result of an equal job back."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from openhcs_core.errors import OpenHCSError, PlanChangedError
from openhcs_core.ground.atomic import replace_file, replace_files
from openhcs_core.ground.canonical import digest_bytes, job_digest
from openhcs_core.ground.commit_records import (
    encode_manifest_data,
    forget_manifest,
    write_read_record,
)
from openhcs_core.ground.paths import (
    failure_path,
    fallbacks_path,
    find_plan,
    kept_well_folder,
    log_path,
    manifest_path,
)
from openhcs_core.ground.replaced_folder import restore_tiff_folder, restore_well_group
from openhcs_core.ground.stored import (
    FILES_FOLDER,
    IMAGES_FOLDER,
    CacheRemovedError,
    is_as_stored,
    is_inside,
    job_folder,
    mark_used,
    place_files,
    read_whole,
    stored_path,
)
from openhcs_core.ground.turn import Turn
from openhcs_core.put_back.arguments import PlateJob, SharedJob, StepJob, read_arguments
from openhcs_core.put_back.installed import has_versions
from openhcs_core.put_back.place import Place, begin_log, end_log, read_place, read_plan
from openhcs_core.put_back.plate_files import put_plate_files_back
from openhcs_core.put_back.shortcuts import Shortcut, find_shortcut

_SOURCE_VERSION = "source"
"""Among a function's versions, a digest of code; all others are of distributions."""


class _Found(NamedTuple):
    """A result that can be put back.

    Attributes
    ----------
    plan : dict
        As its file has it.
    plan_digest : str
        Its digest.
    manifest : bytes
        Its file.
    files : dict
        Content of declared files, by path below the plate's results.
    kept : dict
        Files of the cache that are the kept images, by path below the well's folder.
    record : Path
        The job's record.
    """

    plan: dict[str, Any]
    plan_digest: str
    shortcut: Shortcut
    manifest: bytes
    files: dict[str, bytes]
    kept: dict[str, Path]
    record: Path


def put_back(arguments: Sequence[str]) -> bool:
    """Do a job by putting back what an equal one gave.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``run-step`` on its command line.

    Returns
    -------
    bool
        True: the job is done, just as ``run-step`` does it. False: it is not, whatever the reason;
        ``run-step`` begins anew with it, and says what is wrong where something is.
    """
    job = read_arguments(arguments)
    if job is None:
        return False
    if isinstance(job, PlateJob):
        return put_plate_files_back(job)
    return _put_all_back(job) if isinstance(job, SharedJob) else _put_step_back(job)


def _put_all_back(job: SharedJob) -> bool:
    """Put back each step of each well; where one cannot be, the ordinary way begins anew."""
    members = [(step, well) for well in job.wells for step in job.steps]
    try:
        parts = [
            StepJob(job.plate_dir, step, well, None, job.plate_dir / log_path(step, well))
            for step, well in members
        ]
        digests = [_read_plan(part)[1] for part in parts]
    except (OSError, ValueError):
        return False  # missing or damaged
    if job.digest not in (None, job_digest(digests)):
        return False
    return all(
        _put_step_back(part._replace(digest=digest))
        for part, digest in zip(parts, digests, strict=True)
    )


def _put_step_back(job: StepJob) -> bool:
    try:
        turn = Turn(job.plate_dir, job.well)
        place = read_place(job.plate_dir)
        found = _find(job, place)
    except (OpenHCSError, OSError, ValueError, KeyError, TypeError):
        return False  # missing, damaged, or of another version
    if found is None:
        return False
    try:
        if not turn.take(wait_s=0):
            return False
        with turn:
            _commit(job, place, found, turn)
    except (OpenHCSError, OSError, CacheRemovedError):
        return False
    return True


def _find(job: StepJob, place: Place) -> _Found | None:
    """Return the result of an equal job, None where it is not certain that there is one."""
    plan, digest = _read_plan(job)
    if job.digest not in (None, digest):
        return None
    if (job.plate_dir / failure_path(job.step, job.well)).exists():
        return None  # what an earlier attempt came to is for the ordinary way to judge
    folder = job_folder(place.cache, digest, job.well)
    shortcut = find_shortcut(folder, partial(_is_same, place, plan))
    if shortcut is None or not has_versions(_planned_versions(plan)):
        return None
    record = folder / f"{shortcut.record}.json"
    content = json.loads(record.read_bytes())
    manifest = encode_manifest_data(content["manifest"])
    names = [*content["manifest"]["files"], *content["kept"]]
    if digest_bytes(manifest) != shortcut.manifest or not all(map(is_inside, names)):
        return None
    files = _read_files(place.cache / FILES_FOLDER, content["manifest"]["files"])
    kept = _find_kept(place.cache / IMAGES_FOLDER, content["kept"])
    if files is None or kept is None:
        return None
    return _Found(plan, digest, shortcut, manifest, files, kept, record)


def _read_plan(job: StepJob) -> tuple[dict[str, Any], str]:
    """Return the plan of a well and its digest, as its file has it."""
    return read_plan(find_plan(job.plate_dir, job.step, job.well))


def _is_same(place: Place, plan: dict[str, Any], shortcut: Shortcut) -> bool:
    """Return whether a job reads what that of a shortcut has read."""
    if (plan["source"] is None) != (shortcut.plate is not None):
        return False
    if shortcut.plate not in (None, place.plate):
        return False
    return _is_read_unchanged(place.folder, shortcut) and _has_modules(place, plan, shortcut)


def _is_read_unchanged(plate_dir: Path, shortcut: Shortcut) -> bool:
    return all(
        read_whole(plate_dir / name, digest, digest_bytes) is not None
        for name, digest in shortcut.read.items()
    )


def _has_modules(place: Place, plan: dict[str, Any], shortcut: Shortcut) -> bool:
    """Return whether user modules have the code that they had."""
    libraries = {function["ref"].partition(":")[0] for function in _functions(plan)}
    if libraries & place.modules.keys() != shortcut.modules.keys():
        return False
    return all(
        read_whole(Path(place.modules[library]).parent / name, digest, digest_bytes) is not None
        for library, files in shortcut.modules.items()
        for name, digest in files.items()
    )


def _functions(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (function for group in plan["groups"] for function in group["functions"])


def _planned_versions(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    return (
        (library, version)
        for function in _functions(plan)
        for library, version in function["versions"].items()
        if library != _SOURCE_VERSION
    )


def _read_files(folder: Path, files: dict[str, dict[str, Any]]) -> dict[str, bytes] | None:
    """Return the content of all declared files, None where one is gone or damaged."""
    found = {}
    for name, file in files.items():
        content = read_whole(stored_path(folder, file["digest"]), file["digest"], digest_bytes)
        if content is None:
            return None
        found[name] = content
    return found


def _find_kept(folder: Path, kept: dict[str, dict[str, Any]]) -> dict[str, Path] | None:
    """Return the files of all kept images, None where one is gone or altered."""
    found = {name: stored_path(folder, file["digest"]) for name, file in kept.items()}
    are_whole = all(
        is_as_stored(found[name], file["size_bytes"], file["mtime_ns"], file["inode"])
        for name, file in kept.items()
    )
    return found if are_whole else None


def _commit(job: StepJob, place: Place, found: _Found, turn: Turn) -> None:
    """Put everything in its place, the manifest last.

    Raises
    ------
    SupersededError, PlanChangedError
        Run, plan or input are no longer today's.
    """
    begin_log(job.log)
    (job.plate_dir / fallbacks_path(job.step, job.well)).unlink(missing_ok=True)
    confirm = partial(_confirm, job, place, found, turn)
    store = found.plan["store"]
    if store is not None:
        fill = partial(place_files, found.kept)
        is_zarr = store["zarr"] is not None
        restore = restore_well_group if is_zarr else restore_tiff_folder
        folder = kept_well_folder(job.step, job.well, store["sub_dir"], is_zarr=is_zarr)
        restore(job.plate_dir / folder, fill, confirm=confirm)
    confirm()
    replace_files((job.plate_dir / name, _writer(data)) for name, data in found.files.items())
    with replace_file(job.plate_dir / manifest_path(job.step, job.well)) as stream:
        stream.write(found.manifest)
    mark_used(found.record)
    taken = f"step {job.step!r}, well {job.well}: taken from the cache, an equal job did it"
    end_log(job.log, taken, "done")


def _confirm(job: StepJob, place: Place, found: _Found, turn: Turn) -> None:
    """Stop before anything is renamed when run, plan or input are no longer today's."""
    turn.check()
    if _read_plan(job)[1] != found.plan_digest or not _is_read_unchanged(
        place.folder, found.shortcut
    ):
        raise PlanChangedError(f"what step {job.step!r} does or reads changed meanwhile")
    forget_manifest(job.plate_dir, job.step, job.well)
    write_read_record(job.plate_dir, job.step, job.well, found.shortcut.read_record)


def _writer(content: bytes) -> Any:
    return lambda stream: stream.write(content)
