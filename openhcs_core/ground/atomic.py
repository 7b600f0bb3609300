"""Files that appear whole or not at all."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from openhcs_core.errors import StorageResolutionError
from openhcs_core.ground.disk_space import naming_full_disk
from openhcs_core.ground.system_errors import naming_target

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
    StorageAccessError
        The system does not let it be written.
    """
    path = Path(path)
    temporary = path.with_name(temporary_name())
    try:
        with naming_full_disk(path), naming_target(path, temporary):
            path.parent.mkdir(parents=True, exist_ok=True)
            # tempfile would make the file readable by its owner alone; this one heeds the umask.
            with temporary.open("x+b") as stream:
                yield stream
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
            temporary.replace(path)
    except BaseException:
        _remove(temporary)
        raise


@dataclass(slots=True)
class _Written:
    """A file under its temporary name; `before` is a second name of the one it replaces."""

    temporary: Path
    path: Path
    before: Path | None = None
    is_placed: bool = False


def replace_files(files: Iterable[tuple[Path, Callable[[BinaryIO], None]]]) -> None:
    """Write several files: all under temporary names first, then each takes its final name.

    An error leaves every final name as it was: of files that are replaced a hard link is kept
    until the last name is taken (on file systems without hard links, an error at that stage
    leaves some replaced). A kill may leave some replaced and others not, each of them whole.

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
        A final name is a folder's, or the system does not let a file be written.
    """
    written: list[_Written] = []
    try:
        for path, write in files:
            written.append(_Written(path.with_name(temporary_name()), path))
            _write_temporary(written[-1], write)
        _refuse_folders(file.path for file in written)
        for file in written:
            _place(file)
    except BaseException:
        for file in reversed(written):
            _undo(file)
        raise
    for file in written:
        if file.before is not None:
            _remove(file.before)


def _write_temporary(file: _Written, write: Callable[[BinaryIO], None]) -> None:
    with naming_full_disk(file.path), naming_target(file.path, file.temporary):
        file.path.parent.mkdir(parents=True, exist_ok=True)
        with file.temporary.open("x+b") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())


def _place(file: _Written) -> None:
    before = file.path.with_name(temporary_name())
    with contextlib.suppress(OSError):  # nothing there, or no hard links here
        os.link(file.path, before, follow_symlinks=False)
        file.before = before
    with naming_target(file.path, file.temporary):
        file.temporary.replace(file.path)
    file.is_placed = True


def _undo(file: _Written) -> None:
    with contextlib.suppress(OSError):  # the error that led here says more
        if file.is_placed and file.before is not None:
            file.before.replace(file.path)
        elif file.is_placed:
            file.path.unlink()
    for left in (file.temporary, file.before):
        if left is not None:
            _remove(left)


def _remove(temporary: Path) -> None:
    """Remove a temporary file where the system lets us; the error under way says more."""
    with contextlib.suppress(OSError):
        temporary.unlink()


def _refuse_folders(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            raise StorageResolutionError(f"{path}: is a folder; save under another name")
