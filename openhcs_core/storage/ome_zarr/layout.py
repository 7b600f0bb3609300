"""How an array of image planes is cut into files, and the JSON that says so."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from openhcs_core.config import ZarrChunkStrategy, ZarrCompressor, ZarrConfig
from openhcs_core.errors import InputDataError
from openhcs_core.storage.bounded_json import parse_json

AXES = ("t", "c", "z", "y", "x")
ARRAY_FILES = {"0.5": "zarr.json", "0.4": ".zarray"}
"""Where an array's metadata are, by version of OME-Zarr."""
DTYPES = frozenset(
    {"bool", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)
_MB = 10**6
_BLOSC_LIMIT_BYTES = 2**31 - 17
_BIT_SHUFFLE = 2
_INDEX_CODECS: list[dict[str, Any]] = [
    {"name": "bytes", "configuration": {"endian": "little"}},
    {"name": "crc32c"},
]
_MANY = 2**40
"""More planes than any array has."""

Place = tuple[int, int, int]
"""Index ``(t, c, z)`` of a plane, or a number of planes along these axes."""


@dataclass(frozen=True, slots=True)
class Block:
    """What goes into one file of an array.

    Attributes
    ----------
    planes : (int, int, int)
        Planes along t, c, z.
    is_shard : bool
        It is a shard with a chunk a plane inside it, not a chunk.
    """

    planes: Place
    is_shard: bool


def choose_block(outer: Place, plane_bytes: int, config: ZarrConfig) -> Block:
    """Return what goes into one file: as much as `config` says and its limit allows.

    With WELL that is the whole field; of a field over ``max_shard_mb`` a timepoint, of one that
    is over it still a channel of it, else a plane. A chunk of several planes is built in memory.

    Parameters
    ----------
    outer : (int, int, int)
        Length of the axes t, c, z.
    plane_bytes : int
        Of one plane, not compressed.
    config : ZarrConfig
        Strategy and limit.
    """
    _, channels, slices = outer
    is_shard = config.ome_zarr_version == "0.5"
    if config.chunk_strategy is ZarrChunkStrategy.WELL:
        for planes in (outer, (1, channels, slices), (1, 1, slices)):
            if prod(planes) * plane_bytes <= config.max_shard_mb * _MB:
                return Block(planes, is_shard)
    return Block((1, 1, 1), is_shard=False)


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """One array.

    Attributes
    ----------
    shape : tuple of int
        ``(t, c, z, y, x)``.
    dtype : str
        numpy's name.
    block : Block
        What goes into one file.
    config : ZarrConfig
        Codec and version.
    """

    shape: tuple[int, int, int, int, int]
    dtype: str
    block: Block
    config: ZarrConfig

    @property
    def file(self) -> str:
        """Name of the file with the array's metadata."""
        return ARRAY_FILES[self.config.ome_zarr_version]

    @property
    def block_shape(self) -> tuple[int, ...]:
        """Shape of what is in one file, ``(t, c, z, y, x)``."""
        return (*self.block.planes, *self.shape[3:])

    def block_of(self, place: Place) -> Place:
        """Return the number of the block that a plane is in, along t, c, z."""
        t, c, z = (at // size for at, size in zip(place, self.block.planes, strict=True))
        return t, c, z

    def number_in_block(self, place: Place) -> int:
        """Return how many planes of its block come before one."""
        _, channels, slices = self.block.planes
        t, c, z = (at % size for at, size in zip(place, self.block.planes, strict=True))
        return (t * channels + c) * slices + z

    def file_of(self, place: Place) -> str:
        """Return the file that a plane is in, relative to its array."""
        begin = ["c"] if self.config.ome_zarr_version == "0.5" else []
        return "/".join([*begin, *map(str, self.block_of(place)), "0", "0"])

    def metadata(self) -> dict[str, Any]:
        """Return the JSON of the array: zarr v3 for OME-Zarr 0.5, zarr v2 for 0.4."""
        return self._v3() if self.config.ome_zarr_version == "0.5" else self._v2()

    def planes_metadata(self) -> dict[str, Any]:
        """Return the JSON of an array ``[N, Y, X]`` with chunks like those in a shard."""
        shape = self.shape[3:]
        return self._plain(_MANY, shape, self.dtype, self._codecs())

    def index_metadata(self) -> dict[str, Any]:
        """Return the JSON of an array ``[1, N, 2]`` with a chunk like the index of a shard."""
        return self._plain(1, (prod(self.block.planes), 2), "uint64", _INDEX_CODECS)

    def check(self, name: str) -> None:
        """Refuse planes that the codec cannot take.

        Raises
        ------
        InputDataError
            A plane, called `name`, is over the 2 GiB that blosc compresses at once.
        """
        chunk = (1, 1, 1, *self.shape[3:]) if self.block.is_shard else self.block_shape
        size_bytes = prod(chunk) * self._itemsize
        is_compressed = self.config.compressor is not ZarrCompressor.NONE
        if is_compressed and size_bytes > _BLOSC_LIMIT_BYTES:
            raise InputDataError(
                f"{name}: expected an image below 2 GiB, which is what blosc compresses at once, "
                f"found {size_bytes} bytes; set storage.zarr.compressor: NONE, or make it smaller"
            )

    @property
    def _itemsize(self) -> int:
        import numpy as np

        return np.dtype(self.dtype).itemsize

    def _fill_value(self) -> bool | float | int:
        if self.dtype == "bool":
            return False
        return 0.0 if self.dtype.startswith("float") else 0

    def _v3(self) -> dict[str, Any]:
        codecs = self._codecs()
        if self.block.is_shard:
            sharding = {
                "chunk_shape": [1, 1, 1, *self.shape[3:]],
                "codecs": codecs,
                "index_codecs": _INDEX_CODECS,
                "index_location": "end",
            }
            codecs = [{"name": "sharding_indexed", "configuration": sharding}]
        grid = {"chunk_shape": list(self.block_shape)}
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.dtype,
            "chunk_grid": {"name": "regular", "configuration": grid},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": self._fill_value(),
            "codecs": codecs,
            "dimension_names": list(AXES),
            "attributes": {},
        }

    def _plain(
        self, count: int, chunk: tuple[int, ...], dtype: str, codecs: list[dict[str, Any]]
    ) -> dict[str, Any]:
        grid = {"chunk_shape": [1, *chunk]}
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [count, *chunk],
            "data_type": dtype,
            "chunk_grid": {"name": "regular", "configuration": grid},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": self._fill_value() if dtype == self.dtype else 0,
            "codecs": codecs,
            "attributes": {},
        }

    def _codecs(self) -> list[dict[str, Any]]:
        codecs: list[dict[str, Any]] = [{"name": "bytes"}]
        if self._itemsize > 1:
            codecs[0]["configuration"] = {"endian": "little"}
        if self.config.compressor is not ZarrCompressor.NONE:
            blosc = {
                "typesize": self._itemsize,
                "cname": self.config.compressor.lower(),
                "clevel": self.config.compression_level,
                "shuffle": "bitshuffle",
                "blocksize": 0,
            }
            codecs.append({"name": "blosc", "configuration": blosc})
        return codecs

    def _v2(self) -> dict[str, Any]:
        import numpy as np

        blosc = {
            "id": "blosc",
            "cname": self.config.compressor.lower(),
            "clevel": self.config.compression_level,
            "shuffle": _BIT_SHUFFLE,
            "blocksize": 0,
        }
        return {
            "zarr_format": 2,
            "shape": list(self.shape),
            "chunks": list(self.block_shape),
            "dtype": np.dtype(self.dtype).newbyteorder("<").str,
            "compressor": None if self.config.compressor is ZarrCompressor.NONE else blosc,
            "fill_value": self._fill_value(),
            "order": "C",
            "filters": None,
            "dimension_separator": "/",
        }


def array_file(folder: Path) -> Path:
    """Return the file with the metadata of the array in `folder`.

    Raises
    ------
    InputDataError
        There is none of either version.
    """
    for name in ARRAY_FILES.values():
        if (folder / name).is_file():
            return folder / name
    raise InputDataError(
        f"{folder}: expected an array, found neither {' nor '.join(ARRAY_FILES.values())}; write "
        "the well again"
    )


def read_dtype(folder: Path) -> str:
    """Return the dtype that the metadata of an array name.

    Raises
    ------
    InputDataError
        They are missing or damaged.
    """
    import numpy as np

    file = array_file(folder)
    try:
        metadata = parse_json(file.read_bytes())
        key = "data_type" if file.name == ARRAY_FILES["0.5"] else "dtype"
        return str(np.dtype(metadata[key]).name)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputDataError(f"{file}: damaged ({error}); write the well again") from error
