"""Where sites are, by the stage positions in images; where and when each was taken."""

from collections.abc import Sequence

from openhcs_core.microscopes.imagexpress.metaseries import parse_metaseries
from openhcs_core.microscopes.plate_index import Acquisition, ImageFile
from openhcs_core.microscopes.samples import HeaderReader
from openhcs_core.microscopes.site_grid import site_grid
from openhcs_core.microscopes.tiff_header import parse_tiff_header
from openhcs_core.storage import PlateSource

_MOST_SITES = 200
"""More headers are not read to place sites."""

Grid = tuple[int, int] | None


def read_acquisition(source: PlateSource, path: str) -> Acquisition | None:
    """Return where and when an image was taken, None where it does not say: it is opened.

    Raises
    ------
    InputDataError
        It is no TIFF, or not to be trusted.
    OSError
        It cannot be read.
    """
    where = source.where(path)
    with source.open(path) as file:
        header = parse_tiff_header(file, where)
    said = parse_metaseries(header.description, where)
    found = Acquisition(
        said.stage_x_um, said.stage_y_um, None, said.acquired, stage_z_um=said.stage_z_um
    )
    return None if found == Acquisition() else found


def place_sites(
    images: Sequence[ImageFile], headers: HeaderReader, declared: Grid
) -> tuple[dict[int, tuple[int, int]], Grid, list[str]]:
    """Return row and column of each site, the grid's size, and warnings.

    Parameters
    ----------
    images : sequence of ImageFile
        In index order: the first well that has every site of the plate is looked at, one image a
        site.
    headers : HeaderReader
        Where the images are.
    declared : (int, int) or None
        Rows and columns that the HTD file declares; they stand, and are compared.
    """
    firsts: dict[str, dict[int, ImageFile]] = {}
    for image in images:
        firsts.setdefault(image[0][0], {}).setdefault(image[0][1], image)
    well = max(firsts, key=lambda name: len(firsts[name]))
    if len(firsts[well]) > _MOST_SITES:
        return {}, declared, []
    places = {}
    for site, image in firsts[well].items():
        sample = headers.try_read(image.path)
        x = sample.metadata.stage_x_um if sample is not None else None
        y = sample.metadata.stage_y_um if sample is not None else None
        if x is None or y is None:
            return {}, declared, []
        places[site] = (x, y)
    grid, found = site_grid(places)
    if declared is None or found is None or found == declared:
        return grid, declared or found, []
    warning = (
        f"the HTD file declares {declared[0]} x {declared[1]} sites but in well {well} the stage "
        f"was at {found[0]} x {found[1]}"
    )
    return grid, declared, [warning]
