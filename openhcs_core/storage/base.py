"""The interfaces that storage backends implement."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar


class DataSink(ABC):
    """Anything data can be sent to."""

    @abstractmethod
    def save(self, data: Any, identifier: str | Path, **options: Any) -> None:
        """Send one object."""

    def save_batch(
        self, data_list: Sequence[Any], identifiers: Sequence[str | Path], **options: Any
    ) -> None:
        """Send several objects; backends that can do it in one operation override this."""
        for data, identifier in zip(data_list, identifiers, strict=True):
            self.save(data, identifier, **options)


class ReadableBackend(ABC):
    """Anything data can be read from."""

    @abstractmethod
    def load(self, file_path: str | Path, **options: Any) -> Any:
        """Read one object."""

    def load_batch(self, file_paths: Sequence[str | Path], **options: Any) -> list[Any]:
        """Read several objects, in the order given; overridden where that is faster at once."""
        return [self.load(path, **options) for path in file_paths]

    @abstractmethod
    def list_files(
        self,
        directory: str | Path,
        *,
        extensions: Sequence[str] | None = None,
        recursive: bool = False,
    ) -> list[str]:
        """Return paths of the files in `directory`, in natural order."""

    @abstractmethod
    def exists(self, path: str | Path) -> bool:
        """Return whether something is stored at `path`."""

    def describe(self, path: str | Path) -> str:
        """Return what messages call the data at `path`: the path, or more that helps find it."""
        return str(path)


class StorageBackend(DataSink, ReadableBackend):
    """Storage with the semantics of a file system."""

    holds_files: ClassVar[bool] = True
    """Whether it stores bytes under any name, as a file system does."""

    def save_batch(
        self, data_list: Sequence[Any], identifiers: Sequence[str | Path], **options: Any
    ) -> None:
        """Store several objects; when one cannot be stored, those that are new are removed.

        Backends that can store all or none override this.
        """
        new: list[str | Path] = []
        try:
            for data, identifier in zip(data_list, identifiers, strict=True):
                is_new = not self.exists(identifier)
                self.save(data, identifier, **options)
                new += [identifier] if is_new else []
        except BaseException:
            for identifier in new:
                self.delete(identifier)
            raise

    @abstractmethod
    def list_dir(self, path: str | Path) -> list[str]:
        """Return the names of entries in `path`, in natural order."""

    @abstractmethod
    def ensure_directory(self, directory: str | Path) -> None:
        """Create `directory` and its parents where they are absent."""

    @abstractmethod
    def delete(self, path: str | Path) -> None:
        """Remove a file or an empty directory."""


class VirtualBackend(ReadableBackend):
    """Files that exist by metadata only: listed and read, never written."""
