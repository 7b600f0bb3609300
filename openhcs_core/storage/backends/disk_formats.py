"""Which format a file's ending stands for, and which options reading and writing it takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.backends.ome_tiff_ import write_ome_tiff
from openhcs_core.storage.backends.png_ import read_png, write_png
from openhcs_core.storage.backends.tables_ import read_csv, read_parquet, write_csv, write_parquet
from openhcs_core.storage.backends.text_ import (
    read_bytes,
    read_json,
    read_text,
    write_bytes,
    write_json,
    write_text,
)
from openhcs_core.storage.backends.tiff_ import read_tiff, unreadable, write_tiff
from openhcs_core.storage.host_arrays import host_array

OPTIONS_OF_CHUNKS = frozenset({"chunk_name", "zarr_config"})
"""Which wells go together and how they are cut: backends with a file an image leave them aside."""


@dataclass(frozen=True, slots=True)
class Format:
    """How one kind of file is read and written.

    Attributes
    ----------
    holds : str
        What may be saved in it, for people.
    read : callable
        Takes a path and `read_options`.
    write : callable
        Takes a stream, data, path and `write_options`.
    read_options, write_options : frozenset of str
        Keywords that `read` and `write` take.
    """

    holds: str
    read: Callable[..., Any]
    write: Callable[..., None]
    read_options: frozenset[str] = frozenset()
    write_options: frozenset[str] = frozenset()


def format_of(path: Path) -> Format:
    """Return the format of a file's ending, case ignored.

    Raises
    ------
    StorageResolutionError
        There is none for it.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    for ending in ("".join(suffixes[-2:]), "".join(suffixes[-1:])):
        if ending in FORMATS:
            return FORMATS[ending]
    raise StorageResolutionError(
        f"{path}: storage backend 'disk' knows no format for {path.suffix or 'no'!r} ending; "
        f"known: {', '.join(sorted(FORMATS))}"
    )


def known_options(path: Path, given: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return the options that a format takes, without those of chunks.

    Raises
    ------
    StorageResolutionError
        There is an option that it does not know.
    """
    wrong = given.keys() - known - OPTIONS_OF_CHUNKS
    if wrong:
        raise StorageResolutionError(
            f"{path}: no option {', '.join(sorted(wrong))} here; known: "
            f"{', '.join(sorted(known | OPTIONS_OF_CHUNKS))}"
        )
    return {name: value for name, value in given.items() if name in known}


def _write_tiff(stream: BinaryIO, data: Any, path: Path, **options: Any) -> None:
    write_tiff(stream, host_array(data, path), name=path, **options)


def _write_ome_tiff(stream: BinaryIO, data: Any, path: Path, **options: Any) -> None:
    write_ome_tiff(stream, host_array(data, path), path, **options)


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
    if array.size == 0:
        raise InputDataError(f"{path}: expected an array, found an empty one; make it again")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _write_npy(stream: BinaryIO, data: Any, path: Path) -> None:
    import numpy as np

    np.save(stream, host_array(data, path), allow_pickle=False)


RAW = Format("bytes", read_bytes, write_bytes)
_TIFF = Format(
    "images and stacks, any dtype",
    read_tiff,
    _write_tiff,
    write_options=frozenset({"pixel_size_um", "compression"}),
)
_OME_TIFF = Format(
    "images and stacks with axes and channel names",
    read_tiff,
    _write_ome_tiff,
    write_options=frozenset({"pixel_size_um", "z_step_um", "axes", "channel_names", "compression"}),
)
_TABLE = Format("text, or a DataFrame", read_csv, write_csv, read_options=frozenset({"as_table"}))
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        ".tif": _TIFF,
        ".tiff": _TIFF,
        ".ome.tif": _OME_TIFF,
        ".ome.tiff": _OME_TIFF,
        ".npy": Format("arrays of any rank and dtype", _read_npy, _write_npy),
        ".png": Format("greys of 8 and 16 bits, colours of 8", read_png, write_png),
        ".json": Format("plain data", read_json, write_json),
        ".csv": _TABLE,
        ".tsv": _TABLE,
        ".parquet": Format("a DataFrame", read_parquet, write_parquet),
        ".txt": Format("text", read_text, write_text),
        ".zip": RAW,
    }
)
"""By ending."""
