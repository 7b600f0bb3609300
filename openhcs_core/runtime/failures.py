"""Why a job failed: a record beside its log, gone when the job is tried again."""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from openhcs_core.config import FrozenModel, run_of_this_job
from openhcs_core.errors import (
    EXIT_DATA,
    EXIT_DEFECT,
    EXIT_FUNCTION,
    EXIT_STOPPED,
    InputDataError,
    OpenHCSError,
    StepFunctionError,
    SupersededError,
)
from openhcs_core.plan import PLATE_TARGET, failure_path
from openhcs_core.planes import WELL_REGEX
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.read_records import digest_of_read
from openhcs_core.storage import naming_full_disk, replace_file

logger = logging.getLogger(__name__)

_LASTING = {EXIT_DATA: InputDataError, EXIT_FUNCTION: StepFunctionError}
"""Failures that the same job has again, by exit code."""


class Failure(FrozenModel):
    """How a job ended.

    Attributes
    ----------
    digest : str or None
        Digest of the plan it was started for; a failure of another plan is history.
    exit_code : int
        As ``openhcs-core run-step`` returned it.
    message : str
        For people.
    run : str
        The run that the job was of; empty where it was started by hand.
    read : str
        Digest of what it read, where that is known.
    """

    digest: str | None
    exit_code: int
    message: str
    run: str = ""
    read: str = ""


@contextmanager
def recorded(job: Job, target: str) -> Iterator[None]:
    """Record it when the block raises; what an earlier attempt recorded is removed first.

    An attempt that failed for good in this run (bad data, a function that raises), with the
    same plan and input, is not repeated.

    Parameters
    ----------
    job : Job
        Plate, step and digest.
    target : str
        The well, the table's file name, or ``"store"``.
    """
    path = job.plate_dir / failure_path(job.step, target)
    _refuse_again(job, target)
    path.unlink(missing_ok=True)
    try:
        with naming_full_disk(job.plate_dir):
            yield
    except SupersededError:
        raise  # what comes of this target is up to the run that took over
    except OpenHCSError as error:
        record_failure(job, target, error.exit_code, str(error))
        raise
    except KeyboardInterrupt:
        _write(path, Failure(digest=job.digest, exit_code=EXIT_STOPPED, message="stopped"))
        raise
    except Exception as error:
        message = f"defect of openhcs-core: {type(error).__name__}: {error}"
        _write(path, Failure(digest=job.digest, exit_code=EXIT_DEFECT, message=message))
        raise


def record_failure(job: Job, target: str, exit_code: int, message: str) -> None:
    """Record how a job ended."""
    failure = Failure(
        digest=job.digest,
        exit_code=exit_code,
        message=message,
        run=_this_run(),
        read=_read_digest(job, target),
    )
    _write(job.plate_dir / failure_path(job.step, target), failure)


def _refuse_again(job: Job, target: str) -> None:
    """Raise what an equal attempt of this run has raised."""
    earlier = read_failure(job.plate_dir, job.step, target)
    kind = None if earlier is None else _LASTING.get(earlier.exit_code)
    if earlier is None or kind is None or not (earlier.run and earlier.read and earlier.digest):
        return
    same = (earlier.run, earlier.digest, earlier.read)
    if same == (_this_run(), job.digest, _read_digest(job, target)):
        logger.info("an attempt of this run has failed for good; it is not repeated")
        raise kind(earlier.message)


def _this_run() -> str:
    return run_of_this_job() or ""


def _read_digest(job: Job, target: str) -> str:
    """Return the digest of what a step's job reads now, nothing for other jobs."""
    if target != PLATE_TARGET and re.fullmatch(WELL_REGEX, target) is None:
        return ""
    try:
        return digest_of_read(job.plate_dir, job.read_step_plan(target), target)
    except OpenHCSError:
        return ""


def record_lost(job: Job, target: str, exit_code: int, message: str) -> None:
    """Record the failure of a job whose process is gone, unless it has done so itself."""
    path = job.plate_dir / failure_path(job.step, target)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, Failure(digest=job.digest, exit_code=exit_code, message=message))


def read_failure(plate_dir: Path, step: str, target: str) -> Failure | None:
    """Return what a job recorded, None when it did not fail or left nothing readable."""
    try:
        return Failure.model_validate_json((plate_dir / failure_path(step, target)).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _write(path: Path, failure: Failure) -> None:
    try:
        with replace_file(path, durable=False) as stream:
            stream.write(json.dumps(failure.model_dump(), ensure_ascii=False, indent=1).encode())
    except OSError as error:  # the job's own error says more than a full disk here
        logger.warning("the failure could not be recorded in %s: %s", path, error)
