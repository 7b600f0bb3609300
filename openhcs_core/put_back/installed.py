"""Versions of installed libraries, as ``importlib.metadata`` has them but without importing it."""

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

_ENDINGS = (".dist-info", ".egg-info")


def has_versions(planned: Iterable[tuple[str, str]]) -> bool:
    """Return whether libraries are installed in just these versions.

    False also where that is not plain to see, as of libraries without ``.dist-info``.
    """
    expected = {_normalized(name): version for name, version in planned}
    found: dict[str, str | None] = {}
    for folder in sys.path:
        missing = expected.keys() - found.keys()
        if not missing:
            break
        found |= _read_versions(Path(folder or "."), missing)
    return found == expected


def _read_versions(folder: Path, names: Iterable[str]) -> dict[str, str | None]:
    """Return the versions that a folder of libraries has of some of them."""
    try:
        entries = os.listdir(folder)  # noqa: PTH208  names are all that is needed, of hundreds
    except OSError:  # no folder: an archive, or nothing
        return {}
    wanted, found = frozenset(names), dict[str, list[str]]()
    for entry in entries:
        if entry.lower().endswith(_ENDINGS):
            name = _normalized(entry.rpartition(".")[0].partition("-")[0])
            if name in wanted:
                found.setdefault(name, []).append(entry)
    return {name: _read_version(folder, among) for name, among in found.items()}


def _read_version(folder: Path, entries: list[str]) -> str | None:
    if len(entries) != 1 or not entries[0].endswith(".dist-info"):
        return None
    try:
        text = (folder / entries[0] / "METADATA").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    for line in text.splitlines():
        if not line:
            break
        key, _, value = line.partition(":")
        if key.lower() == "version":
            return value.strip()
    return None


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
