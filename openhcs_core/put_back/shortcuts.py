"""Shortcuts: beside a job's record in the cache, what has to be the same for its result to be."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from openhcs_core import __version__
from openhcs_core.ground.atomic import replace_file
from openhcs_core.ground.canonical import canonical_json, digest_bytes

SHORTCUT = ".shortcut"
"""Ending of a shortcut's name, which begins with that of its record."""

_FORMAT = 1
_MAKER = [_FORMAT, __version__, *sys.version_info[:2]]


class Shortcut(NamedTuple):
    """What decided the result of a job of one plan and well, and which result that is.

    Attributes
    ----------
    record : str
        Stem of the record's name in the same folder.
    manifest : str
        Digest of the bytes of the manifest that the job committed.
    read_record : str
        What is said beside the result that it was made from.
    read : dict
        Files that say what it read, and special values, by path below the plate's results: digest
        of their bytes.
    plate : str or None
        Where the plate's images are; None where it reads none of these.
    modules : dict
        By library: digest of each file of a user module's code, by path beside the module.
    """

    record: str
    manifest: str
    read_record: str
    read: dict[str, str]
    plate: str | None
    modules: dict[str, dict[str, str]]


def write_shortcut(folder: Path, shortcut: Shortcut) -> None:
    """Leave a shortcut in the folder of its record, unless it is there.

    Raises
    ------
    DiskFullError
        There is no room for it.
    StorageAccessError
        The system does not let it be written, as in a cache that others own.
    """
    content = canonical_json({"made by": _MAKER, **shortcut._asdict()}).encode()
    path = folder / f"{shortcut.record}-{digest_bytes(content)}{SHORTCUT}"
    if not path.exists():
        with replace_file(path, durable=False) as stream:
            stream.write(content)


def find_shortcut(folder: Path, is_same: Callable[[Shortcut], bool]) -> Shortcut | None:
    """Return the shortcut of a folder for which everything is the same, None without one."""
    return next(filter(is_same, _read_all(folder)), None)


def _read_all(folder: Path) -> Iterator[Shortcut]:
    for path in sorted(folder.glob(f"*{SHORTCUT}")):
        try:
            content = path.read_bytes()
        except OSError:  # removed meanwhile
            continue
        if path.stem.rpartition("-")[2] != digest_bytes(content):  # damaged
            continue
        fields = json.loads(content)
        if fields.pop("made by", None) == _MAKER:
            yield Shortcut(**fields)
