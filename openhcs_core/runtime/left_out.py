"""Wells that are left out: what a failed one commits, and what later jobs make of that.

Only where the config says ``failed_wells: leave_out``, and only for failures that the same job
has again: bad data, or a function that raises.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

from openhcs_core.errors import (
    EXIT_DATA,
    EXIT_FUNCTION,
    OpenHCSError,
    WellsLeftOutError,
)
from openhcs_core.ground.commit_records import forget_manifest, write_read_record
from openhcs_core.ground.turn import Turn
from openhcs_core.plan import (
    CHECK,
    StepPlan,
    digest_bytes,
    plan_digest,
    read_names,
)
from openhcs_core.runtime.calls import FunctionLoader
from openhcs_core.runtime.commit import commit
from openhcs_core.runtime.execute_step import execute_step
from openhcs_core.runtime.failures import record_failure
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.kept_images import write_kept_images
from openhcs_core.runtime.manifest import (
    FileRecord,
    Manifest,
    WellFailure,
    find_failure,
    is_partial,
    read_manifest,
)
from openhcs_core.runtime.outputs import empty_files
from openhcs_core.runtime.read_records import digest_of_read
from openhcs_core.storage import replace_file

logger = logging.getLogger(__name__)

SAME_AGAIN = (EXIT_DATA, EXIT_FUNCTION)
"""Exit codes of failures that trying again does not mend."""


def execute_or_leave_out(job: Job, well: str, load: FunctionLoader) -> None:
    """Do one step for one well; where failed wells are left out, commit its failure.

    Raises
    ------
    OpenHCSError
        As :func:`~openhcs_core.runtime.execute_step.execute_step` does, but for what is left out.
    """
    if not job.location.leaves_out:
        execute_step(job, well, load)
        return
    plan = job.read_step_plan(well)
    failure = find_failure(job.plate_dir / name for name in _manifests(plan, well))
    if failure is None:
        try:
            execute_step(job, well, load)
        except OpenHCSError as error:
            if error.exit_code not in SAME_AGAIN:
                raise
            logger.error("%s", error)  # noqa: TRY400  its text is the message
            failure = WellFailure(step=job.step, exit_code=error.exit_code, message=str(error))
            record_failure(job, well, error.exit_code, str(error))
        else:
            return
    _commit_failure(job, plan, well, failure)


def check_plate(plate_dir: Path) -> None:
    """Say that a plate's wells are all there.

    Raises
    ------
    WellsLeftOutError
        Some are left out.
    """
    failures: dict[str, WellFailure] = {}
    for path in sorted(plate_dir.glob("manifests/*/*.json")):
        if is_partial(path):
            manifest = read_manifest(path)
            found = manifest.left_out
            if manifest.failure is not None:
                found = {manifest.well: manifest.failure}
            failures = found | failures
    if failures:
        exit_code = max(failure.exit_code for failure in failures.values())
        reasons = [f"{well}: {failure.message}" for well, failure in sorted(failures.items())]
        raise WellsLeftOutError(plate_dir.name, tuple(reasons), exit_code)
    with replace_file(plate_dir / CHECK, durable=False) as stream:
        stream.write(b"every well is done, and everything is of all wells\n")


def _manifests(plan: StepPlan, well: str) -> Iterable[str]:
    return (name for name in read_names(plan, well) if name.startswith("manifests/"))


def _commit_failure(job: Job, plan: StepPlan, well: str, failure: WellFailure) -> None:
    """Commit a well without images, with empty files and the reason in its manifest."""
    turn = Turn(job.plate_dir, well)
    read_digest = digest_of_read(job.plate_dir, plan, well)

    def confirm() -> None:
        turn.check()
        job.read_step_plan(well)
        forget_manifest(job.plate_dir, plan.step_name, well)
        write_read_record(job.plate_dir, plan.step_name, well, read_digest)

    files = empty_files(plan, well)
    manifest = Manifest(
        digest=plan_digest(plan),
        failure=failure,
        step=plan.step_name,
        well=well,
        inputs={},
        functions={function.ref: function.versions for function in plan.functions},
        images=(),
        files={
            path: FileRecord(digest=digest_bytes(content), size_bytes=len(content))
            for path, content in files.items()
        },
    )
    with turn:
        if plan.store is not None:
            write_kept_images(job, plan, well, (), {}, job.cache, confirm)
        confirm()
        commit(job, manifest, files)
    logger.info("well %s is left out: step %r failed", well, failure.step)
