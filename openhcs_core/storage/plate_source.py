"""What every plate's files are reached through, and which paths are in it."""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Protocol

from openhcs_core.errors import ConfigError, InputDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://")


class FileStatus(Protocol):
    """What :class:`os.stat_result` says, as far as a plate's index records it."""

    @property
    def st_size(self) -> int | None:
        """Size in bytes; None where a server does not tell."""

    @property
    def st_mtime_ns(self) -> int | str | None:
        """Modification time in ns; an object's ETag; None where a server tells neither."""


class Entry(Protocol):
    """An entry of a folder, as :class:`os.DirEntry` is one."""

    @property
    def name(self) -> str:
        """Its name in the folder."""

    def is_dir(self) -> bool:
        """Return whether it is a folder."""

    def stat(self) -> FileStatus:
        """Return size and time; raises `OSError` for a link to nothing."""


class PlateSource(ABC):
    """The files of one plate. Paths are relative to it, with ``/``; ``""`` is the plate itself.

    A plane of a zarr array has a path too, ``A/01/0/0/[0,1,2]``, for `status`, `exists`,
    `locate` and `load`.

    Attributes
    ----------
    name : str
        Its folder or URL, for messages; it holds no credentials.
    reader_threads : int
        How many images are best read at once.
    """

    reader_threads: ClassVar[int]

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def check(self) -> None:
        """Raise unless the plate is a folder with something in it.

        Raises
        ------
        ConfigError
            There is no such folder.
        InputDataError
            It is empty or cannot be listed.
        """

    @abstractmethod
    def list_folder(self, folder: str) -> Sequence[Entry]:
        """Return what is in a folder, in no order.

        Raises
        ------
        InputDataError
            It cannot be listed.
        """

    @abstractmethod
    def folder_identity(self, folder: str) -> Hashable:
        """Return what two paths of one folder have in common: links may form a ring.

        Raises
        ------
        InputDataError
            A link leads out of the plate: to follow it may mean to list a whole disk.
        """

    def check_links(self, paths: Iterable[str]) -> None:
        """Raise when one of these images is a link out of the plate, which jobs do not follow.

        Only folders that were listed are known.

        Raises
        ------
        InputDataError
            One is.
        """
        del paths  # behind a URL there are no links

    @abstractmethod
    def status(self, path: str) -> FileStatus:
        """Return size and time of a file.

        Raises
        ------
        OSError
            It is not there, or cannot be looked at.
        """

    @abstractmethod
    def open(self, path: str) -> BinaryIO:
        """Open a file for reading some of it, at any place.

        Raises
        ------
        OSError, InputDataError
            It cannot be read.
        """

    @abstractmethod
    def locate(self, path: str) -> "Path | str":
        """Return a file's path, or its URL where it has none; that of a file here is checked.

        Raises
        ------
        InputDataError
            It lies outside of the plate, or is not there.
        """

    @abstractmethod
    def content(self, path: str) -> "Path | BinaryIO":
        """Return a file to read as a whole: its path, or its bytes where it has none.

        Raises
        ------
        InputDataError
            It lies outside of the plate, is missing or unreadable.
        """

    @abstractmethod
    def load(self, path: str, **options: Any) -> "NDArray[Any]":
        """Read one image.

        Raises
        ------
        InputDataError
            See :meth:`content`, or it is no image.
        """

    def exists(self, path: str) -> bool:
        """Return whether there is such a file in the plate."""
        try:
            self.locate(path)
        except InputDataError:
            return False
        return True

    def is_there(self) -> bool:
        """Return whether the plate can be listed."""
        try:
            self.check()
        except (ConfigError, InputDataError):
            return False
        return True

    def where(self, path: str) -> str:
        """Return what messages call a file."""
        return f"{self.name}/{path}"

    def read(self, path: str, most: int) -> bytes:
        """Return the first `most` bytes of a file.

        Raises
        ------
        InputDataError
            It cannot be read.
        """
        try:
            with self.open(path) as file:
                return file.read(most)
        except OSError as error:
            raise InputDataError(
                f"{self.where(path)} cannot be read: {error.strerror or error}"
            ) from error


def is_folder(entry: Entry) -> bool:
    """Return whether an entry is a folder; a link to itself, or to nothing, is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_url(plate: str | Path) -> bool:
    """Return whether a plate is named by a URL rather than a path."""
    return isinstance(plate, str) and _SCHEME.match(plate) is not None


def check_inside(path: str, root: str) -> None:
    """Raise unless `path`, relative to a plate, names something in it by its spelling.

    Raises
    ------
    InputDataError
        It is absolute, or climbs with ``..``.
    """
    if not is_inside(path):
        raise outside_error(path, root)


def is_inside(path: str) -> bool:
    """Return whether `path` is relative and does not climb."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:  # half a character, as JSON can have it: no file is called so
        return False
    pure = PurePosixPath(path)
    is_foreign = pure.is_absolute() or ".." in pure.parts or is_url(path) or "\0" in path
    return bool(pure.parts) and not is_foreign


def outside_error(real: str, root: str) -> InputDataError:
    """Return the error for a file that is not in its plate."""
    return InputDataError(
        f"its real path {real} leaves the plate folder {root}; "
        "correct the mapping or copy the file into the plate"
    )
