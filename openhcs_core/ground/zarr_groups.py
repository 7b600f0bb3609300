"""Files of the groups of OME-Zarr plates."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

OmeZarrVersion = Literal["0.5", "0.4"]
"""Versions of OME-Zarr that can be written."""

ZARR_GROUP_FILES: dict[OmeZarrVersion, str] = {"0.5": "zarr.json", "0.4": ".zattrs"}
"""The file that a group's metadata are in, by version of OME-Zarr; it is written last."""

V2_GROUP = ".zgroup"
"""A file more that groups of version 0.4 have."""


def remove_group(folder: Path, *, keep: Collection[str] = ()) -> None:
    """Remove a group's files of any version: what is below it is no part of it any more."""
    for name in (*ZARR_GROUP_FILES.values(), V2_GROUP):
        if name not in keep:
            (folder / name).unlink(missing_ok=True)
