"""Jobs of several steps or wells of which a part failed.

Snakemake removes all outputs of a job that fails, also of wells that are done. They are put back
from the cache when the run ends.
"""

import logging
from pathlib import Path

from openhcs_core.errors import OpenHCSError
from openhcs_core.plan import (
    CompiledPipeline,
    JobScope,
    job_scopes,
    manifest_path,
)
from openhcs_core.runtime import Job, restore_step

logger = logging.getLogger(__name__)


def put_back_shared(compiled: CompiledPipeline) -> None:
    """Put back what jobs that failed had done, as far as it is in the cache."""
    for plate in compiled.plates:
        folder = Path(compiled.results, plate.name)
        for scope in job_scopes(plate):
            if scope.is_shared:
                for well in scope.wells:
                    _put_back_well(folder, JobScope(scope.steps, (well,)))


def _put_back_well(folder: Path, scope: JobScope) -> None:
    for step, well in scope.members:
        if (folder / manifest_path(step, well)).exists():
            continue
        try:
            if not restore_step(Job(folder, step), well):
                return
        except OpenHCSError as error:  # the run has ended; the next one does it
            logger.info("step %r, well %s is not put back: %s", step, well, error)
            return
