"""Where jobs that are put back find things, and what they say."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from openhcs_core.ground.canonical import canonical_json, digest_text
from openhcs_core.ground.paths import LOCATION


class Place(NamedTuple):
    """Where a job's plate and cache are; the plate's results are in `folder`."""

    folder: Path
    plate: str
    cache: Path
    modules: dict[str, str]
    plate_map: str | None


def read_place(plate_dir: Path) -> Place:
    """Return the place of a plate's jobs."""
    location = json.loads((plate_dir / LOCATION).read_bytes())
    plate, cache = location["plate_path"], Path(location["cache_dir"])
    return Place(plate_dir, plate, cache, location.get("functions", {}), location.get("plate_map"))


def read_plan(path: Path) -> tuple[dict[str, Any], str]:
    """Return a plan and its digest, as its file has it."""
    plan: dict[str, Any] = json.loads(path.read_bytes())
    return plan, digest_text(canonical_json(plan))


def begin_log(path: Path | None) -> None:
    """Begin a job's log anew."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def end_log(path: Path | None, *messages: str) -> None:
    """Write a log's lines as ``logging`` does, whose settings are those of the whole process."""
    if path is None:
        return
    now = time.time()
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    lines = "".join(f"{at},{int(now % 1 * 1000):03d} INFO {message}\n" for message in messages)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(lines)
