"""Leave what a later job needs to find the same result by the bytes of what it reads alone."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from openhcs_core.config import FrozenModel
from openhcs_core.errors import DiskFullError, InputDataError, StorageAccessError
from openhcs_core.ground.commit_records import begins_partial, manifest_beginning
from openhcs_core.plan import StepPlan, TablePlan, digest_bytes, plan_digest
from openhcs_core.put_back import MadeFiles, Shortcut, write_made_files, write_shortcut
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.manifest import Manifest, encode_manifest
from openhcs_core.runtime.read_records import digests_of_read, records_digest
from openhcs_core.runtime.removable import write_unless_removed
from openhcs_core.runtime.user_functions import UserFunctions

logger = logging.getLogger(__name__)


def leave_shortcut(
    job: Job, plan: StepPlan, manifest: Manifest, read: dict[str, str], functions: UserFunctions
) -> None:
    """Leave a shortcut to a result that was just committed, where it would be a certain one.

    It is committed already, so what cannot be written fails nothing.

    Parameters
    ----------
    manifest : Manifest
        Of the result, which is recorded in the cache.
    read : dict
        Files that say what the job read, and special values: digest of their bytes by path.
    """
    modules, record = functions.file_digests(), job.results.record_path(manifest)
    if modules is None or not record.exists() or not _is_still_read(job, plan, manifest, read):
        return
    shortcut = Shortcut(
        record=record.stem,
        manifest=digest_bytes(encode_manifest(manifest)),
        read_record=records_digest(read),
        read=read | manifest.special,
        plate=job.location.plate_path if plan.source is None else None,
        modules=modules,
    )
    _leave(partial(write_shortcut, record.parent, shortcut), record)


def leave_made_files(
    job: Job, plan: FrozenModel, target: str, names: Iterable[str], read: dict[str, str] | None
) -> None:
    """Leave what a job of the whole plate wrote, for one that reads the same.

    Parameters
    ----------
    target : str
        The table's file, or that of plate metadata.
    names : iterable of str
        What it wrote, in that order, by path below the plate's results.
    read : dict or None
        Digests of the files that it read; None leaves nothing.
    """
    if read is None:
        return
    contents = {name: (job.plate_dir / name).read_bytes() for name in names}
    has_map = isinstance(plan, TablePlan) and None not in (plan.plate_map, job.location.plate_map)
    made = MadeFiles(read, has_map, {name: digest_bytes(data) for name, data in contents.items()})

    def write() -> None:
        for content in contents.values():
            job.results.files.put_bytes(content)
        write_made_files(job.results.root, plan_digest(plan), target, made)

    _leave(write, job.results.root)


def _leave(write: Callable[[], None], place: Path) -> None:
    """Write below a place of the cache, where there is room and it may be written."""
    try:
        write_unless_removed(write, place)
    except (DiskFullError, StorageAccessError) as error:
        logger.debug("no shortcut to the result: %s", error)


def _is_still_read(job: Job, plan: StepPlan, manifest: Manifest, read: dict[str, str]) -> bool:
    """Return whether what the job read says the same as when it began, and is of whole wells."""
    try:
        now = digests_of_read(job.plate_dir, plan, manifest.well)
    except InputDataError:
        return False
    names = (name for name in read if name.startswith("manifests/"))
    are_whole = not any(begins_partial(manifest_beginning(job.plate_dir / name)) for name in names)
    return are_whole and now == read
