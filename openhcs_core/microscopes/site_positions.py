"""Where a plate's sites are, when every well says the same."""

from collections.abc import Mapping

from openhcs_core.microscopes.plate_index import Acquisition
from openhcs_core.microscopes.site_grid import site_grid
from openhcs_core.planes import PlaneKey

_SAME_PLACE_UM = 2.0
"""Wells that differ by no more have their sites in the same places: positions are rounded."""


class SitePositions:
    """The grid of a plate's sites, by positions within the well.

    Attributes
    ----------
    grid : dict of int to (int, int)
        Row and column of each site; empty when the positions do not say, or wells differ.
    dimensions : (int, int) or None
        Rows and columns, when sites fill a rectangle.
    warnings : list of str
        Why there is no grid though there are positions.
    """

    def __init__(self, acquisitions: Mapping[PlaneKey, Acquisition]) -> None:
        self.grid: dict[int, tuple[int, int]] = {}
        self.dimensions: tuple[int, int] | None = None
        self.warnings: list[str] = []
        places: dict[int, tuple[float, float]] = {}
        for (well, site, *_), (x, y, *_) in acquisitions.items():
            if x is None or y is None:
                continue
            place = places.get(site)
            if place is None:
                place = places[site] = (x, y)
            x0, y0 = place
            if x == x0 and y == y0:  # 1e6 times, mostly so
                continue
            if abs(x - x0) > _SAME_PLACE_UM or abs(y - y0) > _SAME_PLACE_UM:
                self.warnings.append(
                    f"site {site} lies elsewhere in well {well} than in others: there is no grid "
                    "of sites"
                )
                return
        self.grid, self.dimensions = site_grid(places)
