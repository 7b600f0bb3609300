"""Files on disk, written whole or not at all."""

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.ground.atomic import replace_file, replace_files
from openhcs_core.ground.system_errors import is_there, naming_target
from openhcs_core.storage.backends.disk_formats import RAW, format_of, known_options
from openhcs_core.storage.backends.tiff_ import unreadable
from openhcs_core.storage.base import StorageBackend
from openhcs_core.storage.disk_mirroring import mirror_folder
from openhcs_core.storage.disk_moving import move_path
from openhcs_core.storage.listing import has_extension, in_natural_order


class DiskStorageBackend(StorageBackend):
    """The file system.

    A file's ending picks its format: ``.tif``/``.tiff``, ``.ome.tif``, ``.npy`` and ``.png`` hold
    arrays of any memory type with their dtype and values, ``.json`` plain data, ``.csv``/``.tsv``
    text or DataFrames, ``.parquet`` DataFrames, ``.txt`` text in UTF-8 and ``.zip`` bytes. Bytes
    are written as they are under any name. Each file is written under a temporary name in its
    folder and renamed. Hidden files are not listed.
    """

    def save(self, data: Any, identifier: str | Path, **options: Any) -> None:
        """Write one file, replacing what was there.

        Parameters
        ----------
        data : object
            What the file's format holds, or the file's content as bytes.
        identifier : str or Path
            The file; its folder is created where it is absent.
        **options
            ``pixel_size_um`` and ``compression`` (``"zstd"``) for TIFF; for OME-TIFF
            ``z_step_um``, ``axes`` and ``channel_names`` too. Those of zarr's chunks
            (``chunk_name``, ``zarr_config``) make no difference.

        Raises
        ------
        StorageResolutionError
            The ending is none this backend knows, `data` is not what the format holds, an
            option is not known, or the system does not let the file be written.
        DiskFullError
            There is no room for it.
        """
        path = Path(identifier)
        write = _writer(data, path, options)
        with naming_target(path):
            if path.is_dir():
                raise StorageResolutionError(f"{path}: is a folder; save under another name")
        with replace_file(path) as stream:
            write(stream)

    def save_batch(
        self, data_list: Sequence[Any], identifiers: Sequence[str | Path], **options: Any
    ) -> None:
        """Write several files; when one cannot be written, all names are left as they were."""
        paths = [Path(identifier) for identifier in identifiers]
        replace_files(
            (path, _writer(data, path, options))
            for data, path in zip(data_list, paths, strict=True)
        )

    def load(self, file_path: str | Path, *, raw: bool = False, **options: Any) -> Any:
        """Read one file.

        Parameters
        ----------
        file_path : str or Path
            The file.
        raw : bool
            Return its content as bytes, whatever its ending.
        **options
            ``as_table=True`` reads ``.csv`` and ``.tsv`` as a DataFrame. Those of zarr's chunks
            make no difference.

        Returns
        -------
        object
            For TIFF and NPY an array of the stored dtype in native byte order that the
            caller owns.

        Raises
        ------
        InputDataError
            The file is missing, empty, truncated or not what its ending says.
        StorageResolutionError
            The ending is none this backend knows, or an option is not known.
        """
        path = Path(file_path)
        file_format = RAW if raw else format_of(path)
        return file_format.read(path, **known_options(path, options, file_format.read_options))

    def list_files(
        self,
        directory: str | Path,
        *,
        extensions: Sequence[str] | None = None,
        recursive: bool = False,
    ) -> list[str]:
        """Return paths of the files in `directory`, in natural order, hidden ones left out.

        Links to files are listed, unless they lead nowhere; links to folders are not followed.

        Raises
        ------
        InputDataError
            `directory` is no folder, or a folder cannot be read.
        """
        folders = [_existing_folder(directory)]
        found = []
        while folders:
            for entry in _entries(folders.pop()):
                if recursive and entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif has_extension(entry.name, extensions) and _is_file(entry):
                    found.append(str(Path(entry.path)))
        return in_natural_order(found)

    def exists(self, path: str | Path) -> bool:
        """Return whether there is a file or folder at `path`."""
        try:
            return Path(path).exists()
        except OSError as error:
            raise unreadable(Path(path), error) from error

    def list_dir(self, path: str | Path) -> list[str]:
        """Return the names of entries in `path`, in natural order, hidden ones left out."""
        return in_natural_order(entry.name for entry in _entries(_existing_folder(path)))

    def ensure_directory(self, directory: str | Path) -> None:
        """Create `directory` and its parents where they are absent."""
        with naming_target(Path(directory), action="made"):
            Path(directory).mkdir(parents=True, exist_ok=True)

    def delete(self, path: str | Path) -> None:
        """Remove a file, a link or an empty folder.

        Raises
        ------
        InputDataError
            There is nothing at `path`.
        StorageResolutionError
            `path` is a folder that is not empty, or the system does not let it be removed.
        """
        path = Path(path)
        with naming_target(path, action="deleted"):
            if not is_there(path):
                raise unreadable(path, FileNotFoundError())
            if not path.is_dir() or path.is_symlink():
                path.unlink()
                return
            if any(path.iterdir()):
                raise StorageResolutionError(
                    f"{path}: folder is not empty; delete what is in it first"
                )
            path.rmdir()

    def move(
        self, source: str | Path, target: str | Path, *, replace_symlinks: bool = False
    ) -> None:
        """Rename; across disks, copy and rename. See :meth:`StorageBackend.move`.

        A link goes on pointing to the same. Of two that move to one name in the same moment
        the later wins.
        """
        move_path(Path(source), Path(target), replace_symlinks=replace_symlinks)

    def mirror_directory(
        self, source: str | Path, target: str | Path, *, overwrite_symlinks_only: bool = True
    ) -> int:
        """Make folders with absolute symbolic links. See :meth:`StorageBackend.mirror_directory`.

        Links lead to the files themselves, also where `source` has links; hidden files are left
        out.
        """
        return mirror_folder(
            _existing_folder(source),
            Path(target),
            overwrite_symlinks_only=overwrite_symlinks_only,
        )


def _writer(data: Any, path: Path, options: Mapping[str, Any]) -> Callable[[BinaryIO], None]:
    """Return what writes `data` as the ending wants it; bytes are content already."""
    file_format = RAW if isinstance(data, bytes) else format_of(path)
    known = known_options(path, options, file_format.write_options)
    return partial(file_format.write, data=data, path=path, **known)


def _existing_folder(directory: str | Path) -> Path:
    folder = Path(directory)
    try:
        is_folder = folder.is_dir()
    except OSError as error:
        raise unreadable(folder, error) from error
    if not is_folder:
        raise InputDataError(f"{folder}: no such folder; check the path")
    return folder


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Yield what is in a folder, hidden names left out."""
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except FileNotFoundError:  # removed since it was seen
        return
    except OSError as error:
        raise unreadable(folder, error) from error


def _is_file(entry: "os.DirEntry[str]") -> bool:
    """Return whether an entry is a file or a link that leads to one."""
    try:
        return entry.is_file()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False
        raise unreadable(Path(entry.path), error) from error
