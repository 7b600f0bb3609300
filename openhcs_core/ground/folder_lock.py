"""One writer at a time in a folder."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_LOCKS = frozenset({errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP, errno.EIO})
"""What file systems say that lock no folders, such as NFS: it wants a file open for writing."""


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, waiting for whoever has it; created where it is absent.

    The kernel lets go of it when its holder dies, and no file is left. On a file system without
    locks for folders nobody waits: there callers see to it that a folder has one writer, as
    jobs do by taking turns.

    Parameters
    ----------
    folder : Path
        What is going to be changed.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _lock(descriptor)
            if not _is_still(folder, descriptor):  # another took its place meanwhile
                continue
            yield
            return
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _is_still(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
