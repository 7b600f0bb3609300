"""Objects kept in this process."""

import sys
from collections.abc import Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.base import StorageBackend
from openhcs_core.storage.listing import has_extension, in_natural_order


class MemoryStorageBackend(StorageBackend):
    """A dictionary with the interface of a file system; what is in it ends with the process.

    Any object may be stored. A numpy array is stored as a read-only copy, so that neither
    the saver's nor a reader's later writes reach it; an array that is read-only and owns its
    memory is stored as it is. Readers get that same read-only array and copy it if they mean
    to write. Other objects, arrays of other libraries among them, are stored by reference.
    A folder exists once something was saved in it or :meth:`ensure_directory` made it.
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
        try:
            return self._objects[_key(file_path)]
        except KeyError:
            raise InputDataError(
                f"{file_path}: nothing is stored there in memory; a step that saves it has to "
                "run before, in the same process"
            ) from None

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
            if has_extension(key.name, extensions)
            and (key.is_relative_to(folder) if recursive else key.parent == folder)
        )

    def exists(self, path: str | Path) -> bool:
        """Return whether an object or a folder is at `path`."""
        key = _key(path)
        return key in self._objects or key in self._folders

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
        """Remove an object or an empty folder.

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
