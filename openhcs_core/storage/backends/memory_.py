"""Objects kept in this process."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.base import StorageBackend
from openhcs_core.storage.listing import has_extension, in_natural_order


@dataclass(frozen=True, slots=True)
class _Link:
    """An entry that leads to another; where that is gone the link leads nowhere."""

    target: PurePosixPath


class MemoryStorageBackend(StorageBackend):
    """A dictionary with the interface of a file system; what is in it ends with the process.

    Any object may be stored. A numpy array is stored as a read-only copy, so that neither
    the saver's nor a reader's later writes reach it; an array that is read-only and owns its
    memory is stored as it is. Readers get that same read-only array and copy it if they mean
    to write. Other objects, arrays of other libraries among them, are stored by reference.
    A folder exists once something was saved in it or :meth:`ensure_directory` made it.
    :meth:`mirror_directory` makes links as on a disk: they show what is saved at their targets
    later, and lead nowhere once those are gone.
    """

    def __init__(self) -> None:
        self._objects: dict[PurePosixPath, Any] = {}
        self._folders: set[PurePosixPath] = set()

    def save(self, data: Any, identifier: str | Path, **options: Any) -> None:
        """Store one object; `options` are for other backends and make no difference here."""
        key = _key(identifier)
        if key in self._folders:
            raise StorageResolutionError(f"{key}: is a folder in memory; save under another name")
        self.ensure_directory(key.parent)
        self._objects[key] = _protected(data)

    def save_batch(
        self, data_list: Sequence[Any], identifiers: Sequence[str | Path], **options: Any
    ) -> None:
        """Store several objects; when one cannot be stored, the others are as they were."""
        keys = [_key(identifier) for identifier in identifiers]
        before = {key: self._objects[key] for key in keys if key in self._objects}
        try:
            super().save_batch(data_list, identifiers, **options)
        except BaseException:
            self._objects.update(before)
            raise

    def load(self, file_path: str | Path, **options: Any) -> Any:
        """Return what was stored; numpy arrays are read-only.

        Raises
        ------
        InputDataError
            Nothing is stored at `file_path`.
        """
        key = self._behind_links(_key(file_path))
        if key not in self._objects:
            raise InputDataError(
                f"{file_path}: nothing is stored there in memory; a step that saves it has to "
                "run before, in the same process"
            )
        return self._objects[key]

    def list_files(
        self,
        directory: str | Path,
        *,
        extensions: Sequence[str] | None = None,
        recursive: bool = False,
    ) -> list[str]:
        """Return paths of the objects in `directory`, in natural order."""
        folder = self._existing_folder(directory)
        return in_natural_order(
            str(key)
            for key in self._objects
            if self._behind_links(key) in self._objects
            and has_extension(key.name, extensions)
            and (key.is_relative_to(folder) if recursive else key.parent == folder)
        )

    def exists(self, path: str | Path) -> bool:
        """Return whether an object or a folder is at `path`."""
        return self._behind_links(_key(path)) is not None

    def list_dir(self, path: str | Path) -> list[str]:
        """Return the names of entries in `path`, in natural order."""
        return in_natural_order(self._entries(self._existing_folder(path)))

    def ensure_directory(self, directory: str | PurePath) -> None:
        """Create `directory` and its parents where they are absent."""
        key = _key(directory)
        for folder in (key, *key.parents):
            if folder in self._objects:
                raise StorageResolutionError(f"{folder}: is an object in memory, not a folder")
        self._folders.update((key, *key.parents))

    def delete(self, path: str | Path) -> None:
        """Remove an object, a link or an empty folder.

        Raises
        ------
        InputDataError
            Nothing is at `path`.
        StorageResolutionError
            `path` is a folder that is not empty.
        """
        key = _key(path)
        if key in self._objects:
            del self._objects[key]
            return
        if self._entries(self._existing_folder(path)):
            raise StorageResolutionError(f"{key}: folder is not empty; delete what is in it first")
        self._folders.remove(key)

    def move(
        self, source: str | Path, target: str | Path, *, replace_symlinks: bool = False
    ) -> None:
        """Rename; see :meth:`StorageBackend.move`."""
        old, new = _key(source), _key(target)
        if old not in self._objects and old not in self._folders:
            raise InputDataError(f"{old}: nothing is there in memory to move; check the path")
        is_link = isinstance(self._objects.get(new), _Link)
        if old == new or self._is_taken(new, also_by_link=not replace_symlinks):
            how = " (it is a link: replace_symlinks=True replaces it)" if is_link else ""
            raise StorageResolutionError(
                f"{new}: there is something of this name in memory; delete it first or choose "
                f"another name{how}"
            )
        if new.is_relative_to(old):
            raise StorageResolutionError(f"{new}: lies inside {old}, which is to be moved there")
        self.ensure_directory(new.parent)
        self._objects.pop(new, None)
        moved = {key: new / key.relative_to(old) for key in self._below(old)}
        for key, to in moved.items():
            if key in self._objects:
                self._objects[to] = self._objects.pop(key)
            else:
                self._folders.remove(key)
                self._folders.add(to)

    def mirror_directory(
        self, source: str | Path, target: str | Path, *, overwrite_symlinks_only: bool = True
    ) -> int:
        """Make folders with links; see :meth:`StorageBackend.mirror_directory`."""
        old, new = self._existing_folder(source), _key(target)
        if new.is_relative_to(old) or old.is_relative_to(new):
            raise StorageResolutionError(
                f"{new}: one of it and {old} lies inside the other; mirror to another folder"
            )
        links, folders = self._mirrored(old, new)
        self._check_nothing_is_in_the_way(
            new, links, folders, overwrite_symlinks_only=overwrite_symlinks_only
        )
        for path in sorted(folders):
            self._objects.pop(path, None)
            self.ensure_directory(path)
        self._objects.update(links)
        return len(links)

    def _mirrored(
        self, old: PurePosixPath, new: PurePosixPath
    ) -> tuple[dict[PurePosixPath, _Link], list[PurePosixPath]]:
        """Return the links and folders that a mirror of `old` at `new` consists of."""
        links, folders = {}, []
        for key in self._below(old):
            mirrored = new / key.relative_to(old)
            if key in self._folders:
                folders.append(mirrored)
                continue
            target = self._behind_links(key)
            if target is None:
                raise InputDataError(
                    f"{key}: is a link that leads nowhere; restore what it points to or delete it"
                )
            links[mirrored] = _Link(target)
        return links, folders

    def _check_nothing_is_in_the_way(
        self,
        root: PurePosixPath,
        links: Iterable[PurePosixPath],
        folders: Iterable[PurePosixPath],
        *,
        overwrite_symlinks_only: bool,
    ) -> None:
        for path in folders:
            if self._is_taken(path, also_by_link=path == root) and path not in self._folders:
                raise StorageResolutionError(
                    f"{path}: is an object in memory where the mirror has a folder; move it"
                )
        for path in links:
            is_free = not self._is_taken(path, also_by_link=False)
            if path in self._folders or (overwrite_symlinks_only and not is_free):
                raise StorageResolutionError(
                    f"{path}: is in the way of the mirror; move it, or give "
                    "overwrite_symlinks_only=False to replace objects"
                )

    def _is_taken(self, key: PurePosixPath, *, also_by_link: bool) -> bool:
        is_link = isinstance(self._objects.get(key), _Link)
        return key in self._folders or (key in self._objects and (also_by_link or not is_link))

    def _below(self, key: PurePosixPath) -> list[PurePosixPath]:
        """Return a path and all that is below it."""
        return [path for path in (*self._folders, *self._objects) if path.is_relative_to(key)]

    def _behind_links(self, key: PurePosixPath) -> PurePosixPath | None:
        """Return the object or folder that a path leads to, None where it leads nowhere."""
        passed: set[PurePosixPath] = set()
        while isinstance(found := self._objects.get(key), _Link):
            if key in passed:
                return None
            passed.add(key)
            key = found.target
        return key if key in self._objects or key in self._folders else None

    def _existing_folder(self, directory: str | Path) -> PurePosixPath:
        key = _key(directory)
        if key not in self._folders:
            raise InputDataError(f"{key}: no such folder in memory; check the path")
        return key

    def _entries(self, folder: PurePosixPath) -> set[str]:
        depth = len(folder.parts)
        return {
            key.parts[depth]
            for key in (*self._objects, *self._folders)
            if key.is_relative_to(folder) and key != folder
        }


def _key(path: str | PurePath) -> PurePosixPath:
    return PurePosixPath(path)


def _protected(data: Any) -> Any:
    """Return a read-only copy of a numpy array, anything else as it is."""
    numpy = sys.modules.get("numpy")  # data is no numpy array where numpy was never imported
    if numpy is None or not isinstance(data, numpy.ndarray):
        return data
    if not data.flags.writeable and data.flags.owndata:
        return data
    copy = data.copy()
    copy.flags.writeable = False
    return copy
