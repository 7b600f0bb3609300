"""Where a plate's files are: in a folder, or behind a URL. Nothing is ever written there."""

import errno
import os
import stat
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote, urlsplit

from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.storage.backends.disk_ import DiskStorageBackend
from openhcs_core.storage.plate_source import (
    Entry,
    FileStatus,
    PlateSource,
    check_inside,
    is_url,
    outside_error,
)
from openhcs_core.storage.zarr_planes import (
    ZarrPlanes,
    array_status,
    metadata_file,
    parse_reference,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
        self._links: set[str] = set()

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
            what = "is" if self._folder.exists() else "is below"
            text = f"{self.name} {what} a file; expected the folder of a plate"
            raise ConfigError(text) from error
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
                found = list(entries)
        except OSError as error:
            raise InputDataError(f"{path} cannot be listed: {error.strerror or error}") from error
        below = f"{folder.rstrip('/')}/" if folder else ""
        self._links.update(f"{below}{entry.name}" for entry in found if entry.is_symlink())
        return found

    def check_links(self, paths: Iterable[str]) -> None:
        """See :meth:`PlateSource.check_links`."""
        if not self._links:
            return
        root = self._resolved(self._folder)
        linked = {path: path in self._links for path in self._links | {""}}

        def is_linked(path: str) -> bool:
            known = linked.get(path)
            if known is None:  # of a folder once, of each image once
                known = linked[path] = is_linked(path.rpartition("/")[0])
            return known

        links = [path for path in paths if is_linked(path)]
        outside = [path for path in links if not (root / path).resolve().is_relative_to(root)]
        if outside:
            more = f", and {len(outside) - 1} others too" if len(outside) > 1 else ""
            raise InputDataError(
                f"the image {outside[0]} is a link to {(root / outside[0]).resolve()}, which "
                f"leaves the plate folder {root}{more}; put the images themselves there"
            )

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


def absolute_plate(plate: str) -> str:
    """Return a plate's place for programs that run in another folder; URLs stay as they are."""
    return plate.rstrip("/") if is_url(plate) else str(Path(plate).resolve())
