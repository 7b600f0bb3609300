"""Wells that failed have jobs of their own in the next run, so that others go on without them."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from openhcs_core.errors import DiskFullError
from openhcs_core.plan import PlatePlan, readable_json
from openhcs_core.storage import replace_file

logger = logging.getLogger(__name__)

_FOLDER = ".plan/apart"


def remember_failed(results: str, failed: Mapping[str, Sequence[str]]) -> None:
    """Write down which wells failed in batches, of the plates that are named."""
    for plate, wells in failed.items():
        path = _path(results, plate)
        if not wells:
            path.unlink(missing_ok=True)
            continue
        try:
            with replace_file(path, durable=False) as stream:
                stream.write(readable_json(list(wells)).encode())
        except DiskFullError as error:  # the wells fail with their batches again
            logger.warning("which wells failed could not be written: %s", error)


def with_failed_apart(plate: PlatePlan, results: str) -> PlatePlan:
    """Give wells that failed in the last run batches of their own."""
    if not plate.batches:
        return plate
    failed = _read_failed(results, plate.name)
    batches: list[tuple[str, ...]] = []
    for batch in plate.batches:
        parts = [tuple(well for well in batch if well not in failed)]
        parts += [(well,) for well in batch if well in failed]
        batches += filter(None, parts)
    return plate.model_copy(update={"batches": tuple(batches)})


def _read_failed(results: str, plate: str) -> list[str]:
    try:
        found = json.loads(_path(results, plate).read_bytes())
    except (FileNotFoundError, json.JSONDecodeError):
        return []
    return found if isinstance(found, list) else []


def _path(results: str, plate: str) -> Path:
    return Path(results, _FOLDER, f"{plate}.json")
