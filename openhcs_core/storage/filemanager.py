"""One door to every backend: the same call whether data lives in memory, on disk or in zarr."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openhcs_core.constants import Backend
from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.backend_registry import unknown_backend
from openhcs_core.storage.base import DataSink, ReadableBackend, StorageBackend

IMAGE_EXTENSIONS = (".tif", ".tiff")
"""What :meth:`FileManager.list_image_files` takes for an image when it is not told."""


class FileManager:
    """Sends each call to the backend it names.

    Parameters
    ----------
    registry : mapping of str to DataSink or ReadableBackend
        Backends by name, e.g. :func:`~openhcs_core.storage.create_storage_registry`'s result.

    Notes
    -----
    Every method takes the backend as a :class:`~openhcs_core.constants.Backend` or its
    name and raises `StorageResolutionError` when there is none of that name or when it
    cannot do what is asked. Options a backend knows (``chunk_name=``, ``zarr_config=``)
    are passed through.
    """

    def __init__(self, registry: Mapping[str, DataSink | ReadableBackend]) -> None:
        self._registry = {str(name): backend for name, backend in registry.items()}

    def save(self, data: Any, path: str | Path, backend: Backend | str, **options: Any) -> None:
        """Store one object at `path`."""
        self._sink(backend, "save").save(data, path, **options)

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
        self._sink(backend, "save").save_batch(data_list, paths, **options)

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
        return self._source(backend).load(path, **options)

    def load_batch(
        self, paths: Sequence[str | Path], backend: Backend | str, **options: Any
    ) -> list[Any]:
        """Read several objects, in the order of `paths`."""
        return self._source(backend).load_batch(paths, **options)

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
        source = self._source(backend)
        image = source.load(path, **options)
        shape = _array_shape(image, source.describe(path))
        found = image_description(shape, str(image.dtype))
        expected = image_description(
            shape if expected_shape is None else tuple(expected_shape), expected_dtype
        )
        wrong_shape = expected_shape is not None and shape != tuple(expected_shape)
        wrong_dtype = expected_dtype is not None and str(image.dtype) != expected_dtype
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
        return self._source(backend).list_files(
            directory, extensions=extensions or IMAGE_EXTENSIONS, recursive=recursive
        )

    def list_dir(self, path: str | Path, backend: Backend | str) -> list[str]:
        """Return the names of entries in `path`, in natural order."""
        return self._storage(backend, "list a folder").list_dir(path)

    def ensure_directory(self, directory: str | Path, backend: Backend | str) -> None:
        """Create `directory` and its parents where they are absent."""
        self._storage(backend, "make a folder").ensure_directory(directory)

    def exists(self, path: str | Path, backend: Backend | str) -> bool:
        """Return whether something is stored at `path`."""
        return self._source(backend).exists(path)

    def require_files(self, backend: Backend | str) -> None:
        """Check that a backend stores bytes under any name.

        Raises
        ------
        StorageResolutionError
            There is no such backend, or it holds image planes only.
        """
        if not self._storage(backend, "hold files").holds_files:
            raise _cannot(backend, "hold files")

    def delete(self, path: str | Path, backend: Backend | str) -> None:
        """Remove a file or an empty directory."""
        self._storage(backend, "delete").delete(path)

    def _find(self, backend: Backend | str) -> DataSink | ReadableBackend:
        try:
            return self._registry[str(backend)]
        except KeyError:
            raise unknown_backend(backend, self._registry) from None

    def _sink(self, name: Backend | str, action: str) -> DataSink:
        backend = self._find(name)
        if not isinstance(backend, DataSink):
            raise _cannot(name, action)
        return backend

    def _source(self, name: Backend | str) -> ReadableBackend:
        backend = self._find(name)
        if not isinstance(backend, ReadableBackend):
            raise _cannot(name, "read")
        return backend

    def _storage(self, name: Backend | str, action: str) -> StorageBackend:
        backend = self._find(name)
        if not isinstance(backend, StorageBackend):
            raise _cannot(name, action)
        return backend


def image_description(shape: Sequence[int], dtype: str | None) -> str:
    """Return what a message says of an image, e.g. ``256x256 uint16``."""
    size = "x".join(map(str, shape))
    return size if dtype is None else f"{size} {dtype}"


def _cannot(name: Backend | str, action: str) -> StorageResolutionError:
    return StorageResolutionError(
        f"storage backend {str(name)!r} cannot {action}; use a backend that can, such as 'disk'"
    )


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
