"""The thin executor: one step of one well, from its plan to its manifest.

Load, stack, call, unstack, save, materialize, commit. Everything is computed and written
under temporary names first; the plan is checked again before the first rename, and
the manifest is written last.
"""

import logging
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from openhcs_core.ground.atomic import temporary_name
from openhcs_core.ground.commit_records import forget_manifest, write_read_record
from openhcs_core.ground.stored import CacheRemovedError
from openhcs_core.ground.turn import Turn
from openhcs_core.plan import (
    KEPT_SINKS,
    StepPlan,
    digest_bytes,
    digest_text,
    plan_digest,
)
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.cache import ImageCache
from openhcs_core.runtime.calls import (
    FunctionLoader,
)
from openhcs_core.runtime.commit import commit, open_input, remember
from openhcs_core.runtime.computing import Computed, StackWork
from openhcs_core.runtime.digests import label_digest, plane_digest
from openhcs_core.runtime.fallbacks import FallbackNotes
from openhcs_core.runtime.held import HeldStacks
from openhcs_core.runtime.inputs import Recompute, WellInput
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.job_cache import JobResult
from openhcs_core.runtime.kept_images import kept_folder, restore_kept_images, write_kept_images
from openhcs_core.runtime.leave_shortcut import leave_shortcut
from openhcs_core.runtime.manifest import (
    FileRecord,
    Manifest,
)
from openhcs_core.runtime.means import job_means
from openhcs_core.runtime.measured import Stopwatch
from openhcs_core.runtime.outputs import label_plane
from openhcs_core.runtime.read_records import digests_of_read, records_digest
from openhcs_core.runtime.recompute import Recomputer
from openhcs_core.runtime.set_aside import SetAside
from openhcs_core.runtime.special_inputs import SpecialInputs
from openhcs_core.runtime.user_functions import with_user_functions
from openhcs_core.runtime.versions import check_versions

logger = logging.getLogger(__name__)

_HELD_BYTES = 32 * 2**20
"""Of a kept step's images, and of labels, that are in memory until they are written, at most."""


def execute_step(job: Job, well: str, load: FunctionLoader) -> None:
    """Do one step for one well and commit the result.

    Parameters
    ----------
    job : Job
        Plate, step, and the digest of the plan it was started for.
    well : str
        E.g. ``"B02"``.
    load : callable
        Gives the function of a reference.

    Raises
    ------
    SupersededError
        Another run started meanwhile.
    PlanChangedError
        The plan is another one, now or when the result is ready, or a user module has other
        code than planned: nothing is written.
    ConfigError
        A library is of another version than planned.
    InputDataError, StepFunctionError, OutOfMemoryError
        See there.
    """
    stopwatch = Stopwatch()
    work = _open_work(job, well, load)
    job, plan = work.job, work.plan
    FallbackNotes(job, well).forget_earlier()
    check_versions(plan)
    functions = with_user_functions(plan, job.location, load)
    earlier = _find_result(work)
    if earlier is not None and _put_back(work, earlier):
        leave_shortcut(job, plan, earlier.record.manifest, work.read, functions)
        return
    with _sinks(job, plan, well) as (sink, aside):
        with job_means(job, well) as means:
            read_from = work.source, work.specials
            tiles = job.location.tiles.get(plan_digest(plan), {})
            computed = StackWork(
                plan, well, *read_from, sink, aside, functions, means, tiles
            ).compute()
        read = {
            "inputs": dict(sorted(work.source.digests.items())),
            "special": work.specials.digests,
        }
        with work.turn:
            if plan.store is not None:
                images, labels = computed.images, computed.labels
                write_kept_images(job, plan, well, images, labels, sink, work.confirm)
            work.confirm()
            manifest = _manifest(plan, well, read, computed)
            commit(job, manifest, computed.files)
            folder = None if plan.store is None else kept_folder(job, plan, well)
            unread = work.unread if plan.source is None else None
            remember(job, manifest, computed.files, folder, unread)
            leave_shortcut(job, plan, manifest, work.read, functions)
            stopwatch.write(job.plate_dir, plan, well, folder, len(means.device.names))


def restore_step(job: Job, well: str) -> bool:
    """Commit what an equal job gave; return whether the cache has it. Nothing is computed.

    Raises
    ------
    SupersededError, PlanChangedError, InputDataError
        As for :func:`execute_step`.
    """
    work = _open_work(job, well, _no_functions)
    found = _find_unread(work) if work.plan.source is None else _find_result(work)
    return found is not None and _put_back(work, found)


def _no_functions(ref: str) -> Callable[..., Any]:
    raise AssertionError(f"{ref} was to be run where nothing is computed")


