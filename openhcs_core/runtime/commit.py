"""Where jobs begin and end alike: the input they open, and how a result is committed."""

import logging
from collections.abc import Mapping
from pathlib import Path

from openhcs_core.constants import Backend
from openhcs_core.errors import DiskFullError
from openhcs_core.materialization import save_files
from openhcs_core.plan import StepPlan
from openhcs_core.runtime.inputs import PlateInput, Recompute, StepInput, WellInput
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.manifest import Manifest, write_manifest
from openhcs_core.storage import FileManager, get_backend_instance

logger = logging.getLogger(__name__)


def open_input(job: Job, plan: StepPlan, well: str, recompute: Recompute) -> WellInput:
    """Return the images of one well that a step reads."""
    if plan.source is None:
        return PlateInput(job, well)
    return StepInput(job, plan, well, recompute)


def commit(job: Job, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Write the files and, last, its manifest."""
    contents = {str(job.plate_dir / path): data for path, data in files.items()}
    disk = FileManager({Backend.DISK: get_backend_instance(Backend.DISK)})
    save_files(contents, disk, Backend.DISK)
    write_manifest(manifest, job.plate_dir)


def remember(
    job: Job,
    manifest: Manifest,
    files: Mapping[str, bytes],
    folder: Path | None,
    read: str | None = None,
) -> None:
    """Record the result for equal jobs; it is committed already, so a full disk fails nothing."""
    try:
        job.results.put(manifest, files, folder, read)
    except DiskFullError as error:
        logger.warning("the result is not kept for equal jobs: %s", error)
