"""What a job of the workflow is about, read from the files it declares."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from openhcs_core.plan import PLATE_TARGET
from openhcs_core.planes import WELL_REGEX

_MANIFEST = re.compile(r"(?P<plate_dir>.+)/manifests/(?P<step>[^/]+)/(?P<target>[^/]+)\.json")
_LOG = re.compile(r"(?P<plate_dir>.+)/logs/(?P<step>[^/]+)/(?P<target>[^/]+)\.log")
_WELL = re.compile(WELL_REGEX)


class Unit(NamedTuple):
    """A step of a well, or another thing that is done once: a table, a store's metadata.

    Attributes
    ----------
    plate : str
        Its name.
    step : str
        The step's name.
    target : str
        A well, or ``plate`` for a step over all of them, the file name of a table, ``store``.
    """

    plate: str
    step: str
    target: str

    @property
    def is_well(self) -> bool:
        """Whether it is of one well."""
        return _WELL.fullmatch(self.target) is not None

    @property
    def is_plate(self) -> bool:
        """Whether it is a step over the whole plate."""
        return self.target == PLATE_TARGET


@dataclass(frozen=True)
class JobUnits:
    """The units that one job does: usually one, more where steps or wells share a job.

    Attributes
    ----------
    plate_dir : str
        ``results/<plate>``, as the workflow writes it.
    units : tuple of Unit
        At least one.
    """

    plate_dir: str
    units: tuple[Unit, ...]


def units_of(outputs: Iterable[str], logs: Sequence[str]) -> JobUnits | None:
    """Return what a job does; None for a job that is none of a step's.

    Parameters
    ----------
    outputs, logs : sequence of str
        The files that the job declares.
    """
    found = [match for match in map(_MANIFEST.fullmatch, outputs) if match]
    if not found:  # tables and the metadata of stores have no manifest
        found = [match for match in map(_LOG.fullmatch, logs) if match]
    if not found:
        return None
    units = (
        Unit(PurePosixPath(match["plate_dir"]).name, match["step"], match["target"])
        for match in found
    )
    return JobUnits(found[0]["plate_dir"], tuple(units))
