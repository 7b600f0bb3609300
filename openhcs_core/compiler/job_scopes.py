"""What one job does: runs of steps, batches of wells."""

from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import Literal

from openhcs_core.compiler.request import CompileRequest
from openhcs_core.constants import MemoryType
from openhcs_core.plan import BatchAim, JobResources, StepPlan, StepPrediction
from openhcs_core.planes import split_well

Scopes = tuple[tuple[str, ...], ...]
_LEAST_S, _FAR_OFF = 0.1, 3


def fuse_steps(
    plans: Sequence[StepPlan],
    resources: Mapping[str, JobResources],
    granularity: Literal["step", "fused"],
) -> Scopes:
    """Return the steps of each job, in pipeline order; nothing where each is a job of its own.

    A step joins the one before it when it reads that one's images and these are not kept: kept
    images are where a later edit begins again, whatever became of the cache. Both have to use
    the same device, and one no array library that the other does without: some libraries
    cannot be in one process.

    Parameters
    ----------
    plans : sequence of StepPlan
        With the functions of all wells.
    """
    if granularity == "step":
        return ()
    runs: list[list[StepPlan]] = [[plan] for plan in plans[:1]]
    for before, plan in pairwise(plans):
        if _reads_on(before, plan) and _can_share(runs[-1], plan, resources):
            runs[-1].append(plan)
        else:
            runs.append([plan])
    return tuple(tuple(plan.step_name for plan in run) for run in runs)


def _reads_on(before: StepPlan, plan: StepPlan) -> bool:
    of_well = not (plan.is_plate_wide or before.is_plate_wide)
    return of_well and plan.source == before.step_name and before.store is None


def _can_share(
    run: Sequence[StepPlan], plan: StepPlan, resources: Mapping[str, JobResources]
) -> bool:
    """Return whether a process that does a run of steps may do another one."""
    devices = {
        (resources[one.step_name].gpu, resources[one.step_name].gpu_model) for one in (*run, plan)
    }
    there, needed = frozenset[MemoryType]().union(*map(_libraries, run)), _libraries(plan)
    return len(devices) == 1 and (there <= needed or needed <= there)


def _libraries(plan: StepPlan) -> frozenset[MemoryType]:
    kinds = {
        kind
        for function in plan.functions
        for kind in (function.input_memory_type, function.output_memory_type)
    }
    return frozenset(kinds - {MemoryType.NUMPY, MemoryType.UNKNOWN})


def aim_batches(
    request: CompileRequest,
    runs: Sequence[tuple[str, ...]],
    predictions: Mapping[str, StepPrediction],
) -> BatchAim:
    """Return how many wells a job does.

    Where the config says ``auto``: as many as the longest run of steps is predicted to do in the
    minutes that are aimed at. What was chosen before stays until it is far off: predictions get
    better from run to run, and jobs that are cut anew all the time help nobody.

    Parameters
    ----------
    runs : sequence of tuple of str
        Steps of each job of wells.
    """
    minutes = request.minutes_per_job
    if request.wells_per_job != "auto":
        return BatchAim(minutes=minutes, wells=request.wells_per_job)
    well_s = {step: took.cpu_s - took.start_s for step, took in predictions.items()}
    longest_s = max((sum(well_s[step] for step in run) for run in runs), default=0.0)
    wells = max(1, min(len(request.wells), int(minutes * 60 / max(longest_s, _LEAST_S))))
    before = request.aimed
    is_kept = before is not None and (request.keeps_aim or _is_near(before.wells, wells))
    if before is not None and before.minutes == minutes and is_kept:
        return before
    return BatchAim(minutes=minutes, wells=wells)


def _is_near(before: int, now: int) -> bool:
    return before <= _FAR_OFF * now and now <= _FAR_OFF * before


def batch_wells(wells: Sequence[str], size: int) -> Scopes:
    """Return the wells of each job, in plate order; nothing where each is a job of its own.

    A batch ends with its row, so that batches of several rows are alike and can be tasks of one
    cluster array. Rows of fewer wells than a batch may have are put together whole.
    """
    if size == 1:
        return ()
    batches: list[tuple[str, ...]] = []
    room = 0  # for whole rows in the last batch
    for _, members in groupby(wells, key=lambda well: split_well(well)[0]):
        row = tuple(members)
        if len(row) <= room:
            batches[-1] += row
            room -= len(row)
        else:
            batches += [row[start : start + size] for start in range(0, len(row), size)]
            room = max(0, size - len(row))
    return tuple(batches)
