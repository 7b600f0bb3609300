"""What jobs of earlier runs took: read for predictions, and for nothing else."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from openhcs_core.plan import Measurement, measurement_path

_SAMPLE = 16
"""Records that are read of a step: spread over its wells, however many these are."""


def read_measurements(folder: Path, steps: Iterable[str]) -> dict[str, tuple[Measurement, ...]]:
    """Return records of a plate's jobs by step; what cannot be read is left out.

    Parameters
    ----------
    folder : Path
        ``results/<plate>``.
    """
    return {step: tuple(_read(folder / measurement_path(step, "A01"))) for step in steps}


def _read(place: Path) -> Iterable[Measurement]:
    try:
        paths = sorted(path for path in place.parent.iterdir() if path.suffix == place.suffix)
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths[:: max(1, len(paths) // _SAMPLE)]:
        try:
            yield Measurement.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
