"""A plate's images under flat, uniform names, without copies or links."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from openhcs_core.constants import Backend
from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.backends.tiff_ import read_tiff_stack, run_parallel, unlike_error
from openhcs_core.storage.base import VirtualBackend
from openhcs_core.storage.listing import has_extension, in_natural_order, plane_filename
from openhcs_core.storage.locations import open_plate_source
from openhcs_core.storage.openhcs_zarr import OpenHCSZarr
from openhcs_core.storage.plate_source import PlateSource, is_inside, outside_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TIFF_ENDINGS = (".tif", ".tiff")
_READERS = (Backend.DISK, Backend.ZARR)


@dataclass(frozen=True, slots=True)
class SourceRef:
    """Where an image really is.

    Attributes
    ----------
    path : str
        Relative to the plate, with ``/``; in a zarr store the store's folder and the image's name.
    backend : str
        ``disk`` or ``zarr``.
    indices : tuple of int
        Which part of the file's leading axes; empty for a file of one plane.
    """

    path: str
    backend: str = Backend.DISK.value
    indices: tuple[int, ...] = ()

    @classmethod
    def parse(cls, entry: object) -> "SourceRef":
        """Read an entry of a ``workspace_mapping``: a path, or what OpenHCS writes instead.

        Raises
        ------
        InputDataError
            It is neither, or the path is not one inside a plate.
        """
        ref = cls(entry) if isinstance(entry, str) else cls._parse_object(entry)
        if not is_inside(ref.path):
            raise outside_error(ref.path, "that it belongs to")
        return ref

    @classmethod
    def _parse_object(cls, entry: object) -> "SourceRef":
        data = entry if isinstance(entry, Mapping) else {}
        path, backend = data.get("backend_address"), data.get("backend", Backend.DISK.value)
        indices = data.get("source_axis_indices", ())
        is_right = isinstance(indices, list | tuple) and all(
            type(index) is int and index >= 0 for index in indices
        )
        if not isinstance(path, str) or not is_right:
            raise InputDataError(
                f"expected a path inside the plate, or an object with backend_address, found "
                f"{entry!r}"
            )
        if backend not in _READERS:
            known = ", ".join(reader.value for reader in _READERS)
            raise InputDataError(f"backend {backend!r} of {path!r}: expected one of {known}")
        return cls(path, str(backend), tuple(indices))


class VirtualWorkspaceBackend(VirtualBackend):
    """Reads virtual names such as ``images/B02_s001_w1_z001_t001.tif`` from where they really are.

    It is read-only; the plate's folder is never written to.

    Parameters
    ----------
    plate_root : str, Path or PlateSource
        The plate's folder or URL. No file outside it is read, whatever the mapping or a link says.
    mapping : mapping of str to str, SourceRef or mapping
        Virtual path to real path, both relative to the plate with ``/`` between parts
        (``workspace_mapping`` of ``openhcs_metadata.json``, in the form of the specification or
        that of OpenHCS 0.8).
    """

    def __init__(self, plate_root: str | Path | PlateSource, mapping: Mapping[str, object]) -> None:
        self._source = open_plate_source(plate_root)
        self._entries = {PurePosixPath(virtual): real for virtual, real in mapping.items()}
        self._by_name: dict[str, list[PurePosixPath]] = {}
        for virtual in self._entries:
            self._by_name.setdefault(virtual.name, []).append(virtual)
        self._stores: dict[str, OpenHCSZarr] = {}

    def real_path(self, virtual_path: str | Path) -> Path | str:
        """Return the file behind a virtual path or its bare name; of a remote plate its URL.

        Raises
        ------
        InputDataError
            The plate has no such image, its file is missing, or lies outside the plate.
        StorageResolutionError
            A bare name that several folders share.
        """
        virtual, ref = self._find(virtual_path)
        with _naming(virtual):
            if ref.backend == Backend.ZARR:
                return self._store(ref).array_path(PurePosixPath(ref.path).name)
            return self._source.locate(ref.path)

    def load(self, file_path: str | Path, **options: Any) -> Any:
        """Read one image.

        Raises
        ------
        InputDataError
            See :meth:`real_path` and :meth:`DiskStorageBackend.load`.
        """
        self.real_path(file_path)
        virtual, ref = self._find(file_path)
        try:
            if ref.backend == Backend.ZARR:
                return self._store(ref).read(PurePosixPath(ref.path).name)
            image = self._source.load(ref.path, **options)
            return _take(image, ref, self._source.where(ref.path)) if ref.indices else image
        except InputDataError as error:
            error.add_note(f"read for the virtual path {virtual}")
            raise

    def load_batch(self, file_paths: Sequence[str | Path], **options: Any) -> list[Any]:
        """Read several images at once, in the order given."""
        images: list[Any] = [None] * len(file_paths)

        def read(number: int) -> None:
            images[number] = self.load(file_paths[number], **options)

        tasks = [partial(read, number) for number in range(len(images))]
        run_parallel(tasks, self._source.reader_threads)
        return images

    def load_stack(
        self, file_paths: Sequence[str | Path], shape: tuple[int, int], dtype: str
    ) -> "NDArray[Any]":
        """Read single planes straight into one stack, several files at once.

        Parameters
        ----------
        file_paths : sequence of str or Path
            Virtual paths, in stack order.
        shape : tuple of int
            ``(Y, X)`` in px of every plane.
        dtype : str
            numpy dtype name of every plane.

        Returns
        -------
        ndarray
            ``[Z, Y, X]``, C-contiguous, owned by the caller.

        Raises
        ------
        InputDataError
            See :meth:`load`, or a plane has another shape or dtype; both names are given.
        """
        import numpy as np

        found = [self._find(path) for path in file_paths]
        names = [f"{self._source.where(ref.path)} (read for {virtual})" for virtual, ref in found]
        if all(_is_single_tiff(ref) for _, ref in found):
            contents = [partial(self._content, virtual, ref) for virtual, ref in found]
            threads = self._source.reader_threads
            return read_tiff_stack(contents, names, shape, dtype, threads)
        stack: NDArray[Any] = np.empty((len(found), *shape), dtype)
        for number, image in enumerate(self.load_batch(file_paths)):
            if image.shape != shape or image.dtype != stack.dtype:
                raise unlike_error(names[number], stack[number], image.shape, str(image.dtype))
            stack[number] = image
        return stack

    def list_files(
        self,
        directory: str | Path,
        *,
        extensions: Sequence[str] | None = None,
        recursive: bool = False,
    ) -> list[str]:
        """Return the virtual paths in `directory` (``"."`` is the plate), in natural order."""
        folder = PurePosixPath(directory)
        return in_natural_order(
            str(virtual)
            for virtual in self._entries
            if has_extension(virtual.name, extensions)
            and (virtual.is_relative_to(folder) if recursive else virtual.parent == folder)
        )

    def generate_filename(self, metadata: Mapping[str, Any], **options: Any) -> str:
        """Return an image's virtual name: ``B02_s001_w1_z001_t001.tif``, the rule of every plate.

        Parameters
        ----------
        metadata : mapping
            ``well``, ``site``, ``channel``, ``z_index`` and ``timepoint``, all of them.
        **options
            None are known.

        Raises
        ------
        StorageResolutionError
            Components are missing or unknown, or no name can hold them.
        """
        return plane_filename(metadata)

    def exists(self, path: str | Path) -> bool:
        """Return whether the plate has an image of that virtual path or bare name, and its file."""
        try:
            _, ref = self._find(path)
            if ref.backend == Backend.ZARR:
                return self._store(ref).exists(PurePosixPath(ref.path).name)
        except InputDataError:
            return False
        return self._source.exists(ref.path)

    def describe(self, path: str | Path) -> str:
        """Return the real file and the virtual path."""
        return f"{self._source.where(self._find(path)[1].path)} (read for {path})"

    def _find(self, path: str | Path) -> tuple[PurePosixPath, SourceRef]:
        virtual = self._virtual(path)
        entry = self._entries[virtual]
        with _naming(virtual):
            return virtual, entry if isinstance(entry, SourceRef) else SourceRef.parse(entry)

    def _content(self, virtual: PurePosixPath, ref: SourceRef) -> Any:
        with _naming(virtual):
            return self._source.content(ref.path)

    def _store(self, ref: SourceRef) -> OpenHCSZarr:
        folder = PurePosixPath(ref.path).parent.as_posix()
        if folder not in self._stores:
            self._stores[folder] = OpenHCSZarr(self._source, folder)
        return self._stores[folder]

    def _virtual(self, path: str | Path) -> PurePosixPath:
        virtual = PurePosixPath(path)
        if virtual in self._entries:
            return virtual
        named = self._by_name.get(str(virtual), [])
        if len(named) > 1:
            raise StorageResolutionError(
                f"{virtual}: several images have this name: {', '.join(map(str, named))}; "
                "give the folder too"
            )
        if not named:
            raise InputDataError(
                f"{virtual}: the plate {self._source.name} has no such image; it has "
                f"{len(self._entries)}, listed in the index and in openhcs_metadata.json"
            )
        return named[0]


class _naming:  # noqa: N801  # reads as a statement; a generator costs five times as much
    """Put the virtual path before what is wrong with the real one."""

    def __init__(self, virtual: PurePosixPath) -> None:
        self._virtual = virtual

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputDataError):
            raise InputDataError(f"{self._virtual}: {error}") from error


def _is_single_tiff(ref: SourceRef) -> bool:
    is_file = ref.backend == Backend.DISK and not ref.indices
    return is_file and ref.path.lower().endswith(_TIFF_ENDINGS)


def _take(image: "NDArray[Any]", ref: SourceRef, name: str) -> "NDArray[Any]":
    """Return one plane of a file of several."""
    inside = all(index < size for index, size in zip(ref.indices, image.shape, strict=False))
    if len(ref.indices) != image.ndim - 2 or not inside:
        raise InputDataError(
            f"{name}: expected an image with planes {list(ref.indices)}, found shape "
            f"{list(image.shape)}; correct source_axis_indices or export the image again"
        )
    plane: NDArray[Any] = image[ref.indices].copy()
    return plane
