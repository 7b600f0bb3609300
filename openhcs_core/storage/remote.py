"""Plates in object stores and on web servers, read through fsspec."""

import io
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar
from urllib.parse import quote, unquote, urlsplit

from openhcs_core.errors import ConfigError, InputDataError, StorageResolutionError
from openhcs_core.storage.bounded_json import parse_json
from openhcs_core.storage.plate_source import PlateSource, check_inside
from openhcs_core.storage.zarr_planes import ZarrPlanes, metadata_file, parse_reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE_LIST = "files.txt"
"""Names the files of a plate, one a line, on a web server that lists no folders."""

_HEADER_BLOCK = 1 << 16
_MAX_LIST_BYTES = 1 << 28
_TIMES = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "created")
_REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "s3": "pip install 'openhcs-core[s3]'",
        "http": "pip install 'openhcs-core[http]'",
        "https": "pip install 'openhcs-core[http]'",
    }
)
_LIBRARY_ERRORS = (
    ("aiohttp", "ClientError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
)
"""What transports raise that is no OSError; a library that was not imported raised nothing."""


@dataclass(frozen=True, slots=True)
class RemoteStatus:
    """Size and state of an object; see :class:`~openhcs_core.storage.plate_source.FileStatus`."""

    st_size: int | None
    st_mtime_ns: int | str | None


@dataclass(frozen=True, slots=True)
class RemoteEntry:
    """One object or folder of a listing."""

    name: str
    is_folder: bool
    status: RemoteStatus

    def is_dir(self) -> bool:
        """Return whether it is a folder."""
        return self.is_folder

    def stat(self) -> RemoteStatus:
        """Return size and ETag or time."""
        return self.status


class RemotePlate(PlateSource):
    """A plate behind a URL.

    Credentials and endpoints come from the environment or from fsspec's own configuration
    (``AWS_PROFILE``, ``AWS_ENDPOINT_URL``, ``~/.config/fsspec``), never from a config of ours.
    Every listing is asked for once.

    Parameters
    ----------
    url : str
        ``s3://bucket/plate``, ``https://host/plate``, and what else fsspec has a library for.

    Raises
    ------
    ConfigError
        It holds credentials or a query, or its library is not installed.
    """

    # Each read waits for the network, not for a processor.
    reader_threads: ClassVar[int] = 16

    def __init__(self, url: str) -> None:
        _refuse_secrets(url)
        super().__init__(url.rstrip("/"))
        self._is_web = urlsplit(url).scheme.lower() in {"http", "https"}
        # fsspec has no types
        self._files: Any
        self._files, self._root = _file_system(self.name)
        self._folders: dict[str, list[RemoteEntry]] = {}
        self._planes = ZarrPlanes(self, None)
        self._listed: Mapping[str, list[str]] | None = None

    def check(self) -> None:
        """See :meth:`PlateSource.check`."""
        if not self.list_folder(""):
            hint = f"does the server list folders? if not, put a {FILE_LIST} there"
            hint = hint if self._is_web else "check bucket and prefix"
            raise InputDataError(f"plate {self.name} is empty; {hint}")

    def list_folder(self, folder: str) -> Sequence[RemoteEntry]:
        """See :meth:`PlateSource.list_folder`."""
        folder = folder.rstrip("/")
        if folder not in self._folders:
            self._folders[folder] = self._ask_for(folder)
        return self._folders[folder]

    def folder_identity(self, folder: str) -> Hashable:
        """Return the folder's name: there are no links."""
        return folder

    def status(self, path: str) -> RemoteStatus:
        """Ask for size and ETag or time of an object; of a plane, of its array's metadata."""
        plane = parse_reference(path)
        if plane is not None:
            path = metadata_file(self, plane.array)
        with self._explained(path):
            return _status(self._files.info(self._address(path)))

    def open(self, path: str) -> BinaryIO:
        """Open an object; what is read of it is fetched in blocks where the server can do that."""
        with self._explained(path):
            if not self._is_web:
                file: BinaryIO = self._files.open(self._address(path), block_size=_HEADER_BLOCK)
                return file
        return self.content(path)  # many a web server sends whole files only

    def locate(self, path: str) -> str:
        """Return the object's URL; whether it is there is not asked."""
        check_inside(path, self.name)
        return self.where(path)

    def content(self, path: str) -> BinaryIO:
        """Fetch an object as a whole."""
        check_inside(path, self.name)
        with self._explained(path):
            return io.BytesIO(self._files.cat_file(self._address(path)))

    def load(self, path: str, **options: Any) -> "NDArray[Any]":
        """Read one TIFF, or a plane of a zarr array.

        Raises
        ------
        StorageResolutionError
            Any other file.
        """
        from openhcs_core.storage.backends.tiff_ import read_tiff

        plane = parse_reference(path)
        if plane is not None:
            return self._planes.read(plane)
        if PurePosixPath(path).suffix.lower() not in {".tif", ".tiff"} or options:
            raise StorageResolutionError(
                f"{self.where(path)}: of remote plates TIFF images are read, nothing else and "
                "without options; copy the plate to this machine"
            )
        return read_tiff(self.content(path), self.where(path))

    def exists(self, path: str) -> bool:
        """Return whether there is such an object; it is not fetched."""
        try:
            check_inside(path, self.name)
            self.status(path)
        except InputDataError:
            return False
        return True

    def _ask_for(self, folder: str) -> list[RemoteEntry]:
        if self._listed is None:
            found = self._list_by_server(folder)
            if found or folder or not self._is_web:
                return found
            self._listed = self._read_file_list()
        return self._list_by_names(self._listed, folder)

    def _list_by_server(self, folder: str) -> list[RemoteEntry]:
        address = self._address(folder) if folder else self._root
        try:
            with self._explained(folder):
                infos = self._files.ls(f"{address}/" if self._is_web else address, detail=True)
        except InputDataError as error:
            if not folder and isinstance(error.__cause__, FileNotFoundError) and self._is_web:
                return []  # a server that lists nothing may still have the files
            if not folder and isinstance(error.__cause__, FileNotFoundError):
                raise ConfigError(
                    f"plate {self.name} does not exist; check the bucket and the plate's path"
                ) from error
            raise
        named = [(self._name_below(info["name"], address), info) for info in infos]
        return self._entries(folder, [(name, info) for name, info in named if name])

    def _name_below(self, address: str, folder: str) -> str:
        """Return an entry's name, empty for the folder itself and for links to elsewhere."""
        begin = folder.rstrip("/") + "/"
        name = address.removeprefix(begin).rstrip("/") if address.startswith(begin) else ""
        name = unquote(name) if self._is_web else name
        return "" if "/" in name or "?" in name else name

    def _entries(
        self, folder: str, named: Sequence[tuple[str, Mapping[str, Any]]]
    ) -> list[RemoteEntry]:
        """Return entries; what a web server's listing leaves out of images is asked for."""
        prefix = f"{folder}/" if folder else ""
        images = [
            f"{prefix}{name}"
            for name, info in named
            if info.get("size") is None and name.lower().endswith((".tif", ".tiff"))
        ]
        with ThreadPoolExecutor(self.reader_threads) as pool:
            asked = dict(zip(images, pool.map(self.status, images), strict=True))
        return [
            RemoteEntry(
                name, info["type"] == "directory", asked.get(f"{prefix}{name}") or _status(info)
            )
            for name, info in named
        ]

    def _read_file_list(self) -> Mapping[str, list[str]]:
        """Return the names in each folder, of a server that lists none."""
        paths = list(self._named_files())
        folders: dict[str, dict[str, None]] = {}
        for path in paths:
            check_inside(path, self.name)
            parts = PurePosixPath(path).parts
            for depth in range(len(parts)):
                folders.setdefault("/".join(parts[:depth]), {})[parts[depth]] = None
        return {folder: list(names) for folder, names in folders.items()}

    def _named_files(self) -> Iterator[str]:
        for name, parse in ((FILE_LIST, _parse_lines), ("openhcs_metadata.json", _parse_mapping)):
            try:
                raw = self.read(name, _MAX_LIST_BYTES)
            except InputDataError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    continue
                raise
            try:
                yield from parse(raw.decode("utf-8"))
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                raise InputDataError(
                    f"{self.where(name)} lists no files of a plate ({error!r}); make it again"
                ) from error
            return
        raise ConfigError(
            f"plate {self.name} does not exist, or its server lists no folders; check the URL, "
            f"or put a {FILE_LIST} there with a path a line, relative to the plate"
        )

    def _list_by_names(self, listed: Mapping[str, list[str]], folder: str) -> list[RemoteEntry]:
        prefix = f"{folder}/" if folder else ""
        named = [
            (name, {"type": "directory" if f"{prefix}{name}" in listed else "file"})
            for name in listed.get(folder, ())
        ]
        return self._entries(folder, named)

    def _address(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{quote(path) if self._is_web else path}"

    @contextmanager
    def _explained(self, path: str) -> Iterator[None]:
        """Turn what transports raise into an error that names the URL and the remedy."""
        try:
            yield
        except _transport_errors() as error:
            raise InputDataError(f"{self.where(path).rstrip('/')}: {_reason(error)}") from error


def _refuse_secrets(url: str) -> None:
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"plate {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}: expected a URL "
            "without credentials, query or fragment; credentials come from the environment or "
            "fsspec's configuration"
        )


def _file_system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system and the plate's address in it."""
    from fsspec import url_to_fs

    scheme = urlsplit(url).scheme.lower()
    try:
        files, root = url_to_fs(url)  # type: ignore[no-untyped-call]  # fsspec has no types
    except ImportError as error:
        remedy = _REMEDIES.get(scheme, "install the library that it names")
        raise ConfigError(f"plate {url}: {error}; {remedy}") from error
    except ValueError as error:
        known = ", ".join(f"{name}://" for name in ("file", "http", "https", "s3"))
        raise ConfigError(f"plate {url}: {error}; expected a folder, or one of {known}") from error
    files.invalidate_cache()
    return files, str(root)


def _transport_errors() -> tuple[type[Exception], ...]:
    return (
        OSError,
        *(
            getattr(sys.modules[module], name)
            for module, name in _LIBRARY_ERRORS
            if module in sys.modules
        ),
    )


def _reason(error: Exception) -> str:
    """Say what went wrong on the way to an object, and what to do."""
    text = str(error) or type(error).__name__
    kind = f"{type(error).__name__} {text}".lower()
    if isinstance(error, FileNotFoundError):
        return "is missing; copy it there, or index the plate again"
    if isinstance(error, PermissionError) or "credentials" in kind or "forbidden" in kind:
        return (
            f"access is denied ({text}); give credentials in the environment (for S3 AWS_PROFILE, "
            "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) or in fsspec's configuration"
        )
    if isinstance(error, TimeoutError) or "timeout" in kind:
        return f"the server did not answer in time ({text}); check the network and run again"
    return (
        f"cannot be read ({text}); check the URL, the network and the endpoint "
        "(for S3 AWS_ENDPOINT_URL), and run again"
    )


def _status(info: Mapping[str, Any]) -> RemoteStatus:
    etag = info.get("ETag") or info.get("etag")
    size = info.get("size")
    state = str(etag).strip('"') if etag else _first_time(info)
    return RemoteStatus(None if size is None else int(size), state)


def _first_time(info: Mapping[str, Any]) -> int | str | None:
    for name in _TIMES:
        value = info.get(name)
        if isinstance(value, datetime):
            return round(value.timestamp() * 1e6) * 1000
        if isinstance(value, (int, float)):
            return round(value * 1e6) * 1000
        if isinstance(value, str):
            return value
    return None


def _parse_lines(text: str) -> Iterable[str]:
    return (line.strip().removeprefix("./") for line in text.splitlines() if line.strip())


def _parse_mapping(text: str) -> Iterable[str]:
    for entry in parse_json(text.encode())["subdirectories"].values():
        for real in entry.get("workspace_mapping", {}).values():
            yield real if isinstance(real, str) else real["backend_address"]
