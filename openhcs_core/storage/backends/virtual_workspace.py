"""A plate's images under flat, uniform names, without copies or links."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.backends.disk_ import DiskStorageBackend
from openhcs_core.storage.base import VirtualBackend
from openhcs_core.storage.listing import has_extension, in_natural_order


class VirtualWorkspaceBackend(VirtualBackend):
    """Reads virtual names such as ``images/B02_s001_w1_z001_t001.tif`` from where they really are.

    It is read-only; the plate's folder is never written to.

    Parameters
    ----------
    plate_root : Path
        The plate's folder. No file outside it is read, whatever the mapping or a link says.
    mapping : mapping of str to str
        Virtual path to real path, both relative to the plate with ``/`` between parts
        (``workspace_mapping`` of ``openhcs_metadata.json``).
    """

    def __init__(self, plate_root: str | Path, mapping: Mapping[str, str]) -> None:
        self._root = Path(plate_root)
        self._real = {PurePosixPath(virtual): real for virtual, real in mapping.items()}
        self._by_name: dict[str, list[PurePosixPath]] = {}
        for virtual in self._real:
            self._by_name.setdefault(virtual.name, []).append(virtual)
        self._disk = DiskStorageBackend()

    def real_path(self, virtual_path: str | Path) -> Path:
        """Return the file behind a virtual path or its bare name.

        Raises
        ------
        InputDataError
            The plate has no such image, its file is missing, or lies outside the plate.
        StorageResolutionError
            A bare name that several folders share.
        """
        virtual = self._virtual(virtual_path)
        root = self._root.resolve()
        real = self._root / self._real[virtual]
        if not real.resolve().is_relative_to(root):
            raise InputDataError(
                f"{virtual}: its real path {real} leaves the plate folder {root}; "
                "correct the mapping or copy the file into the plate"
            )
        if not real.is_file():
            raise InputDataError(
                f"{virtual}: its real file {real} is missing; copy it back, or index the plate "
                "again"
            )
        return real

    def load(self, file_path: str | Path, **options: Any) -> Any:
        """Read one image through the disk backend.

        Raises
        ------
        InputDataError
            See :meth:`real_path` and :meth:`DiskStorageBackend.load`.
        """
        real = self.real_path(file_path)
        try:
            return self._disk.load(real, **options)
        except InputDataError as error:
            error.add_note(f"read for the virtual path {file_path}")
            raise

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
            for virtual in self._real
            if has_extension(virtual.name, extensions)
            and (virtual.is_relative_to(folder) if recursive else virtual.parent == folder)
        )

    def exists(self, path: str | Path) -> bool:
        """Return whether the plate has an image of that virtual path or bare name, and its file."""
        try:
            return self.real_path(path).is_file()
        except InputDataError:
            return False

    def describe(self, path: str | Path) -> str:
        """Return the real file and the virtual path."""
        return f"{self.real_path(path)} (read for {path})"

    def _virtual(self, path: str | Path) -> PurePosixPath:
        virtual = PurePosixPath(path)
        if virtual in self._real:
            return virtual
        named = self._by_name.get(str(virtual), [])
        if len(named) > 1:
            raise StorageResolutionError(
                f"{virtual}: several images have this name: {', '.join(map(str, named))}; "
                "give the folder too"
            )
        if not named:
            raise InputDataError(
                f"{virtual}: the plate {self._root} has no such image; it has {len(self._real)}, "
                "listed in the index and in openhcs_metadata.json"
            )
        return named[0]
