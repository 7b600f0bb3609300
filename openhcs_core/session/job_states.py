"""What a run left of each job: the words of ``status.csv``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from openhcs_core.plan import PlatePlan

State = Literal["done", "failed", "running", "not run"]


@dataclass(frozen=True)
class LastRun:
    """The run that a status is about.

    Attributes
    ----------
    started : float
        Modification time, in s, that files of this run are not older than.
    is_live : bool
        Whether it still goes on.
    """

    started: float
    is_live: bool = False


@dataclass(frozen=True)
class JobStatus:
    """One line of ``status.csv``.

    Attributes
    ----------
    well : str
        Empty for jobs of the whole plate.
    state : str
        ``done`` means every step of the well.
    step : str
        The step that failed, runs or is next; empty when all are done.
    exit_code : int or None
        Of the failed job; None when it was killed.
    reason, log : str
        Of the failed job. The log is relative to the plate's results.
    """

    well: str
    state: State
    step: str = ""
    exit_code: int | None = None
    reason: str = ""
    log: str = ""


@dataclass(frozen=True)
class PlateStatus:
    """What came of a plate.

    Attributes
    ----------
    plate : PlatePlan
        Its plan.
    jobs : tuple of JobStatus
        Wells in plate order, then jobs of the whole plate that are not done.
    done : dict
        Step name to the wells that have its current result; of a step over the plate, to
        :data:`~openhcs_core.plan.PLATE_TARGET` when it has one.
    tables : frozenset of str
        Plate tables, relative to the plate's results, that have all wells' current rows.
    without : dict
        Other results of the whole plate that are current, to the failed wells that they are
        without: plate tables, and steps over the plate.
    """

    plate: PlatePlan
    jobs: tuple[JobStatus, ...]
    done: Mapping[str, tuple[str, ...]]
    tables: frozenset[str]
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return all(job.state == "done" for job in self.jobs)

    @property
    def failed(self) -> tuple[JobStatus, ...]:
        """The jobs that failed."""
        return tuple(job for job in self.jobs if job.state == "failed")

    def count(self, state: State) -> int:
        """Return the number of wells in a state."""
        return len({job.well for job in self.jobs if job.state == state and job.well})
