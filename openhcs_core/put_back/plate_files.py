"""Files of a whole plate that equal jobs wrote: plate tables, and metadata of OME-Zarr plates."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from openhcs_core.errors import OpenHCSError, PlanChangedError
from openhcs_core.ground.atomic import replace_file
from openhcs_core.ground.canonical import digest_bytes
from openhcs_core.ground.commit_records import begins_partial, manifest_beginning
from openhcs_core.ground.paths import (
    failure_path,
    left_out_path,
    manifest_path,
    partial_table_path,
    store_path,
    store_plan_path,
    table_path,
    table_plan_path,
)
from openhcs_core.ground.stored import FILES_FOLDER, is_inside, job_folder, read_whole, stored_path
from openhcs_core.ground.turn import Turn
from openhcs_core.ground.zarr_groups import remove_group
from openhcs_core.put_back.arguments import PlateJob
from openhcs_core.put_back.place import Place, begin_log, end_log, read_place, read_plan
from openhcs_core.put_back.shortcuts import read_shortcuts, write_fields

MOST_BYTES = 16 * 2**20
"""Larger files are made anew: they would take their size twice."""
STORE_TARGET = "store"
"""Stands for the table's file where the job writes metadata."""


class MadeFiles(NamedTuple):
    """Files that a job of a plan made, and what it read.

    Attributes
    ----------
    read : dict
        Tables of wells, by path below the plate's results: digest of their bytes.
    has_map : bool
        A plate map was joined, that of the plan.
    files : dict
        By path below the plate's results: digest of their bytes. In the order to write them.
    """

    read: dict[str, str]
    has_map: bool
    files: dict[str, str]


def write_made_files(cache: Path, plan_digest: str, target: str, made: MadeFiles) -> None:
    """Record what a job made, whose files are in the cache.

    Parameters
    ----------
    target : str
        The table's file, or ``store``.

    Raises
    ------
    DiskFullError, StorageAccessError
        It cannot be written.
    """
    fields = made._asdict() | {"files": list(made.files.items())}
    write_fields(job_folder(cache, plan_digest, target), fields)


def put_plate_files_back(job: PlateJob) -> bool:
    """Write what an equal job wrote; False where it is not done, whatever the reason."""
    target = job.table or STORE_TARGET
    try:
        turn = Turn(job.plate_dir, f"{job.step}.{target}")
        if not turn.take(wait_s=0):
            return False
        with turn:
            return _put_back(job, target, turn)
    except (OpenHCSError, OSError, ValueError, KeyError, TypeError):
        return False  # missing, damaged, or no longer today's


def _put_back(job: PlateJob, target: str, turn: Turn) -> bool:
    place, (plan, digest) = read_place(job.plate_dir), _read_plan(job)
    if job.digest not in (None, digest):
        return False
    if (job.plate_dir / failure_path(job.step, target)).exists():
        return False  # what an earlier attempt came to is for the ordinary way to judge
    contents = _find(job, place, plan, job_folder(place.cache, digest, target))
    if contents is None:
        return False

    def confirm() -> None:
        turn.check()
        if _read_plan(job)[1] != digest:
            raise PlanChangedError(f"what step {job.step!r} does changed meanwhile")

    begin_log(job.log)
    if job.table is None:
        _write_groups(job.plate_dir, contents, confirm)
    else:
        _write_table(job.plate_dir, job.step, job.table, contents, confirm)
    end_log(job.log, f"step {job.step!r}, {target}: an equal job had written it", "done")
    return True


def _read_plan(job: PlateJob) -> tuple[dict[str, Any], str]:
    table = job.table
    path = store_plan_path(job.step) if table is None else table_plan_path(job.step, table)
    return read_plan(job.plate_dir / path)


def _find(
    job: PlateJob, place: Place, plan: dict[str, Any], folder: Path
) -> dict[str, bytes] | None:
    """Return the files that an equal job made, None where it is not certain that one did."""
    if job.table is not None and not _may_be_joined(job, place, plan):
        return None
    has_map = _has_map(place, plan)
    for fields in read_shortcuts(folder):
        made = MadeFiles(fields["read"], fields["has_map"], dict(fields["files"]))
        if made.has_map == has_map and _is_read_unchanged(job.plate_dir, made.read):
            return _read_contents(job, plan, place.cache / FILES_FOLDER, made.files)
    return None


def _has_map(place: Place, plan: dict[str, Any]) -> bool:
    return plan.get("plate_map") is not None and place.plate_map is not None


def _may_be_joined(job: PlateJob, place: Place, plan: dict[str, Any]) -> bool:
    """Return whether the plate map is the planned one, and no well is left out."""
    if _has_map(place, plan):
        path = Path(place.plate_map or "")
        if read_whole(path, plan["plate_map"], digest_bytes) is None:
            return False
    manifests = (job.plate_dir / manifest_path(job.step, well) for well in plan["wells"])
    return not any(begins_partial(manifest_beginning(path)) for path in manifests)


def _is_read_unchanged(plate_dir: Path, read: dict[str, str]) -> bool:
    return all(
        read_whole(plate_dir / name, digest, digest_bytes) is not None
        for name, digest in read.items()
    )


def _read_contents(
    job: PlateJob, plan: dict[str, Any], folder: Path, files: dict[str, str]
) -> dict[str, bytes] | None:
    """Return the content of the files by path, None where one is gone, damaged or not ours."""
    found = {}
    for name, digest in files.items():
        content = read_whole(stored_path(folder, digest), digest, digest_bytes)
        if content is None or not _is_of_job(job, plan, PurePosixPath(name)):
            return None
        found[name] = content
    return found


def _is_of_job(job: PlateJob, plan: dict[str, Any], path: PurePosixPath) -> bool:
    """Return whether a job of this plan writes such a file."""
    if job.table is not None:
        return path == PurePosixPath(table_path(job.step, job.table))
    store = PurePosixPath(store_path(job.step, plan["sub_dir"]))
    return path.is_relative_to(store) and is_inside(str(path))


def _write_table(
    plate_dir: Path, step: str, table: str, contents: dict[str, bytes], confirm: Callable[[], None]
) -> None:
    ((name, content),) = contents.items()
    with replace_file(plate_dir / name) as stream:
        stream.write(content)
        confirm()
    (plate_dir / partial_table_path(step, table)).unlink(missing_ok=True)
    (plate_dir / left_out_path(step, table)).unlink(missing_ok=True)


def _write_groups(plate_dir: Path, contents: dict[str, bytes], confirm: Callable[[], None]) -> None:
    """Write a plate's groups, each as when it is made: its files, then none of another version."""
    confirm()
    folders = dict.fromkeys((plate_dir / name).parent for name in contents)
    for folder in folders:
        files = {
            plate_dir / name: content
            for name, content in contents.items()
            if (plate_dir / name).parent == folder
        }
        for path, content in files.items():
            with replace_file(path) as stream:
                stream.write(content)
        remove_group(folder, keep={path.name for path in files})
