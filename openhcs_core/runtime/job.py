"""What a job is told, and where it finds the rest."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from openhcs_core.config import FrozenModel
from openhcs_core.errors import ConfigError, PlanChangedError
from openhcs_core.ground.paths import find_plan
from openhcs_core.plan import LOCATION, StepPlan, TilePlan, plan_digest
from openhcs_core.runtime.cache import ImageCache
from openhcs_core.runtime.devices import ProcessDevices
from openhcs_core.runtime.held import HeldStacks, RecentStacks
from openhcs_core.runtime.job_cache import JobCache

P = TypeVar("P", bound=FrozenModel)


class Location(FrozenModel):
    """Where things lie, and what a job may use, that no plan names: changing it reruns nothing.

    Attributes
    ----------
    plate_path : str
        The plate's folder or URL.
    cache_dir : str
        Computed images.
    plate_map : str or None
        CSV that is joined into plate tables.
    functions : dict
        Files of user modules, by library name.
    gpus : dict
        How many GPUs a step's jobs ask for, for those that ask for any.
    gpus_needed : tuple of str
        Steps of which the pipeline says so itself: without a GPU they do not run on the CPU.
    fallbacks : tuple of str
        What jobs may do when memory runs out.
    tiles : dict
        By digest of a step's plan and by group: which slices are worked on in parts.
    failed_wells : str
        ``leave_out``: a job whose well fails says so in its manifest, and others go on.
    """

    plate_path: str
    cache_dir: str
    plate_map: str | None = None
    functions: dict[str, str] = {}
    gpus: dict[str, int] = {}
    gpus_needed: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()
    tiles: dict[str, dict[str, TilePlan]] = {}
    failed_wells: Literal["report", "leave_out"] = "report"

    @property
    def leaves_out(self) -> bool:
        """Whether failed wells are left out."""
        return self.failed_wells == "leave_out"


@dataclass(frozen=True)
class Job:
    """One step of one plate.

    Attributes
    ----------
    plate_dir : Path
        ``results/<plate>``.
    step : str
        The step's name.
    digest : str or None
        Digest of the plan the job was started for; None takes the plan as it is.
    held : HeldStacks or None
        Images that steps of one job hand to each other; None where each has its own job.
    devices : ProcessDevices or None
        The GPUs of all that this process does; None where that is this job alone.
    recent : RecentStacks or None
        Images of jobs that this process has done; None where it does no other.
    """

    plate_dir: Path
    step: str
    digest: str | None = None
    held: HeldStacks | None = None
    devices: ProcessDevices | None = None
    recent: RecentStacks | None = None

    @cached_property
    def location(self) -> Location:
        """Where plate and cache lie."""
        path = self.plate_dir / LOCATION
        try:
            return Location.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise ConfigError(
                f"{path} is missing: {self.plate_dir} has not been compiled; "
                "run snakemake or 'openhcs-core compile' first"
            ) from error

    @property
    def cache(self) -> ImageCache:
        """The cache of computed images."""
        return ImageCache(Path(self.location.cache_dir), self.held, recent=self.recent)

    @property
    def results(self) -> JobCache:
        """The cache of what whole jobs gave."""
        return JobCache(Path(self.location.cache_dir))

    def read_step_plan(self, well: str) -> StepPlan:
        """Return the plan for a well: its own, or the step's, and check its digest.

        Raises
        ------
        ConfigError
            There is none, or it is damaged.
        PlanChangedError
            It is not the plan this job was started for.
        """
        return self.read_plan(find_plan(self.plate_dir, self.step, well), StepPlan)

    def read_plan(self, path: Path, model: type[P]) -> P:
        """Return any plan of this job and check its digest (see :meth:`read_step_plan`)."""
        try:
            plan, found = _read_plan(path, model)
        except FileNotFoundError as error:
            raise ConfigError(
                f"{path} is missing: step {self.step!r} is not part of the compiled pipeline; "
                "run snakemake, which compiles first"
            ) from error
        except ValidationError as error:
            raise ConfigError(f"{path} is damaged or of another version; compile again") from error
        if self.digest is not None and found != self.digest:
            raise PlanChangedError(
                f"{path} changed since this job was planned (expected digest {self.digest}, "
                f"found {found}); nothing was written, run snakemake again"
            )
        return plan


def _read_plan(path: Path, model: type[P]) -> tuple[P, str]:
    plan, digest = _parse_plan(model, path.read_bytes())
    assert isinstance(plan, model)
    return plan, digest


@lru_cache(maxsize=64)
def _parse_plan(model: type[FrozenModel], content: bytes) -> tuple[FrozenModel, str]:
    """Return a plan and its digest; jobs look at one more than once, wells have most in common."""
    plan = model.model_validate_json(content)
    return plan, plan_digest(plan)
