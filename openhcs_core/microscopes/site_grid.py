"""Rows and columns of sites, from where the stage was."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import inf

_SAME_PLACE = 0.5
"""Two positions on an axis are one row or column when they are closer than this part of a step."""

_JITTER = 0.05
"""Gaps smaller than this part of the widest one are the stage's inaccuracy."""


def site_grid(
    positions: Mapping[int, tuple[float, float]],
) -> tuple[dict[int, tuple[int, int]], tuple[int, int] | None]:
    """Put sites on a grid.

    Parameters
    ----------
    positions : mapping of int to (float, float)
        x and y of each site in any one unit; y grows towards the last row.

    Returns
    -------
    grid : dict of int to (int, int)
        Row and column of each site, from 0. Empty when two sites are in one place: then
        positions do not tell them apart.
    dimensions : (int, int) or None
        Rows and columns, when the sites fill a rectangle.
    """
    axes = [sorted(set(values)) for values in zip(*positions.values(), strict=True)]
    gaps = [after - before for axis in axes for before, after in pairwise(axis)]
    # of both axes: sites in one row are as inaccurate across it
    jitter = max(gaps, default=0.0) * _JITTER
    columns, rows = (_ranks(axis, jitter) for axis in axes) if axes else ({}, {})
    grid = {site: (rows[y], columns[x]) for site, (x, y) in sorted(positions.items())}
    if len(set(grid.values())) < len(grid) or not grid:
        return {}, None
    row_count = max(row for row, _ in grid.values()) + 1
    column_count = max(column for _, column in grid.values()) + 1
    is_full = row_count * column_count == len(grid)
    return grid, (row_count, column_count) if is_full else None


def _ranks(ordered: Sequence[float], jitter: float) -> dict[float, int]:
    """Return the place of each value along an axis; rows without a site are counted too."""
    gaps = [after - before for before, after in pairwise(ordered)]
    step = min((gap for gap in gaps if gap > jitter), default=inf)
    ranks, place = {}, 0
    for number, value in enumerate(ordered):
        if number and gaps[number - 1] > _SAME_PLACE * step:
            place += max(1, round(gaps[number - 1] / step))
        ranks[value] = place
    return ranks
