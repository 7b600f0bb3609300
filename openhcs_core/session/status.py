"""What is done, what failed and why: read from manifests and failure records."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from openhcs_core.errors import EXIT_STOPPED, InputDataError
from openhcs_core.plan import (
    CompiledPipeline,
    PlatePlan,
    StepPlan,
    index_path,
    log_path,
    manifest_path,
    plan_digest,
)
from openhcs_core.runtime import Manifest, read_failure, read_manifest

State = Literal["done", "failed", "running", "not run"]
_STOPPED = "ended without a message: killed, or out of memory; its log says how far it came"


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
        Wells in plate order, then jobs of the whole plate that failed.
    done : dict
        Step name to the wells that have its current result.
    """

    plate: PlatePlan
    jobs: tuple[JobStatus, ...]
    done: dict[str, tuple[str, ...]]

    @property
    def failed(self) -> tuple[JobStatus, ...]:
        """The jobs that failed."""
        return tuple(job for job in self.jobs if job.state == "failed")

    def count(self, state: State) -> int:
        """Return the number of wells in a state."""
        return len({job.well for job in self.jobs if job.state == state and job.well})


def read_status(compiled: CompiledPipeline, run: LastRun) -> list[PlateStatus]:
    """Return what came of each plate."""
    return [
        _read_plate(plate, Path(compiled.results) / plate.name, run) for plate in compiled.plates
    ]


def _read_plate(plate: PlatePlan, folder: Path, run: LastRun) -> PlateStatus:
    jobs: list[JobStatus] = []
    done: dict[str, list[str]] = {plan.step_name: [] for plan in plate.steps}
    digests: dict[int, str] = {}
    for well in plate.wells:
        plans = [plate.step_plan(plan, well) for plan in plate.steps]
        for plan in plans:
            digests.setdefault(id(plan), plan_digest(plan))
        reader = _WellReader(folder, well, run, {p.step_name: digests[id(p)] for p in plans})
        jobs += reader.read(plans)
        for step in reader.manifests:
            done[step].append(well)
    jobs += _failed_plate_jobs(plate, folder)
    return PlateStatus(plate, tuple(jobs), {step: tuple(wells) for step, wells in done.items()})


class _WellReader:
    """Follows the steps of one well; `manifests` has those whose result is current."""

    def __init__(self, folder: Path, well: str, run: LastRun, digests: dict[str, str]) -> None:
        self._folder, self._well, self._run, self._digests = folder, well, run, digests
        self.manifests: dict[str, Manifest] = {}

    def read(self, plans: list[StepPlan]) -> list[JobStatus]:
        """Return one line when all is done or nothing failed, else one a failed step."""
        found = []
        for plan in plans:
            waits = plan.source is not None and plan.source not in self.manifests
            if not waits and not self._is_current(plan):
                found.append(self._describe(plan))
        begun = [job for job in found if job.state != "not run"]
        return begun or found[:1] or [JobStatus(self._well, "done")]

    def _is_current(self, plan: StepPlan) -> bool:
        path = self._folder / manifest_path(plan.step_name, self._well)
        try:
            manifest = read_manifest(path)
        except (FileNotFoundError, InputDataError):
            return False
        if manifest.digest != self._digests[plan.step_name]:
            return False
        if plan.source is None:
            # a changed index makes snakemake read the plate again
            current = not _is_newer(self._folder / index_path(self._well), path.stat().st_mtime)
        else:
            made = self.manifests[plan.source].plane_digests()
            current = manifest.inputs.items() <= made.items()
        if current:
            self.manifests[plan.step_name] = manifest
        return current

    def _describe(self, plan: StepPlan) -> JobStatus:
        step, log = plan.step_name, log_path(plan.step_name, self._well)
        failure = read_failure(self._folder, step, self._well)
        if failure is not None and failure.digest in (None, self._digests[step]):
            state: State = "not run" if failure.exit_code == EXIT_STOPPED else "failed"
            return JobStatus(self._well, state, step, failure.exit_code, failure.message, log)
        if not _is_newer(self._folder / log, self._run.started):
            return JobStatus(self._well, "not run", step)
        if self._run.is_live:
            return JobStatus(self._well, "running", step, log=log)
        return JobStatus(self._well, "failed", step, None, _STOPPED, log)


def _failed_plate_jobs(plate: PlatePlan, folder: Path) -> Iterator[JobStatus]:
    """Yield the tables and plate metadata that could not be written."""
    jobs = [(table.step_name, table.file, plan_digest(table)) for table in plate.tables]
    jobs += [(store.step_name, "store", plan_digest(store)) for store in plate.stores]
    for step, target, digest in jobs:
        failure = read_failure(folder, step, target)
        if failure is not None and failure.digest in (None, digest):
            log = log_path(step, target)
            yield JobStatus("", "failed", step, failure.exit_code, failure.message, log)


def _is_newer(path: Path, than: float) -> bool:
    try:
        return path.stat().st_mtime > than
    except FileNotFoundError:
        return False
