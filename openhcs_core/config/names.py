"""What plates, steps and folders may be called."""

import re

from openhcs_core.ground.texts import is_text

_NAME = re.compile(r"[\w+\-()][\w+\-.() ]*")
_RESERVED = frozenset({"all"})
_LONGEST_NAME_BYTES = 100
_LONGEST_PART_BYTES, _LONGEST_PATH_BYTES = 255, 2000
"""Of paths: what file systems take, and what leaves room for names below a folder."""


def check_name(name: str) -> str:
    """Return `name` if files and rules can be called so.

    Raises
    ------
    ValueError
        They cannot; the message says what they can be called.
    """
    if _NAME.fullmatch(name) is None or name != name.strip():
        raise ValueError(
            f"{name!r} cannot be a file and rule name; use letters, digits, space and _.+-() "
            "and begin with none of space and dot"
        )
    if name.lower() in _RESERVED or name.lower().endswith((".json", ".zarr")):
        raise ValueError(f"{name!r} is a name of ours; choose another, without .json or .zarr")
    if len(name.encode()) > _LONGEST_NAME_BYTES:
        raise ValueError(f"a name of {len(name.encode())} bytes; use {_LONGEST_NAME_BYTES} at most")
    return name


def check_path(path: str) -> str:
    """Return `path` if a file can have it.

    Raises
    ------
    ValueError
        It cannot.
    """
    if not path or "\0" in path or not is_text(path):
        raise ValueError(f"{path!r} is empty or has a NUL or half a character; give a path")
    part = max(path.split("/"), key=lambda name: len(name.encode()))
    if len(part.encode()) > _LONGEST_PART_BYTES:
        raise ValueError(
            f"{part[:20]}… has {len(part.encode())} bytes; a name in a path has "
            f"{_LONGEST_PART_BYTES} at most"
        )
    if len(path.encode()) > _LONGEST_PATH_BYTES:
        raise ValueError(f"a path of {len(path.encode())} bytes; use {_LONGEST_PATH_BYTES} at most")
    return path
