"""Generated files: written when their content changes, compared otherwise."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openhcs_core.storage import replace_file

PLAN_INDEX, RULES = "plan.json", "rules.smk"


def write_files(files: Mapping[str, str]) -> list[str]:
    """Write the files whose content changes, each in one step; return their paths."""
    changed = changed_files(files)
    for path in changed:
        with replace_file(path, durable=False) as stream:
            stream.write(files[path].encode())
    return changed


def plan_records(results: Path, plate: str) -> list[Path]:
    """Return the folders below ``.plan`` that are about one plate."""
    try:
        kinds = sorted((results / ".plan").iterdir())
    except FileNotFoundError:
        return []
    return [kind / plate for kind in kinds if (kind / plate).is_dir()]


def changed_files(files: Mapping[str, str]) -> list[str]:
    """Return the paths whose content is not what it should be."""
    return [path for path, text in files.items() if not holds(Path(path), text)]


def changed_plans(files: Mapping[str, str]) -> list[str]:
    """Return the paths whose content is another one, what is only predicted apart.

    Predictions get better while a run goes on; it is the same run for all that.
    """
    return [
        path
        for path in changed_files(files)
        if Path(path).name != PLAN_INDEX or _planned(files[path]) != _planned(_text(Path(path)))
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _planned(text: str) -> Any:
    """Return what a plan index plans; the text itself where that is none."""
    try:
        index = json.loads(text)
    except json.JSONDecodeError:
        return text
    for plate in index["plates"].values():
        for key in ("predictions", "resources"):
            plate.pop(key, None)
    return index


def holds(path: Path, text: str) -> bool:
    """Return whether a file has just this content."""
    try:
        return path.read_bytes() == text.encode()
    except (FileNotFoundError, NotADirectoryError):
        return False
