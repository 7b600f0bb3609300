"""What a backend should do, as a dictionary: the other half of the state machine."""

from collections.abc import Sequence

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.listing import in_natural_order


class StorageModel:
    """Files as seeds of their content, links as the path of what they lead to.

    Attributes
    ----------
    entries : dict
        Path to a seed (a number), or to another path.
    folders : set of str
        Folders that were made.
    """

    def __init__(self) -> None:
        self.entries: dict[str, int | str] = {}
        self.folders: set[str] = set()

    def copy(self) -> "StorageModel":
        """Return another of the same content."""
        copied = StorageModel()
        copied.entries, copied.folders = dict(self.entries), set(self.folders)
        return copied

    def find(self, path: str) -> int | None:
        """Return the seed that a path leads to, if any."""
        found = self.entries.get(path)
        for _ in self.entries:  # more steps than there are entries go round
            if not isinstance(found, str):
                return found
            found = self.entries.get(found)
        return None

    def files(self, folder: str = "", *, recursive: bool = True, ending: str = "") -> list[str]:
        """Return the files in a folder and the links that lead to one, in natural order."""
        return in_natural_order(
            path
            for path in self.entries
            if self.find(path) is not None
            and path.endswith(ending)
            and (_is_below(path, folder) if recursive else _parent(path) == folder)
        )

    def list_dir(self, folder: str) -> list[str]:
        """Return the names in a folder, links that lead nowhere too, in natural order."""
        entries = (*self.entries, *self.folders)
        return in_natural_order(
            path.rpartition("/")[2] for path in entries if _parent(path) == folder
        )

    def ensure_directory(self, folder: str) -> None:
        """Add a folder and those it is in."""
        while folder:
            self.folders.add(folder)
            folder = _parent(folder)

    def save(self, path: str, seed: int) -> None:
        """Put a file in place of whatever file or link is there."""
        if path in self.folders:
            raise StorageResolutionError(path)
        self.ensure_directory(_parent(path))
        self.entries[path] = seed

    def save_batch(self, paths: Sequence[str], seeds: Sequence[int]) -> None:
        """Put several files."""
        for path, seed in zip(paths, seeds, strict=True):
            self.save(path, seed)

    def delete(self, path: str) -> None:
        """Remove a file, a link or an empty folder."""
        if path in self.entries:
            del self.entries[path]
        elif path not in self.folders:
            raise InputDataError(path)
        elif self.list_dir(path):
            raise StorageResolutionError(path)
        else:
            self.folders.remove(path)

    def move(self, source: str, target: str, *, replace_symlinks: bool) -> None:
        """Give all paths at and below `source` their new names."""
        if source not in self.entries and source not in self.folders:
            raise InputDataError(source)
        is_link = isinstance(self.entries.get(target), str)
        is_taken = target in self.folders or (target in self.entries and not is_link)
        if source == target or is_taken or (is_link and not replace_symlinks):
            raise StorageResolutionError(target)
        if _is_below(target, source):
            raise StorageResolutionError(target)
        self.ensure_directory(_parent(target))
        self.entries = {
            _moved(path, source, target): found
            for path, found in self.entries.items()
            if path != target
        }
        self.folders = {_moved(path, source, target) for path in self.folders}

    def mirror_directory(self, source: str, target: str, *, overwrite_symlinks_only: bool) -> int:
        """Add links to what the files and links of `source` lead to."""
        if source not in self.folders:
            raise InputDataError(source)
        if source == target or _is_below(source, target) or _is_below(target, source):
            raise StorageResolutionError(target)
        links = {}
        for path in self.entries:
            if _is_below(path, source):
                if self.find(path) is None:
                    raise InputDataError(path)
                links[_moved(path, source, target)] = self._behind_links(path)
        for path in links:
            is_file = isinstance(self.entries.get(path), int)
            if path in self.folders or (is_file and overwrite_symlinks_only):
                raise StorageResolutionError(path)
        for folder in self.folders.copy():
            if folder == source or _is_below(folder, source):
                self.ensure_directory(_moved(folder, source, target))
        self.entries |= links
        return len(links)

    def _behind_links(self, path: str) -> str:
        found = self.entries[path]
        return path if isinstance(found, int) else self._behind_links(found)


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _is_below(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}/")


def _moved(path: str, source: str, target: str) -> str:
    if path == source or _is_below(path, source):
        return target + path[len(source) :]
    return path
