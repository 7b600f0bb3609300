"""Why a job failed: a record beside its log, gone when the job is tried again."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from openhcs_core.config import FrozenModel
from openhcs_core.errors import EXIT_DEFECT, EXIT_STOPPED, OpenHCSError, SupersededError
from openhcs_core.plan import failure_path
from openhcs_core.runtime.job import Job
from openhcs_core.storage import naming_full_disk, replace_file

logger = logging.getLogger(__name__)


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
    """

    digest: str | None
    exit_code: int
    message: str


@contextmanager
def recorded(job: Job, target: str) -> Iterator[None]:
    """Record it when the block raises; what an earlier attempt recorded is removed first.

    Parameters
    ----------
    job : Job
        Plate, step and digest.
    target : str
        The well, the table's file name, or ``"store"``.
    """
    path = job.plate_dir / failure_path(job.step, target)
    path.unlink(missing_ok=True)
    try:
        with naming_full_disk(job.plate_dir):
            yield
    except SupersededError:
        raise  # what comes of this target is up to the run that took over
    except OpenHCSError as error:
        _write(path, Failure(digest=job.digest, exit_code=error.exit_code, message=str(error)))
        raise
    except KeyboardInterrupt:
        _write(path, Failure(digest=job.digest, exit_code=EXIT_STOPPED, message="stopped"))
        raise
    except Exception as error:
        message = f"defect of openhcs-core: {type(error).__name__}: {error}"
        _write(path, Failure(digest=job.digest, exit_code=EXIT_DEFECT, message=message))
        raise


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
