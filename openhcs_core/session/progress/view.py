"""How far a run is at one moment: plain numbers, for any display."""

from dataclasses import dataclass
from typing import Literal

UnitState = Literal["waiting", "running", "done", "failed", "blocked"]
"""``blocked``: will not be done in this run, because something before it failed."""


@dataclass(frozen=True)
class StepView:
    """One step of a plate.

    Attributes
    ----------
    total : int
        Wells there are to be results of, those of earlier runs included.
    done, running, failed, blocked : int
        Wells in these states; all others wait.
    """

    name: str
    total: int
    done: int = 0
    running: int = 0
    failed: int = 0
    blocked: int = 0

    @property
    def waiting(self) -> int:
        """Wells whose turn comes in this run."""
        return self.total - self.done - self.running - self.failed - self.blocked


@dataclass(frozen=True)
class PlateView:
    """One plate.

    Attributes
    ----------
    steps : tuple of StepView
        In pipeline order.
    wells : dict
        Well to its state, all steps taken together, in plate order.
    """

    name: str
    steps: tuple[StepView, ...]
    wells: dict[str, UnitState]

    @property
    def is_active(self) -> bool:
        """Whether any of it is worked on."""
        return any(step.running for step in self.steps)

    @property
    def is_over(self) -> bool:
        """Whether this run does nothing more of it."""
        return not any(step.running or step.waiting for step in self.steps)


@dataclass(frozen=True)
class RunView:
    """A whole run.

    Attributes
    ----------
    done_jobs, total_jobs : int
        As the workflow engine counts them.
    running_jobs, failed_jobs : int
        Likewise.
    elapsed_s : float
        Since the first job.
    rate_per_s : float or None
        Jobs that ended lately; None before the first.
    left_s : float or None
        What the rest is estimated to take; None while there is nothing to go by.
    """

    done_jobs: int
    total_jobs: int
    running_jobs: int
    failed_jobs: int
    elapsed_s: float
    rate_per_s: float | None
    left_s: float | None
    plates: tuple[PlateView, ...]

    @property
    def fraction(self) -> float:
        """How much of the jobs is done, from 0 to 1."""
        return self.done_jobs / self.total_jobs if self.total_jobs else 0.0

    @property
    def is_over(self) -> bool:
        """Whether no job of the run is left that can be done."""
        if self.failed_jobs:
            return bool(self.plates) and all(plate.is_over for plate in self.plates)
        return 0 < self.total_jobs <= self.done_jobs
