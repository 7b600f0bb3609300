"""OME-Zarr plates as other software writes them: by zarr-python, from the specification's text."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHANNELS = ("DAPI, 405", "GFP")
SCALE_UM = (1.5, 0.325, 0.325)
WELLS = {"A01": "A/1", "B12": "B/12"}
"""Columns without a leading zero, as many write them."""

SHAPE = (6, 8)


def write_foreign_plate(
    folder: Path, version: str, *, sites: int = 2, z_count: int = 3
) -> dict[str, NDArray[Any]]:
    """Write a plate of two wells with axes c, z, y, x; return its planes by virtual name.

    Parameters
    ----------
    folder : Path
        Becomes the plate.
    version : {"0.4", "0.5"}
        Of OME-Zarr, which decides that of zarr.
    sites, z_count : int
        Fields a well, and planes a stack.
    """
    import zarr

    zarr_format: Any = 2 if version == "0.4" else 3

    def make(path: str, ome: dict[str, Any]) -> None:
        attributes: Any = ome if version == "0.4" else {"ome": {"version": version, **ome}}
        zarr.open_group(
            folder / path, mode="w", zarr_format=zarr_format, attributes=attributes
        )  # fmt: skip

    rows, columns = ["A", "B"], ["1", "12"]
    plate = {
        "name": "foreign",
        "rows": [{"name": row} for row in rows],
        "columns": [{"name": column} for column in columns],
        "wells": [
            {"path": path, "rowIndex": number, "columnIndex": number}
            for number, path in enumerate(WELLS.values())
        ],
        "field_count": sites,
    }
    make("", {"plate": plate})
    random = np.random.default_rng(7)
    planes = {}
    for well, path in WELLS.items():
        make(path, {"well": {"images": [{"path": str(site)} for site in range(sites)]}})
        for site in range(sites):
            pixels = random.integers(1, 65536, (len(CHANNELS), z_count, *SHAPE)).astype(np.uint16)
            make(f"{path}/{site}", _image(version))
            array = zarr.create_array(
                folder / path / str(site) / "full",
                shape=pixels.shape,
                chunks=(1, 2, 4, 8),
                dtype=pixels.dtype,
                zarr_format=zarr_format,
            )
            array[...] = pixels
            for c, z in np.ndindex(pixels.shape[:2]):
                name = f"{well}_s{site + 1:03d}_w{c + 1}_z{z + 1:03d}_t001.tif"
                planes[name] = pixels[c, z]
    return planes


def _image(version: str) -> dict[str, Any]:
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    scale = {"type": "scale", "scale": [1.0, *SCALE_UM]}
    multiscale = {
        **({"version": version} if version == "0.4" else {}),
        "axes": axes,
        "datasets": [{"path": "full", "coordinateTransformations": [scale]}],
    }
    return {
        "multiscales": [multiscale],
        "omero": {"channels": [{"label": name, "color": "FFFFFF"} for name in CHANNELS]},
    }
