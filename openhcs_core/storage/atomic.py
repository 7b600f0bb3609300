"""Files that appear whole or not at all."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from openhcs_core.errors import StorageResolutionError
from openhcs_core.storage.disk_space import naming_full_disk

TEMPORARY_PREFIX = ".tmp-"
"""How unfinished files and folders begin; listings leave hidden names out."""


TEMPORARY_NAME = re.compile(r"\.tmp-(?:.+-)?[0-9a-f]{16}")
"""Names that :func:`temporary_name` gives, and those with more between."""


def temporary_name() -> str:
    """Return a hidden name that nobody else uses."""
    return TEMPORARY_PREFIX + os.urandom(8).hex()


@contextmanager
def replace_file(path: str | Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of `path` when the block ends well.

    The content is on disk (fsync) before the name changes, so neither a kill nor a
    power cut leaves a torn file under the final name. When the block raises, the
    temporary file is removed and `path` is as it was.

    Parameters
    ----------
    path : str or Path
        Final name; parent folders are created where they are absent.
    durable : bool
        Wait until the content is on disk. Without it a kill is survived, a power cut is not:
        for files that are compared with what they should be and written again.

    Yields
    ------
    BinaryIO
        Open for reading and writing, in the folder of `path`.

    Raises
    ------
    DiskFullError
        There is no room for it.
    """
    path = Path(path)
    temporary = path.with_name(temporary_name())
    try:
        with naming_full_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # tempfile would make the file readable by its owner alone; this one heeds the umask.
            with temporary.open("x+b") as stream:
                yield stream
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_files(files: Iterable[tuple[Path, Callable[[BinaryIO], None]]]) -> None:
    """Write several files: all under temporary names first, then each takes its final name.

    An error while they are written leaves every final name as it was.

    Parameters
    ----------
    files : iterable of (Path, callable)
        Final name, and what writes the content into an open file; one after the other. Parent
        folders are created where they are absent.

    Raises
    ------
    DiskFullError
        There is no room for them.
    StorageResolutionError
        A final name is a folder's.
    """
    written: list[tuple[Path, Path]] = []
    try:
        for path, write in files:
            written.append((path.with_name(temporary_name()), path))
            _write_temporary(*written[-1], write)
        _refuse_folders(path for _, path in written)
        for temporary, path in written:
            temporary.replace(path)
    except BaseException:
        for temporary, _ in written:
            temporary.unlink(missing_ok=True)
        raise


def _write_temporary(temporary: Path, path: Path, write: Callable[[BinaryIO], None]) -> None:
    with naming_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("x+b") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())


def _refuse_folders(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir():
            raise StorageResolutionError(f"{path}: is a folder; save under another name")
