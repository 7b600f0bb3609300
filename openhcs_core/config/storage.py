"""How and where images are kept."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from openhcs_core.config.base import FrozenModel


class ZarrChunkStrategy(StrEnum):
    """How a field of an OME-Zarr plate is cut into files.

    WELL writes one shard a field with a chunk a plane inside it (few files);
    FILE writes one file a plane.
    """

    WELL = "WELL"
    FILE = "FILE"


class ZarrCompressor(StrEnum):
    """Codecs for chunks, all lossless."""

    ZSTD = "ZSTD"
    LZ4 = "LZ4"
    NONE = "NONE"


class ZarrConfig(FrozenModel):
    """Layout and compression of OME-Zarr plates."""

    chunk_strategy: ZarrChunkStrategy = ZarrChunkStrategy.WELL
    compressor: ZarrCompressor = ZarrCompressor.ZSTD
    compression_level: Annotated[int, Field(ge=0, le=9, description="Of blosc")] = 1
    ome_zarr_version: Literal["0.5"] = "0.5"


ImageBackend = Literal["zarr", "disk"]
"""Where kept images go: an OME-Zarr plate a step, or a TIFF a plane."""


class MaterializeConfig(FrozenModel):
    """The ``materialize:`` key of a step: its images are kept, by a backend of its own."""

    backend: ImageBackend


class VFSConfig(FrozenModel):
    """The ``storage:`` section: the backend of kept images, and the cache of all others."""

    materialization: Annotated[
        ImageBackend,
        Field(description="Kept images: OME-Zarr plates, or a TIFF a plane"),
    ] = "zarr"
    cache_dir: Annotated[
        str | None, Field(description="Folder of computed images; null means <results>/.cache")
    ] = None
    cache_gb: Annotated[float, Field(gt=0)] = 50.0
    zarr: ZarrConfig = ZarrConfig()
