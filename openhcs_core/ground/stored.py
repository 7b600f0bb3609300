"""Files of the cache that are put back: where they are, and whether they are as stored."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from openhcs_core.errors import StorageAccessError
from openhcs_core.ground.links import link_or_copy

JOBS_FOLDER, FILES_FOLDER, IMAGES_FOLDER = "jobs", "files", "images"
"""Of the cache: records, declared files, files of kept images."""


class CacheRemovedError(Exception):
    """A file of the cache was removed while it was put back: its job has to compute."""


def job_folder(root: Path, plan_digest: str, well: str) -> Path:
    """Return where the records of the jobs of a plan and well are."""
    return root / JOBS_FOLDER / plan_digest[:2] / plan_digest / well


def stored_path(folder: Path, digest: str) -> Path:
    """Return where the file of a digest is or would be."""
    return folder / digest[:2] / digest


def is_inside(name: str) -> bool:
    """Return whether a path of a record stays below the folder that it is meant for."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def read_whole(path: Path, digest: str, digest_of: Callable[[bytes], str]) -> bytes | None:
    """Return the content of a stored file, None when it is gone or damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if digest_of(content) == digest else None


def is_as_stored(path: Path, size_bytes: int, mtime_ns: int, inode: int | None) -> bool:
    """Return whether a file is the very one that was stored, as far as that is told unread."""
    try:
        found = path.stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns, found.st_ino) == (size_bytes, mtime_ns, inode)


def mark_used(record: Path) -> None:
    """Note that a job's record was of use just now, for what is removed first goes by that."""
    # not of another user, whose files only they may change, and not where it was just removed
    with suppress(PermissionError, FileNotFoundError):
        os.utime(record)


def place_files(sources: Mapping[str, Path], folder: Path) -> None:
    """Put stored files into a folder, by hard links where these can be.

    Parameters
    ----------
    sources : mapping
        Path below `folder` to stored file.

    Raises
    ------
    CacheRemovedError
        One was removed since it was looked for.
    """
    for name, source in sources.items():
        try:
            link_or_copy(source, folder / name)
        except (FileNotFoundError, StorageAccessError) as error:
            if source.exists():
                raise
            raise CacheRemovedError(source) from error
