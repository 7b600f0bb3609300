"""An ImageXpress plate of blurred discs with several sites, channels and z planes."""

from itertools import product
from pathlib import Path

import numpy as np
import tifffile
from scipy.ndimage import gaussian_filter

_COLUMNS = 12
_BACKGROUND, _NOISE, _RADIUS_PX, _PX_PER_CELL = 500, 60, (5, 9), 4000


def write_plate(
    folder: Path,
    well_count: int,
    size: int,
    *,
    sites: int = 4,
    channels: int = 2,
    z_planes: int = 3,
) -> None:
    """Write the plate; the same for equal arguments.

    Parameters
    ----------
    size : int
        Height and width of an image, px; uint16.
    """
    lines = ['"HTSInfoFile", Version 1.0', '"TimePoints", 1', '"ZSeries", TRUE']
    rows = -(-well_count // _COLUMNS)
    lines += [f'"ZSteps", {z_planes}', '"ZProjection", FALSE']
    lines += [f'"XWells", {_COLUMNS}', f'"YWells", {rows}']
    for row in range(rows):
        numbers = range(row * _COLUMNS, (row + 1) * _COLUMNS)
        selected = ("TRUE" if number < well_count else "FALSE" for number in numbers)
        lines.append(f'"WellsSelection{row + 1}", {", ".join(selected)}')
    lines += [
        '"Sites", TRUE',
        f'"XSites", {sites}',
        '"YSites", 1',
        f'"SiteSelection1", {"TRUE, " * (sites - 1)}TRUE',
    ]
    lines += ['"Waves", TRUE', f'"NWavelengths", {channels}', '"PixelSizeUM", 0.65']
    for channel in range(1, channels + 1):
        lines += [f'"WaveName{channel}", "C{channel}"', f'"WaveCollect{channel}", 1']
    folder.mkdir(parents=True)
    (folder / "P.HTD").write_text("\n".join([*lines, '"EndFile"']) + "\n")
    for z in range(1, z_planes + 1):
        (folder / "TimePoint_1" / f"ZStep_{z}").mkdir(parents=True)
    for well, site, channel in product(range(well_count), range(sites), range(channels)):
        random = np.random.default_rng([well, site, channel])
        sharp = _discs(size, random)
        for z in range(z_planes):
            blurred = gaussian_filter(sharp, 1 + abs(z - z_planes // 2))
            image = blurred + random.normal(_BACKGROUND, _NOISE, sharp.shape)
            row, column = divmod(well, _COLUMNS)
            name = f"{chr(ord('A') + row)}{column + 1:02d}_s{site + 1}_w{channel + 1}.tif"
            path = folder / "TimePoint_1" / f"ZStep_{z + 1}" / name
            tifffile.imwrite(path, np.clip(image, 0, 65535).astype(np.uint16))


def _discs(size: int, random: np.random.Generator) -> np.ndarray:
    image = np.zeros((size, size), np.float32)
    largest = _RADIUS_PX[1]
    for _ in range(size * size // _PX_PER_CELL):
        at_y, at_x = random.integers(largest, size - largest, 2)
        radius, height = random.uniform(*_RADIUS_PX), random.uniform(4000, 16000)
        y, x = np.ogrid[-largest : largest + 1, -largest : largest + 1]
        disc = np.where(y * y + x * x < radius * radius, height, 0).astype(np.float32)
        part = image[at_y - largest : at_y + largest + 1, at_x - largest : at_x + largest + 1]
        np.maximum(part, disc, out=part)
    return image
