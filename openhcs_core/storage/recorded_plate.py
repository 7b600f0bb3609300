"""What was asked about a plate's folder while it was indexed, and whether the answers are the same.

An index is made from listings, sizes and times of files, and what a few of them hold. When all of
that is as it was, so is the index.
"""

import os
import stat
import time
from array import array
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from openhcs_core.errors import InputDataError
from openhcs_core.storage.locations import LocalPlate
from openhcs_core.storage.plate_source import Entry, FileStatus

_NOTHING, _STATUS, _KIND, _BOTH = "-skb"
_Opened = tuple[int, int, int, int]


class FolderTrace(NamedTuple):
    """What was asked about one folder.

    Attributes
    ----------
    folder : str
        Relative to the plate, with a trailing ``/``.
    names : str
        Digest of its entries' names in the system's order, which it keeps for the same entries.
    asked : str
        A letter an entry: ``s`` its size and time, ``k`` whether it is a folder, ``b`` both.
    statuses : str
        Digest of sizes and times.
    kinds : str
        A digit for each that was asked for its kind.
    """

    folder: str
    names: str
    asked: str
    statuses: str
    kinds: str


@dataclass(frozen=True)
class PlateTrace:
    """All questions about a plate and their answers, as plain data.

    Attributes
    ----------
    folders : tuple of FolderTrace
        Listings.
    same_folders : list of list of str
        Paths, those of one folder together.
    opened : dict of str to list of int or None
        Size, modification and change time in ns and inode of files that were read; None for
        those that are not there.
    statuses : dict of str to list
        Size and time of files that were asked for by name.
    exists : dict of str to bool
        Files that were only looked for.
    """

    folders: tuple[FolderTrace, ...]
    same_folders: list[list[str]]
    opened: dict[str, list[int] | None]
    statuses: dict[str, list[int | str | None]]
    exists: dict[str, bool]


class RecordedPlate(LocalPlate):
    """A plate in a folder of this machine that remembers what it is asked.

    Parameters
    ----------
    folder : Path
        The plate.
    settled_s : float
        How long before this a file must have changed last for its times to tell the next change.
    """

    def __init__(self, folder: Path, settled_s: float = 0.0) -> None:
        super().__init__(folder)
        self._newest_ns = time.time_ns() - int(settled_s * 1e9)
        self._entries: dict[str, list[_SeenEntry]] = {}
        self._identities: dict[Hashable, list[str]] = {}
        self._opened: dict[str, _Opened | None] = {}
        self._statuses: dict[str, FileStatus] = {}
        self._exists: dict[str, bool] = {}

    def list_folder(self, folder: str) -> Sequence[Entry]:
        """See :meth:`PlateSource.list_folder`; a folder is listed once."""
        if folder not in self._entries:
            self._entries[folder] = [_SeenEntry(entry) for entry in super().list_folder(folder)]
        return list(self._entries[folder])

    def folder_identity(self, folder: str) -> Hashable:
        """See :meth:`PlateSource.folder_identity`."""
        identity = super().folder_identity(folder)
        self._identities.setdefault(identity, []).append(folder)
        return identity

    def status(self, path: str) -> FileStatus:
        """See :meth:`PlateSource.status`."""
        self._statuses[path] = status = super().status(path)
        return status

    def exists(self, path: str) -> bool:
        """See :meth:`PlateSource.exists`."""
        self._exists[path] = found = super().exists(path)
        return found

    def open(self, path: str) -> BinaryIO:
        """See :meth:`PlateSource.open`."""
        self._opened[path] = None
        file = super().open(path)
        self._opened[path] = _identify(os.fstat(file.fileno()))
        return file

    def trace(self) -> PlateTrace | None:
        """Return what was asked; None where the answers cannot tell a change.

        That is so when a file that was read had only just been written, and when there are links,
        which may lead elsewhere and say nothing of it.
        """
        newest = max((max(file[1:3]) for file in self._opened.values() if file), default=0)
        if self._links or newest >= self._newest_ns:
            return None
        try:
            folders = tuple(_trace(folder, entries) for folder, entries in self._entries.items())
        except OverflowError:  # times of no clock
            return None
        return PlateTrace(
            folders=folders,
            same_folders=list(self._identities.values()),
            opened={path: file and list(file) for path, file in self._opened.items()},
            statuses={path: [s.st_size, s.st_mtime_ns] for path, s in self._statuses.items()},
            exists=self._exists,
        )


class _SeenEntry:
    """An entry of a folder, and what was asked about it."""

    __slots__ = ("_entry", "kind", "name", "status")

    def __init__(self, entry: Entry) -> None:
        self.name = entry.name
        self._entry = entry
        self.kind = ""
        self.status: FileStatus | None = None

    def is_dir(self) -> bool:
        found = self._entry.is_dir()
        self.kind = "1" if found else "0"
        return found

    def stat(self) -> FileStatus:
        status = self.status = self._entry.stat()
        return status


