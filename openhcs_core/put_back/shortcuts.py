"""Shortcuts: beside a job's record in the cache, what has to be the same for its result to be."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from openhcs_core import __version__
from openhcs_core.ground.atomic import replace_file
from openhcs_core.ground.canonical import canonical_json, digest_bytes

SHORTCUT = ".shortcut"
"""Ending of a shortcut's name, which begins with that of its record."""

_FORMAT = 1
_READ_ONLY = 0o444
MAKER = [_FORMAT, __version__, *sys.version_info[:2]]
"""What has written a shortcut: one of another maker is not taken."""


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
    write_fields(folder, shortcut._asdict(), f"{shortcut.record}-")


def write_fields(folder: Path, fields: dict[str, Any], name: str = "") -> None:
    """Write a shortcut of any kind, see :func:`write_shortcut`; its name ends in its digest."""
    content = canonical_json({"made by": MAKER, **fields}).encode()
    path = folder / f"{name}{digest_bytes(content)}{SHORTCUT}"
    if not path.exists():
        with replace_file(path, durable=False) as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), os.fstat(stream.fileno()).st_mode & _READ_ONLY)


def check_shortcut(path: Path) -> str | None:
    """Return what is wrong with a shortcut, None when its content is what its name says."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"damaged ({error})"
    return None if _is_whole(path, content) else f"a file of digest {digest_bytes(content)}"


def _is_whole(path: Path, content: bytes) -> bool:
    return path.stem.rpartition("-")[2] == digest_bytes(content)


def find_shortcut(folder: Path, is_same: Callable[[Shortcut], bool]) -> Shortcut | None:
    """Return the shortcut of a folder for which everything is the same, None without one."""
    return next(filter(is_same, (Shortcut(**fields) for fields in read_shortcuts(folder))), None)


def read_shortcuts(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the fields of each whole shortcut of a folder that this software has written."""
    for path in sorted(folder.glob(f"*{SHORTCUT}")):
        try:
            content = path.read_bytes()
        except OSError:  # removed meanwhile
            continue
        if not _is_whole(path, content):
            continue
        fields = json.loads(content)
        if fields.pop("made by", None) == MAKER:
            yield fields
