"""What jobs did because memory had run out: a record beside the log, gone at the next try.

It is no part of the manifest: the result is the same, whatever it took.
"""

import json
import logging
from pathlib import Path

from pydantic import ValidationError

from openhcs_core.config import FrozenModel
from openhcs_core.plan import fallbacks_path
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.out_of_memory import FallbackUse
from openhcs_core.storage import replace_file

logger = logging.getLogger(__name__)


class FallbackRecord(FrozenModel):
    """What a job did because memory had run out.

    Attributes
    ----------
    digest : str or None
        Digest of the plan it was started for.
    uses : tuple of FallbackUse
        In the order they were made.
    """

    digest: str | None
    uses: tuple[FallbackUse, ...]


class FallbackNotes:
    """Collects what a job does, and writes it down at once: a job may be killed in between.

    Parameters
    ----------
    job : Job
        Plate, step and digest.
    well : str
        E.g. ``"B02"``.
    """

    def __init__(self, job: Job, well: str) -> None:
        self._path = job.plate_dir / fallbacks_path(job.step, well)
        self._digest = job.digest
        self._uses: list[FallbackUse] = []

    def forget_earlier(self) -> None:
        """Remove what an earlier try noted."""
        self._path.unlink(missing_ok=True)

    def add(self, use: FallbackUse) -> None:
        """Note one more."""
        self._uses.append(use)
        record = FallbackRecord(digest=self._digest, uses=tuple(self._uses))
        try:
            with replace_file(self._path, durable=False) as stream:
                text = json.dumps(record.model_dump(), ensure_ascii=False, indent=1)
                stream.write(text.encode())
        except OSError as error:  # the log has it too
            logger.warning("it could not be recorded in %s: %s", self._path, error)


def read_fallbacks(plate_dir: Path, step: str, well: str) -> FallbackRecord | None:
    """Return what a job noted, None when that is nothing, or nothing readable."""
    try:
        path = plate_dir / fallbacks_path(step, well)
        return FallbackRecord.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