def _trace(folder: str, entries: Iterable[_SeenEntry]) -> FolderTrace:
    letters = {(False, False): _NOTHING, (True, False): _STATUS, (False, True): _KIND}
    asked, kinds, numbers = [], [], array("q")
    for entry in entries:
        status, kind = entry.status, entry.kind
        asked.append(letters.get((status is not None, kind != ""), _BOTH))
        kinds.append(kind)
        if status is not None:
            numbers.append(status.st_size)  # type: ignore[arg-type]  # a local file's are numbers
            numbers.append(status.st_mtime_ns)  # type: ignore[arg-type]
    names = _digest_names(entry.name for entry in entries)
    return FolderTrace(folder, names, "".join(asked), _digest(numbers), "".join(kinds))


def is_unchanged(source: LocalPlate, trace: PlateTrace, *, checks_files: bool = True) -> bool:
    """Return whether a plate gives the same answers as before.

    Parameters
    ----------
    checks_files : bool
        Ask for size and time of each file that was asked for them; else names tell, and the
        files that were read.
    """
    try:
        return (
            all(_is_same_folder(source, one, checks_files=checks_files) for one in trace.folders)
            and all(_look(source, path) == file for path, file in trace.opened.items())
            and all(source.exists(path) is found for path, found in trace.exists.items())
            and _same_folders(source, trace.same_folders) == trace.same_folders
            and (not checks_files or _are_same(source, trace.statuses))
        )
    except (OSError, OverflowError, InputDataError):
        return False


def _is_same_folder(source: LocalPlate, trace: FolderTrace, *, checks_files: bool) -> bool:
    """Compare one folder: its names before anything is asked about them."""
    descriptor = os.open(f"{source.name}/{trace.folder}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        if checks_files:
            names = os.listdir(descriptor)  # noqa: PTH208  # of an open folder
            return _are_same_names(names, trace) and (
                _ask(descriptor, names, trace.asked) == (trace.statuses, trace.kinds)
            )
        with os.scandir(descriptor) as entries:
            found = list(entries)
        return (
            _are_same_names([entry.name for entry in found], trace)
            and not any(entry.is_symlink() for entry in found)
            and _kinds(found, trace.asked) == trace.kinds
        )
    finally:
        os.close(descriptor)


def _are_same_names(names: Sequence[str], trace: FolderTrace) -> bool:
    return len(names) == len(trace.asked) and _digest_names(names) == trace.names


def _kinds(entries: Sequence[os.DirEntry[str]], asked: str) -> str:
    if _KIND not in asked and _BOTH not in asked:
        return ""
    chosen = (entry for entry, one in zip(entries, asked, strict=True) if one in (_KIND, _BOTH))
    return "".join("1" if entry.is_dir() else "0" for entry in chosen)


def _ask(descriptor: int, names: Sequence[str], asked: str) -> tuple[str, str]:
    """Return digest of sizes and times, and kinds, of those entries that were asked for them.

    A link that took a file's place has the link's own.
    """
    numbers: list[int] = []
    kinds: list[str] = []
    look = os.stat
    for name, question in zip(names, asked, strict=True):  # 1e5 times: no call that can be spared
        if question == _NOTHING:
            continue
        status = look(name, dir_fd=descriptor, follow_symlinks=False)
        if question != _KIND:
            numbers.append(status.st_size)
            numbers.append(status.st_mtime_ns)
        if question != _STATUS:
            kinds.append("1" if stat.S_ISDIR(status.st_mode) else "0")
    return _digest(array("q", numbers)), "".join(kinds)


def _look(source: LocalPlate, path: str) -> list[int] | None:
    try:
        return list(_identify(os.stat(f"{source.name}/{path}")))  # noqa: PTH116  # 1e4 of them
    except OSError:
        return None


def _same_folders(source: LocalPlate, groups: Iterable[Iterable[str]]) -> list[list[str]]:
    found: dict[Hashable, list[str]] = {}
    for folder in (folder for group in groups for folder in group):
        found.setdefault(source.folder_identity(folder), []).append(folder)
    return list(found.values())


def _are_same(source: LocalPlate, statuses: dict[str, list[int | str | None]]) -> bool:
    found = ((source.status(path), known) for path, known in statuses.items())
    return all([status.st_size, status.st_mtime_ns] == known for status, known in found)


def _identify(status: os.stat_result) -> _Opened:
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _digest_names(names: Iterable[str]) -> str:
    from xxhash import xxh3_128_hexdigest

    return xxh3_128_hexdigest("\0".join(names).encode(errors="surrogateescape"))


def _digest(numbers: "array[int]") -> str:
    from xxhash import xxh3_128_hexdigest

    return xxh3_128_hexdigest(numbers.tobytes())