@dataclass(frozen=True)
class _Work:
    """A job with its plan and what it reads."""

    job: Job
    plan: StepPlan
    well: str
    turn: Turn
    source: WellInput
    specials: SpecialInputs
    read: dict[str, str]

    @property
    def read_digest(self) -> str:
        """One digest of all that says what is read."""
        return records_digest(self.read)

    def confirm(self) -> None:
        """Stop before anything is renamed when run, plan or input are no longer today's."""
        self.turn.check()
        self.job.read_step_plan(self.well)
        self.source.check_unchanged()
        self.specials.check_unchanged()
        forget_manifest(self.job.plate_dir, self.plan.step_name, self.well)
        write_read_record(self.job.plate_dir, self.plan.step_name, self.well, self.read_digest)

    @property
    def unread(self) -> str:
        """What tells equal work on the same plate, without reading its images."""
        return digest_text(f"{self.job.location.plate_path} {self.read_digest}")


def _open_work(job: Job, well: str, load: FunctionLoader) -> _Work:
    turn = Turn(job.plate_dir, well)
    plan = job.read_step_plan(well)
    read = digests_of_read(job.plate_dir, plan, well)
    job = replace(job, digest=plan_digest(plan))
    source = open_input(job, plan, well, _recomputer(job, load))
    specials = SpecialInputs(job.plate_dir, plan, well)
    return _Work(job, plan, well, turn, source, specials, read)


def _find_result(work: _Work) -> JobResult | None:
    """Return what an equal job gave.

    The plate's images are read for their digests only when this plan was carried out for this
    well before, and from an index that says something else: a first run reads them once.
    """
    digest, results = plan_digest(work.plan), work.job.results
    if not results.knows(digest, work.well):
        return None
    if work.plan.source is None and (found := _find_unread(work)) is not None:
        return found
    read = {"inputs": work.source.content_digests(), "special": work.specials.digests}
    return results.find(digest, work.well, read)


def _find_unread(work: _Work) -> JobResult | None:
    """Return what a job gave that read the same images of the plate, by its index."""
    return work.job.results.find_read(plan_digest(work.plan), work.well, work.unread)


def _put_back(work: _Work, result: JobResult) -> bool:
    """Commit what an equal job gave; return whether all of it was still in the cache."""
    job, plan, well = work.job, work.plan, work.well
    try:
        with work.turn:
            if plan.store is not None:
                fill = partial(job.results.place_kept, result)
                restore_kept_images(job, plan, well, fill, work.confirm)
            work.confirm()
            commit(job, result.record.manifest, result.files)
    except CacheRemovedError as error:
        logger.info("%s was removed meanwhile: computing", error)
        return False
    logger.info("step %r, well %s: taken from the cache, an equal job did it", job.step, well)
    return True


def compute_images(
    job: Job, well: str, load: FunctionLoader, planes: Collection[PlaneKey] = ()
) -> None:
    """Compute the images of a step and well into the cache, and nothing else.

    Parameters
    ----------
    planes : collection of PlaneKey
        All that is needed, unless empty: where they just pass through, nothing else is done.
    """
    plan = job.read_step_plan(well)
    check_versions(plan)
    load = with_user_functions(plan, job.location, load)
    specials = SpecialInputs(job.plate_dir, plan, well)
    source = open_input(job, plan, well, _recomputer(job, load))
    with _sinks(job, plan, well) as (_, aside), job_means(job, well) as means:
        tiles = job.location.tiles.get(plan_digest(plan), {})
        stacks = StackWork(plan, well, source, specials, job.cache, aside, load, means, tiles)
        stacks.compute_images(planes)


def _recomputer(job: Job, load: FunctionLoader) -> Recompute:
    """Return what recomputes lost images: here, of a step that this job does as well."""

    def recompute(step: str, well: str, planes: Collection[PlaneKey]) -> None:
        if job.held is not None and step in job.held.steps:
            own = Job(job.plate_dir, step, held=job.held, devices=job.devices)
            compute_images(own, well, load, planes)
        else:
            Recomputer(job)(step, well)

    return recompute


@contextmanager
def _sinks(job: Job, plan: StepPlan, well: str) -> Iterator[tuple[ImageCache, SetAside]]:
    """Give the cache, for a kept step one of its own, and a place for values beside images.

    What is not in the cache is gone afterwards; that of a job that is killed stays until the
    next run starts.
    """
    folder = job.plate_dir / KEPT_SINKS / job.step / f"{well}-{temporary_name()}"
    aside = SetAside(folder, _HELD_BYTES)
    try:
        if plan.store is None:
            yield job.cache, aside
        else:
            folder.mkdir(parents=True)
            held = HeldStacks(limit_bytes=_HELD_BYTES)
            yield ImageCache(folder, held, is_passing=True, recent=job.recent), aside
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _manifest(
    plan: StepPlan, well: str, read: dict[str, dict[str, str]], computed: Computed
) -> Manifest:
    return Manifest(
        digest=plan_digest(plan),
        step=plan.step_name,
        well=well,
        inputs=read["inputs"],
        special=read["special"],
        functions={function.ref: function.versions for function in plan.functions},
        images=computed.images,
        labels={
            name: label_digest(
                {key: plane_digest(label_plane(plane)) for key, plane in planes.items()}
            )
            for name, planes in computed.labels.items()
        },
        files={
            path: FileRecord(digest=digest_bytes(content), size_bytes=len(content))
            for path, content in computed.files.items()
        },
    )
