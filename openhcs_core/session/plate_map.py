"""The plate map: what is in which well."""

import csv
import io
from pathlib import Path

from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.plan import digest_bytes


def read_plate_map(path: str) -> str:
    """Check a plate map and return the digest of its bytes.

    Raises
    ------
    ConfigError
        There is no such file.
    InputDataError
        It has no column ``well``, or a well twice.
    """
    try:
        content = Path(path).read_bytes()
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    except OSError as error:
        raise ConfigError(f"plate map {path}: {error.strerror}; expected a CSV file") from error
    except UnicodeDecodeError as error:
        raise InputDataError(f"plate map {path} is not UTF-8 text") from error
    if not rows or "well" not in rows[0]:
        found = ", ".join(rows[0]) if rows else "no rows"
        raise InputDataError(f"plate map {path} needs a column 'well'; found {found}")
    wells = [row["well"] for row in rows]
    twice = sorted({well for well in wells if wells.count(well) > 1})
    if twice:
        raise InputDataError(f"plate map {path} has wells twice: {', '.join(twice)}; keep one row")
    return digest_bytes(content)
