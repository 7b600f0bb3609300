"""The plate map: what is in which well."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.plan import digest_bytes
from openhcs_core.planes import WELL_REGEX


@dataclass(frozen=True)
class PlateMap:
    """A checked plate map.

    Attributes
    ----------
    path : str
        As in the config.
    digest : str
        Of the file's bytes.
    wells : tuple of str
        In the order of the file.
    """

    path: str
    digest: str
    wells: tuple[str, ...]

    def find_warnings(self, wells: Sequence[str]) -> list[str]:
        """Return what of the plate's wells the map leaves out."""
        left = [well for well in wells if well not in self.wells]
        return [f"plate map {self.path} has no row for {', '.join(left)}"] if left else []


def read_plate_map(path: str) -> PlateMap:
    """Read and check a plate map.

    Raises
    ------
    ConfigError
        There is no such file.
    InputDataError
        It has no column ``well``, a well twice, or wells that are not written as ``B02``.
    """
    try:
        content = Path(path).read_bytes()
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    except OSError as error:
        raise ConfigError(f"plate map {path}: {error.strerror}; expected a CSV file") from error
    except UnicodeDecodeError as error:
        raise InputDataError(f"plate map {path} is not UTF-8 text; save it as CSV UTF-8") from error
    if not rows or "well" not in rows[0]:
        found = ", ".join(rows[0]) if rows else "no rows"
        raise InputDataError(f"plate map {path} needs a column 'well'; found {found}")
    wells = [row["well"] or "" for row in rows]
    wrong = [well for well in wells if not re.fullmatch(WELL_REGEX, well)]
    if wrong:
        raise InputDataError(
            f"plate map {path}: {', '.join(map(repr, wrong[:6]))} are not wells; write row letters "
            "and two digits, e.g. B02"
        )
    twice = sorted({well for well in wells if wells.count(well) > 1})
    if twice:
        raise InputDataError(f"plate map {path} has wells twice: {', '.join(twice)}; keep one row")
    return PlateMap(path, digest_bytes(content), tuple(wells))
