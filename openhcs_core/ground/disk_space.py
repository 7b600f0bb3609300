"""A full disk is named: which one it is, and how much room it has."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openhcs_core.errors import DiskFullError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The system's codes for a disk or quota without room."""

_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
"""How numpy says that a file took a part of an array only; it leaves the system's code out."""
_MB = 1e6


@contextmanager
def naming_full_disk(path: str | Path) -> Iterator[None]:
    """Say which disk is full when the block meets one.

    Parameters
    ----------
    path : str or Path
        What the block writes, or where it does; need not exist.

    Raises
    ------
    DiskFullError
        The disk is full or a quota is reached.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL and _SHORT_WRITE.search(str(error)) is None:
            raise
        raise DiskFullError(describe_full_disk(error.filename or path)) from error


def describe_full_disk(path: str | Path) -> str:
    """Return the message for a file that has no room on its disk."""
    folder = Path(path).absolute()
    while not folder.exists():
        folder = folder.parent
    disk = os.statvfs(folder)
    free, size = (blocks * disk.f_frsize / _MB for blocks in (disk.f_bavail, disk.f_blocks))
    return (
        f"{path}: No space left on its disk ({free:.1f} of {size:.1f} MB free) or within your "
        "quota; what is finished is kept: make room and run again"
    )
