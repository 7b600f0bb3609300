"""The interfaces that storage backends implement.

``DataSink`` is all that a backend must be. Below it stand ``StorageBackend`` (a file system),
``VirtualBackend`` (files that exist by metadata) and ``StreamingBackend`` (a receiver such as
a viewer); the first two can be read as well.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, ClassVar, Self

from openhcs_core.errors import StorageResolutionError


class DataSink(ABC):
    """Anything data can be sent to."""

    refused: ClassVar[frozenset[str]] = frozenset()
    """Methods of its interface that this backend refuses; see :func:`operations_of`."""

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

    def move(
        self, source: str | Path, target: str | Path, *, replace_symlinks: bool = False
    ) -> None:
        """Give a file or folder another name; backends that cannot list it in `refused`.

        At every moment there is nothing at `target`, or all of what is moved.

        Parameters
        ----------
        source : str or Path
            A file, a folder with all that is in it, or a link, which goes on pointing to the same.
        target : str or Path
            Its new path, not the folder to put it in; parent folders are made.
        replace_symlinks : bool
            A link at `target` gives way; what it points to stays. Nothing else is ever replaced.

        Raises
        ------
        InputDataError
            Nothing is at `source`.
        StorageResolutionError
            `target` is taken or lies inside `source`.
        """
        raise refusal(self, "move")

    def mirror_directory(
        self, source: str | Path, target: str | Path, *, overwrite_symlinks_only: bool = True
    ) -> int:
        """Make the folders of `source` below `target`, with links to its files.

        Saving at a link replaces the link and never what it points to. Backends without links
        list this in `refused`.

        Parameters
        ----------
        source : str or Path
            A folder; it is only read.
        target : str or Path
            Made where it is absent; what is in it besides stays.
        overwrite_symlinks_only : bool
            A file in the way is an error; when False it is replaced. Links always give way to
            new ones, folders never.

        Returns
        -------
        int
            How many links the mirror has.

        Raises
        ------
        InputDataError
            `source` is no folder, or has a link that leads nowhere.
        StorageResolutionError
            Something is in the way, or one folder lies inside the other; nothing was made.
        """
        raise refusal(self, "mirror_directory")


class VirtualBackend(DataSink, ReadableBackend):
    """Files that exist by metadata: listings and names are made from it when asked for.

    Read-only unless a subclass overrides `save` and empties `refused`.
    """

    refused: ClassVar[frozenset[str]] = frozenset({"save", "save_batch"})

    def save(self, data: Any, identifier: str | Path, **options: Any) -> None:
        """Refuse: there is no file system to save in."""
        raise refusal(self, "save")

    @abstractmethod
    def generate_filename(self, metadata: Mapping[str, Any], **options: Any) -> str:
        """Return the name that the image with these components has here.

        Parameters
        ----------
        metadata : mapping
            ``well`` (``"B02"``), ``site``, ``channel``, ``z_index`` and ``timepoint``.
        **options
            Of the backend.

        Raises
        ------
        StorageResolutionError
            Components are missing or unknown, or no name can hold them.
        """


class StreamingBackend(DataSink):
    """A receiver, such as a viewer, to which data is sent and from which none comes back.

    What is promised of every one (``openhcs_core.testing.streaming`` checks it):

    - `save` has taken what it needs when it returns: the caller may change the array at once.
    - Objects arrive in the order they were saved in, those of a batch in the batch's order, each
      with its identifier, and images of any memory type as numpy arrays with values and dtype
      unchanged.
    - What was sent cannot be taken back: a batch that fails may have arrived in part.
    - `close` waits until all has arrived and may be called twice; it is called by leaving a
      ``with`` block. Saving after it is a `StorageResolutionError`, and so is a receiver that
      has gone; the message names the receiver.
    """

    @abstractmethod
    def close(self) -> None:
        """Wait until everything has arrived and let the receiver go."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


_INTERFACES: Mapping[type, tuple[str, ...]] = MappingProxyType(
    {
        DataSink: ("save", "save_batch"),
        ReadableBackend: ("load", "load_batch", "list_files", "exists"),
        StorageBackend: ("list_dir", "ensure_directory", "delete", "move", "mirror_directory"),
        VirtualBackend: ("generate_filename",),
    }
)


def operations_of(backend: type[DataSink]) -> frozenset[str]:
    """Return the names of the interfaces' methods that a backend does not refuse."""
    offered = {
        operation
        for interface, operations in _INTERFACES.items()
        if issubclass(backend, interface)
        for operation in operations
    }
    return frozenset(offered - backend.refused)


def refusal(backend: DataSink, operation: str) -> StorageResolutionError:
    """Return the error of a backend that does not do `operation`, called directly."""
    return StorageResolutionError(
        f"{type(backend).__name__} cannot {operation}; it can "
        f"{', '.join(sorted(operations_of(type(backend))))}"
    )
