"""Planes of zarr arrays in a plate, named by one string: ``A/01/0/0/[0,1,2]``.

The array's folder, then the indices of its leading axes: such a name can stand wherever a plate's
index has the path of an image file.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from openhcs_core.errors import InputDataError
from openhcs_core.storage.backends.tiff_ import MOST_IMAGE_BYTES
from openhcs_core.storage.bounded_json import parse_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from openhcs_core.storage.plate_source import PlateSource

_REFERENCE = re.compile(r"(?P<array>.+)/\[(?P<indices>[0-9]+(?:,[0-9]+)*)?\]", re.DOTALL)
_METADATA = {"zarr.json": "zarr3", ".zarray": "zarr"}
_MAX_BYTES = 16 << 20
_MOST_CACHE_BYTES = 256 << 20
_OWN_MARKS = ("openhcs", "polystore_filename_map", "openhcs_filename_map")
"""Attributes of those who write every chunk, so that one that is not there has been lost."""

_FAILURES = (OSError, ValueError, LookupError, RuntimeError, NotImplementedError)


class PlaneReference(NamedTuple):
    """A plane: the file or folder of its array, and indices of the leading axes."""

    array: str
    indices: tuple[int, ...]


class ZarrStatus(NamedTuple):
    """Size of all files of an array, and what changes with any of them."""

    st_size: int | None
    st_mtime_ns: int | str | None


def plane_reference(array: str, indices: Sequence[int]) -> str:
    """Return the name of a plane."""
    return f"{array}/[{','.join(map(str, indices))}]"


def parse_reference(path: str) -> PlaneReference | None:
    """Read a plane's name back; None for the path of a file."""
    match = _REFERENCE.fullmatch(path) if path.endswith("]") else None
    if match is None:
        return None
    indices = match["indices"]
    return PlaneReference(match["array"], tuple(map(int, indices.split(","))) if indices else ())


