"""How and where images are kept."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from openhcs_core.config.base import FrozenModel
from openhcs_core.config.names import check_name, check_path
from openhcs_core.ground.zarr_groups import OmeZarrVersion


class ZarrChunkStrategy(StrEnum):
    """How a field of an OME-Zarr plate is cut into files.

    WELL writes one shard a field with a chunk a plane inside it (few files), in OME-Zarr 0.4,
    which has no shards, one chunk a field; FILE writes one file a plane.
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
    compression_level: Annotated[int, Field(ge=0, le=9, strict=True, description="Of blosc")] = 1
    ome_zarr_version: Annotated[
        OmeZarrVersion, Field(description="0.5 is on zarr v3, 0.4 on zarr v2")
    ] = "0.5"
    pyramid_levels: Annotated[
        Annotated[int, Field(ge=1, le=16, strict=True)] | None,
        Field(
            description="Resolutions of an image, each half as high and wide as the one before; "
            "null: until neither side is over 256 px; 1: the image alone"
        ),
    ] = None
    max_shard_mb: Annotated[
        int,
        Field(
            ge=1,
            le=2000,  # a chunk of blosc's is below 2 GiB
            strict=True,
            description="Pixels that WELL puts into one file, before compression; larger fields "
            "have a file a timepoint, a channel or a plane",
        ),
    ] = 128


ImageBackend = Literal["zarr", "disk"]
"""Where kept images go: an OME-Zarr plate a step, or a TIFF a plane."""


def _check_sub_dir(folder: str) -> str:
    try:
        for part in folder.split("/"):
            check_name(part)
    except ValueError as error:
        raise ValueError(
            "expected a folder below results/<plate>/, such as checkpoints or checkpoints/first: "
            f"{error}"
        ) from error
    return folder


class MaterializeConfig(FrozenModel):
    """The ``materialize:`` key of a step: its images are kept, and how and where if it says."""

    backend: Annotated[
        ImageBackend | None, Field(description="null: as storage.materialization says")
    ] = None
    sub_dir: Annotated[
        Annotated[str, AfterValidator(_check_sub_dir)] | None,
        Field(description="Folder below results/<plate>/, such as checkpoints"),
    ] = None


class ImageStorageConfig(FrozenModel):
    """How kept images are stored: in the config for all, for a plate, or for a pipeline."""

    materialization: Annotated[
        ImageBackend,
        Field(description="Kept images: OME-Zarr plates, or a TIFF a plane"),
    ] = "zarr"
    zarr: ZarrConfig = ZarrConfig()


class VFSConfig(ImageStorageConfig):
    """The config's ``storage:`` section: kept images, and the cache of all others."""

    cache_dir: Annotated[
        Annotated[str, AfterValidator(check_path)] | None,
        Field(description="Folder of computed images; null means <results>/.cache"),
    ] = None
    cache_gb: Annotated[float, Field(gt=0, strict=True)] = 50.0
    check_space: Annotated[
        bool,
        Field(strict=True, description="Refuse to start what disks have no room for, as predicted"),
    ] = True
