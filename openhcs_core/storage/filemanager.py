"""One door to every backend: the same call whether data lives in memory, on disk or in zarr."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from openhcs_core.constants import Backend
from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.backend_registry import unknown_backend
from openhcs_core.storage.base import DataSink, ReadableBackend, StorageBackend, operations_of

IMAGE_EXTENSIONS = (".tif", ".tiff")
"""What :meth:`FileManager.list_image_files` takes for an image when it is not told."""

_DECORATION = re.compile(r"^torch\.|^<dtype: '|'>$")


class FileManager:
    """Sends each call to the backend it names.

    Parameters
    ----------
    registry : mapping of str to DataSink
        Backends by name, e.g. :func:`~openhcs_core.storage.create_storage_registry`'s result.

    Notes
    -----
    Every method takes the backend as a :class:`~openhcs_core.constants.Backend` or its
    name and raises `StorageResolutionError` when there is none of that name or when it
    cannot do what is asked; the message names those that can. Options are passed on to the
    backend. ``chunk_name=`` and ``zarr_config=`` may be given to any: those that do not
    write chunks leave them aside.
    """

    def __init__(self, registry: Mapping[str, DataSink]) -> None:
        self._registry = registry

    def save(self, data: Any, path: str | Path, backend: Backend | str, **options: Any) -> None:
        """Store one object at `path`."""
        self._find(backend, "save").save(data, path, **options)

    def save_batch(
        self,
        data_list: Sequence[Any],
        paths: Sequence[str | Path],
        backend: Backend | str,
        **options: Any,
    ) -> None:
        """Store several objects, one a path.

        Raises
        ------
        ValueError
            There are not as many paths as objects.
        """
        if len(data_list) != len(paths):
            raise ValueError(f"{len(data_list)} objects to save at {len(paths)} paths")
        self._find(backend, "save_batch").save_batch(data_list, paths, **options)

    def save_image(
        self, image: Any, path: str | Path, backend: Backend | str, **options: Any
    ) -> None:
        """Store one image.

        Raises
        ------
        InputDataError
            The image is empty or not an array.
        """
        _array_shape(image, path)
        self.save(image, path, backend, **options)

    def load(self, path: str | Path, backend: Backend | str, **options: Any) -> Any:
        """Read one object."""
        return self._source(backend, "load").load(path, **options)

    def load_batch(
        self, paths: Sequence[str | Path], backend: Backend | str, **options: Any
    ) -> list[Any]:
        """Read several objects, in the order of `paths`."""
        return self._source(backend, "load_batch").load_batch(paths, **options)

    def load_image(
        self,
        path: str | Path,
        backend: Backend | str,
        *,
        expected_shape: Sequence[int] | None = None,
        expected_dtype: str | None = None,
        **options: Any,
    ) -> Any:
        """Read one image and check that it is what it should be.

        Parameters
        ----------
        path : str or Path
            As the backend names it.
        backend : Backend or str
            Where to look.
        expected_shape : sequence of int, optional
            Shape in px, e.g. ``(Y, X)``; any when absent.
        expected_dtype : str, optional
            dtype name in native byte order, e.g. ``"uint16"``; any when absent.
        **options
            For the backend.

        Returns
        -------
        ndarray
            Values and dtype as stored.

        Raises
        ------
        InputDataError
            The image is missing, unreadable, empty, or of another shape or dtype.
        """
        source = self._source(backend, "load")
        image = source.load(path, **options)
        shape = _array_shape(image, source.describe(path))
        dtype = _dtype_name(image)
        found = image_description(shape, dtype)
        expected = image_description(
            shape if expected_shape is None else tuple(expected_shape), expected_dtype
        )
        wrong_shape = expected_shape is not None and shape != tuple(expected_shape)
        wrong_dtype = expected_dtype is not None and dtype != expected_dtype
        if wrong_shape or wrong_dtype:
            raise InputDataError(
                f"{source.describe(path)}: expected {expected}, found {found}; copy or export "
                "this image again, or correct the plate's metadata"
            )
        return image

    def list_image_files(
        self,
        directory: str | Path,
        backend: Backend | str,
        extensions: Sequence[str] | None = None,
        *,
        recursive: bool = False,
    ) -> list[str]:
        """Return paths of the images in `directory`, in natural order.

        Parameters
        ----------
        directory : str or Path
            Where to look.
        backend : Backend or str
            Which backend to ask.
        extensions : sequence of str, optional
            File-name endings that count, case ignored; ``.tif`` and ``.tiff`` when absent.
        recursive : bool
            Look into sub-folders too.
        """
        return self._source(backend, "list_files").list_files(
            directory, extensions=extensions or IMAGE_EXTENSIONS, recursive=recursive
        )

    def list_dir(self, path: str | Path, backend: Backend | str) -> list[str]:
        """Return the names of entries in `path`, in natural order."""
        return self._storage(backend, "list_dir").list_dir(path)

    def ensure_directory(self, directory: str | Path, backend: Backend | str) -> None:
        """Create `directory` and its parents where they are absent."""
        self._storage(backend, "ensure_directory").ensure_directory(directory)

    def exists(self, path: str | Path, backend: Backend | str) -> bool:
        """Return whether something is stored at `path`."""
        return self._source(backend, "exists").exists(path)

    def require_files(self, backend: Backend | str) -> None:
        """Check that a backend stores bytes under any name.

        Raises
        ------
        StorageResolutionError
            There is no such backend, or it holds image planes only.
        """
        if not _holds_files(self._named(backend)):
            raise self._refusal(backend, "hold files", _holds_files)

    def delete(self, path: str | Path, backend: Backend | str) -> None:
        """Remove a file, a link or an empty directory."""
        self._storage(backend, "delete").delete(path)

    def move(
        self,
        source: str | Path,
        target: str | Path,
        backend: Backend | str,
        *,
        replace_symlinks: bool = False,
    ) -> None:
        """Give a file or folder another name in its backend, whole or not at all.

        `target` must be free; with `replace_symlinks` a link there gives way. See
        :meth:`StorageBackend.move`.
        """
        self._storage(backend, "move").move(source, target, replace_symlinks=replace_symlinks)

    def mirror_directory(
        self,
        source: str | Path,
        target: str | Path,
        backend: Backend | str,
        *,
        overwrite_symlinks_only: bool = True,
    ) -> int:
        """Make the folders of `source` below `target`, with links to its files; count these.

        Links that are there are replaced; a file in the way is an error, unless
        `overwrite_symlinks_only` is False. See :meth:`StorageBackend.mirror_directory`.
        """
        return self._storage(backend, "mirror_directory").mirror_directory(
            source, target, overwrite_symlinks_only=overwrite_symlinks_only
        )

    def _named(self, name: Backend | str) -> DataSink:
        try:
            return self._registry[str(name)]
        except KeyError:
            raise unknown_backend(name, self._registry) from None

    def _find(self, name: Backend | str, operation: str) -> DataSink:
        def can(backend: DataSink) -> bool:
            return operation in operations_of(type(backend))

        backend = self._named(name)
        if not can(backend):
            raise self._refusal(name, operation, can)
        return backend

    def _source(self, name: Backend | str, operation: str) -> ReadableBackend:
        backend = self._find(name, operation)
        assert isinstance(backend, ReadableBackend)
        return backend

    def _storage(self, name: Backend | str, operation: str) -> StorageBackend:
        backend = self._find(name, operation)
        assert isinstance(backend, StorageBackend)
        return backend

    def _refusal(
        self, name: Backend | str, operation: str, can: Callable[[DataSink], bool]
    ) -> StorageResolutionError:
        able = [known for known in sorted(self._registry) if self._is_able(known, can)]
        return StorageResolutionError(
            f"storage backend {str(name)!r} cannot {operation}; "
            + (f"use one that can: {', '.join(able)}" if able else "no other here can")
        )

    def _is_able(self, name: str, can: Callable[[DataSink], bool]) -> bool:
        try:
            return can(self._registry[name])
        except StorageResolutionError:  # it cannot be imported
            return False


def _holds_files(backend: DataSink) -> bool:
    return isinstance(backend, StorageBackend) and backend.holds_files


def image_description(shape: Sequence[int], dtype: str | None) -> str:
    """Return what a message says of an image, e.g. ``256x256 uint16``."""
    size = "x".join(map(str, shape))
    return size if dtype is None else f"{size} {dtype}"


def _dtype_name(array: Any) -> str:
    """Return a dtype's name without what torch and TensorFlow put around it."""
    return _DECORATION.sub("", str(array.dtype))


def _array_shape(image: Any, path: str | Path) -> tuple[int, ...]:
    """Return the shape of `image`, refusing what is no image or has no pixels."""
    shape = getattr(image, "shape", None)
    if shape is None:
        raise InputDataError(f"{path}: expected an image, found {type(image).__name__}")
    shape = tuple(shape)
    if not shape or 0 in shape:
        raise InputDataError(
            f"{path}: expected an image, found an empty array {image_description(shape, None)}; "
            "the file may be truncated: copy or export it again"
        )
    return shape
