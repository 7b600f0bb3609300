"""What the system refuses is named by the file people know, with what to do about it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openhcs_core.errors import DiskFullError, OpenHCSError, StorageAccessError
from openhcs_core.ground.disk_space import FULL, describe_full_disk

_NAMELESS = frozenset({errno.EIO, errno.EFBIG, errno.EROFS, errno.ESTALE, errno.ENXIO})
"""Of writing into a file that is open: the system names none then."""

_REMEDIES = {
    errno.EROFS: "its disk is mounted for reading only: choose another folder",
    errno.EFBIG: "its disk does not take files of this size: choose another folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "it is a folder: choose another name",
}
_CHECK_PERMISSIONS = "check owner and permissions of it and its folder"


@contextmanager
def naming_target(path: Path, *others: Path, action: str = "written") -> Iterator[None]:
    """Name `path` when the system does not let it be written, moved or removed.

    Errors of other files than `path`, its folders and `others` pass.

    Parameters
    ----------
    path : Path
        What the block makes or changes, under the name that people know.
    *others : Path
        Other names for it, such as a temporary one, and what is in them.
    action : str
        What is done to it, for the message.

    Raises
    ------
    StorageAccessError
        The system refuses.
    DiskFullError
        There is no room for it.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, OpenHCSError) or not _concerns(error, path, others):
            raise
        if error.errno in FULL:
            raise DiskFullError(describe_full_disk(path)) from error
        raise access_error(path, error, action) from error


def is_there(path: Path) -> bool:
    """Return whether there is a file, folder or link, unlike `os.path.lexists` not guessing.

    Raises
    ------
    OSError
        The system does not say.
    """
    try:
        path.lstat()
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
            return False
        raise
    return True


def access_error(path: Path, error: OSError, action: str = "written") -> StorageAccessError:
    """Return the error for a file or folder that the system keeps from being `action`."""
    is_blocked = error.errno in {errno.ENOTDIR, errno.EEXIST}
    blocked = next((folder for folder in path.parents if is_blocked and folder.is_file()), None)
    if blocked is not None:
        return StorageAccessError(
            f"{path}: cannot be {action}: {blocked} is a file, not a folder; choose another name"
        )
    remedy = _REMEDIES.get(error.errno or 0, _CHECK_PERMISSIONS)
    return StorageAccessError(f"{path}: cannot be {action}: {error.strerror or error}; {remedy}")


def _concerns(error: OSError, path: Path, others: tuple[Path, ...]) -> bool:
    if error.filename is None:
        return error.errno in _NAMELESS
    named = Path(str(error.filename))
    return named in (path, *path.parents) or any(named.is_relative_to(other) for other in others)
