"""Several steps, wells or both in one job: one after another, each committed by itself.

Every step and well gives what a job of its own would give, to the byte, and leaves its own
manifest, log and failure record. A well that fails ends there; the others go on.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from openhcs_core.errors import (
    OpenHCSError,
    PlanChangedError,
    SupersededError,
    WellsFailedError,
)
from openhcs_core.plan import JobScope, StepPlan, job_digest, plan_digest
from openhcs_core.runtime.calls import FunctionLoader
from openhcs_core.runtime.devices import ProcessDevices
from openhcs_core.runtime.failures import recorded
from openhcs_core.runtime.held import HeldStacks, RecentStacks
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.left_out import execute_or_leave_out
from openhcs_core.runtime.means import libraries_of
from openhcs_core.runtime.out_of_memory import naming_out_of_memory

logger = logging.getLogger(__name__)

_Plans = dict[tuple[str, str], StepPlan]
Begin = Callable[[str, str], None]
"""Called with step and well before each is begun."""


def execute_shared_job(
    plate_dir: Path,
    scope: JobScope,
    digest: str | None,
    load: FunctionLoader,
    begin: Begin,
    recent: RecentStacks | None = None,
) -> None:
    """Do every step of every well and commit each result.

    Parameters
    ----------
    plate_dir : Path
        ``results/<plate>``.
    digest : str or None
        Of all plans, see :func:`~openhcs_core.plan.job_digest`; None takes them as they are.
    recent : RecentStacks or None
        Images of jobs that this process has done.

    Raises
    ------
    PlanChangedError
        A plan is another one than the job was started for; before anything is done.
    SupersededError
        Another run started meanwhile.
    OpenHCSError
        What the only well failed with.
    WellsFailedError
        Some of several wells failed; the others are done.
    """
    plans = _read_plans(plate_dir, scope, digest)
    functions = (function for plan in plans.values() for function in plan.functions)
    libraries = dict.fromkeys(kind for function in functions for kind in libraries_of(function))
    failures: list[tuple[str, OpenHCSError]] = []
    with ExitStack() as stack:
        devices = ProcessDevices(stack, libraries)
        for well in scope.wells:
            try:
                _do_well(plate_dir, scope.steps, well, plans, devices, load, begin, recent)
            except SupersededError:
                raise  # the run that took over does all that is left
            except OpenHCSError as error:
                if len(scope.wells) == 1:
                    raise
                logger.error("%s", error)  # noqa: TRY400  its text is the message
                failures.append((well, error))
    if failures:
        raise WellsFailedError(len(scope.wells), tuple(failures))


def _do_well(
    plate_dir: Path,
    steps: tuple[str, ...],
    well: str,
    plans: _Plans,
    devices: ProcessDevices,
    load: FunctionLoader,
    begin: Begin,
    recent: RecentStacks | None,
) -> None:
    """Do all steps of one well."""
    held = HeldStacks(frozenset(steps)) if len(steps) > 1 else None
    for step in steps:
        begin(step, well)
        if held is not None:
            held.is_read_here = step != steps[-1]
        job = Job(plate_dir, step, plan_digest(plans[step, well]), held, devices, recent)
        with recorded(job, well), naming_out_of_memory(f"step {step!r}, well {well}"):
            execute_or_leave_out(job, well, load)
        if held is not None:
            held.hand_on()


def _read_plans(plate_dir: Path, scope: JobScope, digest: str | None) -> _Plans:
    """Return the plan of each step and well."""
    plans: dict[tuple[str, str], StepPlan] = {
        (step, well): Job(plate_dir, step).read_step_plan(well) for step, well in scope.members
    }
    found = job_digest([plan_digest(plan) for plan in plans.values()])
    if digest not in (None, found):
        raise PlanChangedError(
            f"plans in {plate_dir / 'plan'} changed since this job was planned (expected digest "
            f"{digest}, found {found}); nothing was written, run snakemake again"
        )
    return plans
