"""Files on disk: TIFF, NPY, JSON and text, written whole or not at all."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.atomic import replace_file, replace_files
from openhcs_core.storage.backends.tiff_ import read_tiff, unreadable, write_tiff
from openhcs_core.storage.base import StorageBackend
from openhcs_core.storage.listing import has_extension, in_natural_order


@dataclass(frozen=True, slots=True)
class _Format:
    """How one kind of file is read and written."""

    read: Callable[[Path], Any]
    write: Callable[..., None]


class DiskStorageBackend(StorageBackend):
    """The file system.

    A file's ending picks its format: ``.tif``/``.tiff`` and ``.npy`` hold arrays with their
    dtype and values, ``.json`` plain data, ``.csv``/``.tsv``/``.txt`` text in UTF-8 and
    ``.zip`` bytes. Bytes are written as they are under any name. Each file is written under a
    temporary name in its folder and renamed. Hidden files are not listed.
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
            ``pixel_size_um`` for TIFF.

        Raises
        ------
        StorageResolutionError
            The ending is none this backend knows, or `data` is not what the format holds.
        """
        path = Path(identifier)
        write = _writer(data, path, options)
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
            None are known.

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
            The ending is none this backend knows.
        """
        path = Path(file_path)
        file_format = _RAW if raw else _format_of(path)
        return file_format.read(path, **options)

    def list_files(
        self,
        directory: str | Path,
        *,
        extensions: Sequence[str] | None = None,
        recursive: bool = False,
    ) -> list[str]:
        """Return paths of the files in `directory`, in natural order, hidden ones left out."""
        folder = _existing_folder(directory)
        found = folder.rglob("*") if recursive else folder.iterdir()
        return in_natural_order(
            str(path)
            for path in found
            if has_extension(path.name, extensions)
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)
            and path.is_file()
        )

    def exists(self, path: str | Path) -> bool:
        """Return whether there is a file or folder at `path`."""
        return Path(path).exists()

    def list_dir(self, path: str | Path) -> list[str]:
        """Return the names of entries in `path`, in natural order, hidden ones left out."""
        names = (entry.name for entry in _existing_folder(path).iterdir())
        return in_natural_order(name for name in names if not name.startswith("."))

    def ensure_directory(self, directory: str | Path) -> None:
        """Create `directory` and its parents where they are absent."""
        Path(directory).mkdir(parents=True, exist_ok=True)

    def delete(self, path: str | Path) -> None:
        """Remove a file or an empty folder.

        Raises
        ------
        InputDataError
            There is nothing at `path`.
        StorageResolutionError
            `path` is a folder that is not empty.
        """
        path = Path(path)
        if path.is_dir() and not path.is_symlink():
            if any(path.iterdir()):
                raise StorageResolutionError(
                    f"{path}: folder is not empty; delete what is in it first"
                )
            path.rmdir()
            return
        try:
            path.unlink()
        except OSError as error:
            raise unreadable(path, error) from error


def _writer(data: Any, path: Path, options: Mapping[str, Any]) -> Callable[[BinaryIO], None]:
    """Return what writes `data` as the ending wants it; bytes are content already."""
    file_format = _RAW if isinstance(data, bytes) else _format_of(path)
    return partial(file_format.write, data=data, path=path, **options)


def _existing_folder(directory: str | Path) -> Path:
    folder = Path(directory)
    if not folder.is_dir():
        raise InputDataError(f"{folder}: no such folder; check the path")
    return folder


def _format_of(path: Path) -> _Format:
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise StorageResolutionError(
            f"{path}: storage backend 'disk' knows no format for {path.suffix or 'no'!r} ending; "
            f"known: {', '.join(sorted(_FORMATS))}"
        ) from None


def _wrong_data(path: Path, expected: str, data: Any) -> StorageResolutionError:
    return StorageResolutionError(
        f"{path}: expected {expected} to save, found {type(data).__name__}; convert it first"
    )


def _require_array(data: Any, path: Path) -> None:
    import numpy as np

    if not isinstance(data, np.ndarray):
        raise _wrong_data(path, "a numpy array", data)
    if data.size == 0:
        raise InputDataError(f"{path}: expected an image to save, found an empty array")
    if data.dtype.hasobject:
        raise _wrong_data(path, "an array of numbers", data)


def _write_tiff(
    stream: BinaryIO, data: Any, path: Path, *, pixel_size_um: float | None = None
) -> None:
    _require_array(data, path)
    write_tiff(stream, data, pixel_size_um=pixel_size_um)


def _read_npy(path: Path) -> Any:
    import numpy as np

    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, EOFError) as error:
        raise InputDataError(
            f"{path}: expected an NPY file, found another or a truncated one ({error}); "
            "make it again"
        ) from error
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _write_npy(stream: BinaryIO, data: Any, path: Path) -> None:
    import numpy as np

    _require_array(data, path)
    np.save(stream, data, allow_pickle=False)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def _write_bytes(stream: BinaryIO, data: Any, path: Path) -> None:
    if not isinstance(data, bytes):
        raise _wrong_data(path, "bytes", data)
    stream.write(data)


def _read_text(path: Path) -> str:
    try:
        return _read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputDataError(
            f"{path}: expected text in UTF-8, found byte {error.object[error.start]:#04x} at "
            f"{error.start}; save it as UTF-8"
        ) from error


def _write_text(stream: BinaryIO, data: Any, path: Path) -> None:
    if not isinstance(data, str):
        raise _wrong_data(path, "text", data)
    stream.write(data.encode("utf-8"))


def _read_json(path: Path) -> Any:
    text = _read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputDataError(
            f"{path}: expected JSON, found {error.msg} at line {error.lineno}; mend or remake it"
        ) from error


def _write_json(stream: BinaryIO, data: Any, path: Path) -> None:
    try:
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StorageResolutionError(
            f"{path}: expected data that JSON can hold, found {error}"
        ) from error
    stream.write(f"{text}\n".encode())


_RAW = _Format(_read_bytes, _write_bytes)
_TIFF = _Format(read_tiff, _write_tiff)
_TEXT = _Format(_read_text, _write_text)
_FORMATS: Mapping[str, _Format] = MappingProxyType(
    {
        ".tif": _TIFF,
        ".tiff": _TIFF,
        ".npy": _Format(_read_npy, _write_npy),
        ".json": _Format(_read_json, _write_json),
        ".csv": _TEXT,
        ".tsv": _TEXT,
        ".txt": _TEXT,
        ".zip": _RAW,
    }
)