def read_json(source: "PlateSource", path: str) -> dict[str, Any]:
    """Read a metadata file of a plate.

    Raises
    ------
    InputDataError
        It is missing, too long, or no JSON object.
    """
    raw = source.read(path, _MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise InputDataError(f"{source.where(path)} has more than {_MAX_BYTES} bytes")
    try:
        content = parse_json(raw)
    except ValueError as error:
        raise InputDataError(f"{source.where(path)} is not JSON: {error}; copy it again") from error
    if not isinstance(content, dict):
        raise InputDataError(f"{source.where(path)}: expected a JSON object, found {content!r:.80}")
    return content


def array_status(source: "PlateSource", array: str) -> ZarrStatus:
    """Return size and state of an array here: of all its files, without opening them."""
    from xxhash import xxh3_128_hexdigest

    files = sorted(_files_below(source, f"{array}/"))
    state = xxh3_128_hexdigest(json.dumps(files, separators=(",", ":")).encode())
    return ZarrStatus(sum(size for _, size, _ in files), f"files {state}")


def _files_below(source: "PlateSource", folder: str) -> Iterator[tuple[str, int, int]]:
    for entry in source.list_folder(folder):
        if entry.is_dir():
            yield from _files_below(source, f"{folder}{entry.name}/")
        else:
            status = entry.stat()
            yield folder + entry.name, int(status.st_size or 0), int(status.st_mtime_ns or 0)


def metadata_file(source: "PlateSource", array: str) -> str:
    """Return the file that makes a folder an array, of zarr v3 or v2.

    Raises
    ------
    InputDataError
        There is none.
    """
    for name in _METADATA:
        if source.exists(f"{array}/{name}"):
            return f"{array}/{name}"
    raise InputDataError(
        f"{source.where(array)} has neither {' nor '.join(_METADATA)}: the array is not there; "
        "copy the store again"
    )


class ZarrPlanes:
    """Reads planes of the arrays of one plate; each array is opened once.

    Parameters
    ----------
    source : PlateSource
        The plate.
    folder : Path or None
        Where it is here; arrays of other plates are fetched chunk by chunk.
    """

    def __init__(self, source: "PlateSource", folder: Path | None) -> None:
        self._source, self._folder = source, folder
        self._arrays: dict[str, _Opened] = {}

    def read(self, plane: PlaneReference) -> "NDArray[Any]":
        """Read one plane ``[Y, X]``, dtype as stored in native byte order, owned by the caller.

        Raises
        ------
        InputDataError
            There is no such plane, or its array is damaged or, where every chunk was written,
            incomplete.
        """
        import numpy as np

        where = self._source.where(plane.array)
        opened = self._arrays.get(plane.array)
        if opened is None:
            opened = self._arrays[plane.array] = self._open(plane.array)
        shape = opened.shape
        inside = all(i < size for i, size in zip(plane.indices, shape, strict=False))
        if len(plane.indices) != len(shape) - 2 or not inside:
            raise InputDataError(
                f"{where}: there is no plane {list(plane.indices)} in an array of shape "
                f"{list(shape)}; index the plate again"
            )
        try:
            array = opened.array if self._folder else self._fetch(plane, opened)
            pixels: NDArray[Any] = np.array(array[plane.indices].read().result())
        except _FAILURES as error:
            raise InputDataError(
                f"{where}: plane {list(plane.indices)} is missing or damaged ({error}); copy the "
                "store again"
            ) from error
        return pixels

    def _open(self, array: str) -> "_Opened":
        file = metadata_file(self._source, array)
        metadata = read_json(self._source, file)
        has_all_chunks = self._has_all_chunks(array)
        form = ChunkForm.parse(metadata, self._source.where(file))
        if self._folder is None:
            return _Opened(form.shape, file, form, has_all_chunks, None)
        real = self._source.locate(file)
        assert isinstance(real, Path)
        path = f"{real.absolute().parent}/"
        driver = _METADATA[real.name]
        chunk = (
            min(prod(form.chunks) * 8, _MOST_CACHE_BYTES)
            if any(size > 1 for size in form.chunks[:-2])
            else 0
        )
        try:
            opened = _open_array(
                driver,
                {"driver": "file", "path": path},
                has_all_chunks=has_all_chunks,
                cache_bytes=chunk,
            )
        except _FAILURES as error:
            raise InputDataError(
                f"{self._source.where(array)}: the array cannot be opened ({error}); copy the "
                "store again"
            ) from error
        return _Opened(form.shape, file, form, has_all_chunks, opened)

    def _has_all_chunks(self, array: str) -> bool:
        """Return whether its writer leaves no chunk out: then missing ones were lost."""
        folders = (array, array.rpartition("/")[0])
        for path in (f"{f}/{name}" for f in folders for name in ("zarr.json", ".zattrs")):
            if self._source.exists(path):
                content = read_json(self._source, path)
                attributes = content.get("attributes", content)
                if isinstance(attributes, Mapping) and any(m in attributes for m in _OWN_MARKS):
                    return True
        return False

    def _fetch(self, plane: PlaneReference, opened: "_Opened") -> Any:
        """Fetch the chunks of a plane and return an array that has these."""
        import tensorstore

        context = tensorstore.Context()
        store = tensorstore.KvStore.open({"driver": "memory"}, context=context).result()
        name = opened.file.rpartition("/")[2]
        for key in (name, *opened.form.keys_of(plane.indices)):
            path = f"{plane.array}/{key}"
            if self._source.exists(path):
                content = self._source.content(path)
                raw = content.read_bytes() if isinstance(content, Path) else content.read()
                store.write(key, raw).result()
        return _open_array(
            _METADATA[name],
            {"driver": "memory"},
            has_all_chunks=opened.has_all_chunks,
            context=context,
        )


class _Opened(NamedTuple):
    """An array that was looked at; `array` is None where it is not on this machine."""

    shape: tuple[int, ...]
    file: str
    form: "ChunkForm"
    has_all_chunks: bool
    array: Any


class ChunkForm(NamedTuple):
    """How an array is cut into files.

    Attributes
    ----------
    shape, chunks : tuple of int
        Of the array, and of the part in one file.
    prefix : tuple of str
        What the names of these files begin with.
    separator : str
        What stands between numbers in their names.
    dtype : str
        numpy dtype name in native byte order.
    """

    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    prefix: tuple[str, ...]
    separator: str
    dtype: str

    @classmethod
    def parse(cls, metadata: Mapping[str, Any], where: str) -> "ChunkForm":
        """Read a ``zarr.json`` or ``.zarray``.

        Raises
        ------
        InputDataError
            It says what no image has.
        """
        try:
            form = cls._parse_v3(metadata) if "data_type" in metadata else cls._parse_v2(metadata)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise InputDataError(
                f"{where}: expected metadata of an array of images, found {error!r}; copy the "
                "store again"
            ) from error
        numbers = (*form.shape, *form.chunks)
        is_right = all(type(number) is int and 0 < number < 1 << 40 for number in numbers)
        if not is_right or len(form.shape) != len(form.chunks) or len(form.shape) < 2:
            raise InputDataError(
                f"{where}: shape {list(form.shape)} in chunks of {list(form.chunks)} is that of no "
                "image; copy the store again"
            )
        plane_bytes = prod(form.shape[-2:]) * int(re.sub("[a-z]", "", form.dtype)) // 8
        if plane_bytes > MOST_IMAGE_BYTES:
            raise InputDataError(
                f"{where}: planes of {plane_bytes} bytes; at most {MOST_IMAGE_BYTES} are read"
            )
        return form

    @classmethod
    def _parse_v3(cls, metadata: Mapping[str, Any]) -> "ChunkForm":
        encoding = metadata.get("chunk_key_encoding", {"name": "default"})
        is_default = encoding["name"] == "default"
        separator = encoding.get("configuration", {}).get("separator", "/" if is_default else ".")
        return cls(
            tuple(metadata["shape"]),
            tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"]),
            ("c",) if is_default else (),
            separator,
            _dtype_name(str(metadata["data_type"])),
        )

    @classmethod
    def _parse_v2(cls, metadata: Mapping[str, Any]) -> "ChunkForm":
        typestr = str(metadata["dtype"])
        kinds = {"u": "uint", "i": "int", "f": "float"}
        return cls(
            tuple(metadata["shape"]),
            tuple(metadata["chunks"]),
            (),
            metadata.get("dimension_separator", "."),
            _dtype_name(f"{kinds[typestr[1]]}{8 * int(typestr[2:])}"),
        )

    def keys_of(self, indices: Sequence[int]) -> Iterator[str]:
        """Yield the files that hold parts of a plane."""
        lead = [index // size for index, size in zip(indices, self.chunks, strict=False)]
        tail = [
            range(-(-size // chunk))
            for size, chunk in zip(self.shape[-2:], self.chunks[-2:], strict=True)
        ]
        for place in product(*tail):
            yield self.separator.join((*self.prefix, *map(str, (*lead, *place))))


def _dtype_name(name: str) -> str:
    if re.fullmatch("u?int(8|16|32|64)|float(16|32|64)", name) is None:
        raise ValueError(f"pixels of type {name}")
    return name


def _open_array(
    driver: str,
    kvstore: Mapping[str, str],
    *,
    has_all_chunks: bool,
    cache_bytes: int = 0,
    context: Any = None,
) -> Any:
    import tensorstore

    spec = {
        "driver": driver,
        "kvstore": dict(kvstore),
        "fill_missing_data_reads": not has_all_chunks,
    }
    if context is None:
        # chunks of several planes are kept, or each would be decoded once for each of its planes
        context = tensorstore.Context({"cache_pool": {"total_bytes_limit": cache_bytes}})
    return tensorstore.open(spec, open=True, read=True, context=context).result()
