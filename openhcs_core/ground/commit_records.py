"""The files beside a result that say what it is: its manifest, and what it was made from."""

import json
from pathlib import Path
from typing import Any

from openhcs_core.ground.atomic import replace_file
from openhcs_core.ground.paths import aside_path, manifest_path

PARTIAL_KEYS = ("failure", "left_out")
"""Stand in a manifest only where a well failed, or where a plate is without such wells."""

_READ_FOLDER = ".plan/read"
_HEAD_BYTES = 64


def encode_manifest_data(data: dict[str, Any]) -> bytes:
    """Return the bytes of a manifest's file, from its fields in their order."""
    shown = {key: value for key, value in data.items() if value or key not in PARTIAL_KEYS}
    return (json.dumps(shown, indent=1, ensure_ascii=False) + "\n").encode()


def forget_manifest(plate_dir: Path, step: str, well: str) -> None:
    """Remove the manifest of an earlier result, which is about to be changed, wherever it lies."""
    (plate_dir / manifest_path(step, well)).unlink(missing_ok=True)
    (plate_dir.parent / aside_path(plate_dir.name, step, well)).unlink(missing_ok=True)


def manifest_beginning(path: Path) -> str:
    """Return the first characters of a manifest, none of one that cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(_HEAD_BYTES).decode(errors="replace")
    except OSError:
        return ""


def begins_partial(beginning: str) -> bool:
    """Return whether a manifest that begins so is of a well that failed, or without such wells."""
    return any(f'"{key}"' in beginning for key in PARTIAL_KEYS)


def write_read_record(plate_dir: Path, step: str, well: str, digest: str) -> None:
    """Say what the result that is about to be committed was made from."""
    with replace_file(read_record_path(plate_dir, step, well), durable=False) as stream:
        stream.write(digest.encode())


def read_record_path(plate_dir: Path, step: str, well: str) -> Path:
    """Return where it is said what a result was made from."""
    return plate_dir.parent / _READ_FOLDER / plate_dir.name / step / well
