"""Small plates to run pipelines on."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile

_HTD = """"HTSInfoFile", Version 1.0
"TimePoints", 1
"ZSeries", FALSE
"XWells", 12
"YWells", 1
"WellsSelection1", {selected}
"Sites", TRUE
"XSites", 2
"YSites", 1
"SiteSelection1", TRUE, TRUE
"Waves", TRUE
"NWavelengths", 1
"WaveName1", "DAPI"
"WaveCollect1", 1
"EndFile"
"""
_BACKGROUND, _NUCLEUS, _RADIUS_PX = 200, 3000, 5


def write_imagexpress_plate(
    folder: Path, columns: Sequence[int], shape: tuple[int, int] = (64, 64), *, seed: int = 0
) -> None:
    """Write an ImageXpress export: row A, two sites, one wave, a few round nuclei in each field.

    Parameters
    ----------
    folder : Path
        Created with its ``P.HTD`` and ``TimePoint_1/``.
    columns : sequence of int
        Columns that have wells, of 1 to 12.
    shape : tuple of int
        ``(Y, X)`` of an image, px; uint16. The same for equal arguments.
    seed : int
        Another one gives other images.
    """
    selected = ("TRUE" if column in columns else "FALSE" for column in range(1, 13))
    (folder / "TimePoint_1").mkdir(parents=True)
    (folder / "P.HTD").write_text(_HTD.format(selected=", ".join(selected)), encoding="utf-8")
    y, x = np.mgrid[: shape[0], : shape[1]]
    for column, site in itertools.product(columns, (1, 2)):
        random = np.random.default_rng(1000 * seed + 10 * column + site)
        image = random.poisson(_BACKGROUND, shape)
        centres = random.integers(2 * _RADIUS_PX, min(shape) - 2 * _RADIUS_PX, (3 + site, 2))
        for at_y, at_x in centres:
            image[(y - at_y) ** 2 + (x - at_x) ** 2 < _RADIUS_PX**2] += _NUCLEUS
        tifffile.imwrite(image_path(folder, f"A{column:02d}", site), image.astype(np.uint16))


def image_path(plate: Path, well: str, site: int) -> Path:
    """Return where :func:`write_imagexpress_plate` puts an image."""
    return plate / "TimePoint_1" / f"P_{well}_s{site}_w1.TIF"
