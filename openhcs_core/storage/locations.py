"""Where a plate's files are: in a folder, or behind a URL. Nothing is ever written there."""

import errno
import os
import re
import stat
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Protocol
from urllib.parse import unquote, urlsplit

from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.storage.backends.disk_ import DiskStorageBackend
from openhcs_core.storage.zarr_planes import (
    ZarrPlanes,
    array_status,
    metadata_file,
    parse_reference,
)

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


class LocalPlate(PlateSource):
    """A plate in a folder of this machine."""

    # Reading is copying from the page cache mostly: more threads than this gain nothing.
    reader_threads = 4

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder))
        self._folder = folder
        self._disk = DiskStorageBackend()
        self._planes = ZarrPlanes(self, folder)
        self._real_folders: dict[Path, Path] = {}

    def check(self) -> None:
        """See :meth:`PlateSource.check`."""
        try:
            with os.scandir(self._folder) as entries:
                is_empty = next(entries, None) is None
        except FileNotFoundError as error:
            raise ConfigError(
                f"plate folder {self.name} does not exist; check the plate's path, and whether "
                "its drive is mounted"
            ) from error
        except NotADirectoryError as error:
            raise ConfigError(f"{self.name} is a file; expected the folder of a plate") from error
        except OSError as error:
            raise InputDataError(
                f"plate folder {self.name} cannot be listed: {error.strerror or error}"
            ) from error
        if is_empty:
            raise InputDataError(f"plate folder {self.name} is empty; is its drive mounted?")

    def list_folder(self, folder: str) -> Sequence[Entry]:
        """See :meth:`PlateSource.list_folder`; the entries are :class:`os.DirEntry`."""
        path = f"{self.name}/{folder}" if folder else self.name
        try:
            with os.scandir(path) as entries:
                return list(entries)
        except OSError as error:
            raise InputDataError(f"{path} cannot be listed: {error.strerror or error}") from error

    def is_there(self) -> bool:
        """Return whether the folder exists."""
        return self._folder.is_dir()

    def folder_identity(self, folder: str) -> Hashable:
        """Return device and inode."""
        path = f"{self.name}/{folder}".rstrip("/")
        if folder and os.path.islink(path):  # noqa: PTH114  # a Path costs as much again
            real, root = Path(path).resolve(), self._resolved(self._folder)
            if not real.is_relative_to(root):
                raise InputDataError(
                    f"{path} is a link to {real}, outside of the plate folder {root}; remove the "
                    "link, or copy what it leads to into the plate"
                )
        status = os.stat(path)  # noqa: PTH116
        return (status.st_dev, status.st_ino)

    def status(self, path: str) -> FileStatus:
        """Return what the system says of a file; of a plane, what there is of its array."""
        plane = parse_reference(path)
        return (self._folder / path).stat() if plane is None else array_status(self, plane.array)

    def open(self, path: str) -> BinaryIO:
        """Open a file; pipes and devices, of which one may read for ever, are refused."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(self._folder / path, flags)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no regular file")
        return os.fdopen(descriptor, "rb")

    def locate(self, path: str) -> Path:
        """Return the file's path, which no link leads out of the plate; of a plane its array's."""
        check_inside(path, self.name)
        plane = parse_reference(path)
        if plane is not None:
            return self.locate(metadata_file(self, plane.array)).parent
        file = self._folder / path
        root = self._resolved(self._folder)
        try:
            real = file.resolve() if file.is_symlink() else self._resolved(file.parent) / file.name
            is_file = file.is_file()
        except OSError as error:  # a name that no file can have
            raise InputDataError(
                f"its real file cannot be looked at: {error.strerror or error}; correct the "
                f"mapping: {str(file)[:200]}"
            ) from error
        if not real.is_relative_to(root):
            raise outside_error(str(file), str(root))
        if not is_file:
            raise InputDataError(
                f"its real file {file} is missing; copy it back, or index the plate again"
            )
        return file

    def content(self, path: str) -> Path:
        """Return the file's path; see :meth:`locate`."""
        return self.locate(path)

    def load(self, path: str, **options: Any) -> "NDArray[Any]":
        """Read one image of any format that the disk backend knows, or a plane of an array."""
        plane = parse_reference(path)
        if plane is not None:
            return self._planes.read(plane)
        image: NDArray[Any] = self._disk.load(self.locate(path), **options)
        return image

    def _resolved(self, folder: Path) -> Path:
        """Return where a folder is without links; a plate has few of them and many files."""
        if folder not in self._real_folders:
            self._real_folders[folder] = folder.resolve()
        return self._real_folders[folder]


def open_plate_source(plate: str | Path | PlateSource) -> PlateSource:
    """Return where a plate's files are.

    Parameters
    ----------
    plate : str, Path or PlateSource
        A folder, or a URL that fsspec knows: ``s3://bucket/plate``, ``https://host/plate``;
        ``file://`` is the folder. A source is returned as it is.

    Raises
    ------
    ConfigError
        A URL with credentials, or of a scheme that nothing here reads.
    """
    if isinstance(plate, PlateSource):
        return plate
    if not is_url(plate):
        return LocalPlate(Path(plate))
    url = str(plate)
    parts = urlsplit(url)
    if parts.scheme.lower() == "file":
        return LocalPlate(Path(unquote(parts.path)))
    from openhcs_core.storage.remote import RemotePlate  # fsspec costs local plates nothing

    return RemotePlate(url)


def is_folder(entry: Entry) -> bool:
    """Return whether an entry is a folder; a link to itself, or to nothing, is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_url(plate: str | Path) -> bool:
    """Return whether a plate is named by a URL rather than a path."""
    return isinstance(plate, str) and _SCHEME.match(plate) is not None


def absolute_plate(plate: str) -> str:
    """Return a plate's place for programs that run in another folder; URLs stay as they are."""
    return plate.rstrip("/") if is_url(plate) else str(Path(plate).resolve())


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
    pure = PurePosixPath(path)
    is_foreign = pure.is_absolute() or ".." in pure.parts or is_url(path) or "\0" in path
    return bool(pure.parts) and not is_foreign


def outside_error(real: str, root: str) -> InputDataError:
    """Return the error for a file that is not in its plate."""
    return InputDataError(
        f"its real path {real} leaves the plate folder {root}; "
        "correct the mapping or copy the file into the plate"
    )
