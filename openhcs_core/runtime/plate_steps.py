"""One step of a whole plate: all wells' images, or plate tables, to one set of outputs."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from openhcs_core.errors import (
    InputDataError,
    PlanChangedError,
    StepFunctionError,
    shortened,
)
from openhcs_core.ground.commit_records import forget_manifest, write_read_record
from openhcs_core.ground.turn import Turn
from openhcs_core.memory import get_framework
from openhcs_core.plan import (
    PLATE_TARGET,
    FunctionPlan,
    GroupPlan,
    StepPlan,
    digest_bytes,
    plan_digest,
    source_wells,
    taken_manifests,
)
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.calls import (
    FunctionLoader,
    SpecialValue,
    reporting,
    seeded_parameters,
)
from openhcs_core.runtime.commit import commit, open_input, remember
from openhcs_core.runtime.groups import group_planes
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.manifest import (
    FileRecord,
    Manifest,
    WellFailure,
    find_failed,
    is_partial,
    read_manifest,
)
from openhcs_core.runtime.means import Means, job_means, libraries_of
from openhcs_core.runtime.measured import Stopwatch
from openhcs_core.runtime.outputs import make_files
from openhcs_core.runtime.plate_images import PlateImages
from openhcs_core.runtime.read_records import digest_of_read
from openhcs_core.runtime.recompute import Recomputer
from openhcs_core.runtime.seeds import call_seed
from openhcs_core.runtime.special_inputs import SpecialInputs, choose_value
from openhcs_core.runtime.table_inputs import TableInputs
from openhcs_core.runtime.user_functions import with_user_functions
from openhcs_core.runtime.versions import check_versions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Call:
    """A function over the plate, and the images it gets; none for one of plate tables alone."""

    group: GroupPlan
    function: FunctionPlan
    keys: tuple[PlaneKey, ...]


def execute_plate_step(job: Job, load: FunctionLoader) -> None:
    """Do one step for all wells of a plate and commit the result.

    Images are read one at a time: memory grows with the plate by what is known of each (its name
    and digest), by the tables that a function takes, and by what it keeps.

    Parameters
    ----------
    job : Job
        Plate, step, and the digest of the plan it was started for.
    load : callable
        Gives the function of a reference.

    Raises
    ------
    SupersededError, PlanChangedError, ConfigError
        As for a step of one well.
    InputDataError, StepFunctionError, OutOfMemoryError
        See there.
    """
    stopwatch = Stopwatch()
    turn = Turn(job.plate_dir, f"{job.step}.{PLATE_TARGET}")
    plan = job.read_step_plan(PLATE_TARGET)
    read_digest = digest_of_read(job.plate_dir, plan, PLATE_TARGET)
    check_versions(plan)
    load = with_user_functions(plan, job.location, load)
    job = replace(job, digest=plan_digest(plan))

    def confirm() -> None:
        """Stop before anything is renamed when run, plan or input are no longer today's."""
        turn.check()
        job.read_step_plan(PLATE_TARGET)
        if digest_of_read(job.plate_dir, plan, PLATE_TARGET) != read_digest:
            raise PlanChangedError(
                f"what step {plan.step_name!r} reads changed while this job ran; nothing was "
                "written, run snakemake again"
            )
        forget_manifest(job.plate_dir, plan.step_name, PLATE_TARGET)
        write_read_record(job.plate_dir, plan.step_name, PLATE_TARGET, read_digest)

    result = _find_or_compute(job, plan, load)
    with turn:
        confirm()
        commit(job, result.manifest, result.files)
        if result.is_new and not result.manifest.left_out:
            remember(job, result.manifest, result.files, None)
        if result.is_new:
            stopwatch.write(job.plate_dir, plan, PLATE_TARGET, None, result.gpus)


class _Result(NamedTuple):
    """What a job commits; `is_new`: nobody has it yet. `gpus`: how many it held."""

    manifest: Manifest
    files: Mapping[str, bytes]
    is_new: bool
    gpus: int = 0


def _find_or_compute(job: Job, plan: StepPlan, load: FunctionLoader) -> _Result:
    """Return what the step gives; a well whose images cannot be read may be left out of it."""
    unreadable: dict[str, WellFailure] = {}
    while True:
        step = _PlateStep(job, plan, load, unreadable)
        try:
            result = step.find_earlier()
            if result is not None:
                logger.info("step %r: taken from the cache, an equal job did it", job.step)
                return result
            return step.compute()
        except InputDataError as error:
            well = step.bad_well
            if well is None or not job.location.leaves_out:
                raise
            logger.error("well %s is left out: %s", well, error)  # noqa: TRY400  its text is all
            unreadable[well] = WellFailure(
                step=job.step, exit_code=error.exit_code, message=str(error)
            )


class _PlateStep:
    """What one job reads and computes."""

    def __init__(
        self,
        job: Job,
        plan: StepPlan,
        load: FunctionLoader,
        unreadable: Mapping[str, WellFailure],
    ) -> None:
        self._job, self._plan, self._load = job, plan, load
        self._who = f"step {plan.step_name!r}, plate {job.plate_dir.name!r}"
        self._specials = SpecialInputs(job.plate_dir, plan, PLATE_TARGET)
        self._tables = TableInputs(job.plate_dir, plan)
        self._left_out = self._find_left_out() | dict(unreadable)
        if self._left_out.keys() >= set(plan.wells):
            reasons = [failure.message for failure in self._left_out.values()]
            raise InputDataError(f"{self._who}: no well is left; {shortened(reasons, 1)}")
        wells = [w for w in source_wells(plan, PLATE_TARGET) if w not in self._left_out]
        opened = partial(open_input, job, plan, recompute=Recomputer(job))
        self._images = PlateImages(opened, wells)
        self._calls = list(_calls(plan, self._images.keys))
        self._keys = [key for call in self._calls for key in call.keys]

    @property
    def bad_well(self) -> str | None:
        """The well of an image that could not be read."""
        return self._images.bad_well

    def _find_left_out(self) -> dict[str, WellFailure]:
        """Return the wells that what this step reads is without."""
        plan, folder = self._plan, self._job.plate_dir
        found = dict(self._tables.left_out)
        if plan.source is not None:
            found |= find_failed(folder, plan.source, source_wells(plan, PLATE_TARGET))
        for path in map(folder.joinpath, taken_manifests(plan, PLATE_TARGET).values()):
            found |= read_manifest(path).left_out if is_partial(path) else {}
        return found

    def find_earlier(self) -> _Result | None:
        """Return what an equal job gave, None where there was none."""
        digest = plan_digest(self._plan)
        if self._left_out or not self._job.results.knows(digest, PLATE_TARGET):
            return None
        read = self._read(self._images.content_digests(self._keys))
        found = self._job.results.find(digest, PLATE_TARGET, read)
        return None if found is None else _Result(found.record.manifest, found.files, is_new=False)

    def compute(self) -> _Result:
        """Call every function, and return the manifest and the files of what they gave."""
        plan = self._plan
        values: dict[str | None, list[SpecialValue]] = {group.value: [] for group in plan.groups}
        with job_means(self._job, PLATE_TARGET) as means:
            for function in plan.functions:
                for kind in libraries_of(function):
                    get_framework(kind).prepare()  # before a user module loads another library
            for number, call in enumerate(self._calls, start=1):
                logger.info("call %d of %d: %d images", number, len(self._calls), len(call.keys))
                with means.on_devices(call.function):
                    values[call.group.value] += self._run(call, means)
            gpus = len(means.device.names)
        self._images.read_rest(self._keys)
        files = make_files(plan, PLATE_TARGET, values)
        read = self._read(self._images.digests())
        manifest = Manifest(
            digest=plan_digest(plan),
            left_out=dict(sorted(self._left_out.items())),
            step=plan.step_name,
            well=PLATE_TARGET,
            inputs=read["inputs"],
            special=read["special"],
            functions={function.ref: function.versions for function in plan.functions},
            images=(),
            files={
                path: FileRecord(digest=digest_bytes(content), size_bytes=len(content))
                for path, content in files.items()
            },
        )
        return _Result(manifest, files, is_new=True, gpus=gpus)

    def _read(self, images: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Return all that the result is known by."""
        special = {**self._specials.digests, **self._tables.digests}
        return {"inputs": dict(sorted(images.items())), "special": dict(sorted(special.items()))}

    def _run(self, call: _Call, means: Means) -> list[SpecialValue]:
        function, who = call.function, f"{self._who}: {call.function.ref}"
        gpu_id = means.gpu_id(function.input_memory_type)
        stream = self._images.stream(call.keys, function.input_memory_type, who, gpu_id)
        specials = {
            special.name: choose_value(special, call.keys, self._specials(special), who)
            for special in function.special_inputs
        }
        plate_map = self._job.location.plate_map
        tables = {name: self._tables.frame(of, plate_map) for name, of in function.tables.items()}
        seed = call_seed(plan_digest(self._plan), 1, call.keys)
        given = {**seeded_parameters(function, seed), **specials, **tables}
        run = self._load(function.ref)
        try:
            with reporting(who):
                result = run(stream, **given) if function.takes_images else run(**given)
        except StepFunctionError:
            if stream.error is not None:  # an image, not the function
                raise stream.error from None
            raise
        if stream.error is not None:
            raise stream.error
        values = _split(result, function, who)
        return [
            SpecialValue(output, call.keys[:1], value)
            for output, value in zip(function.special_outputs, values, strict=True)
        ]


def _calls(plan: StepPlan, keys: Sequence[PlaneKey]) -> Iterator[_Call]:
    """Yield one call for each combination of what the step does not take all of."""
    for group in plan.groups:
        for function in group.functions:
            if not function.takes_images:
                yield _Call(group, function, ())
    for members in group_planes(keys, plan.variable_components):
        value = str(getattr(members[0], plan.group_by.value))
        for group in plan.groups:
            for function in group.functions if group.value in (None, value) else ():
                if function.takes_images:
                    yield _Call(group, function, tuple(members))


def _split(result: Any, function: FunctionPlan, who: str) -> Sequence[Any]:
    """Part a result into the declared special outputs."""
    declared = function.special_outputs
    if len(declared) == 1:
        return (result,)
    if not isinstance(result, tuple) or len(result) != len(declared):
        found = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
        names = ", ".join(output.name for output in declared)
        raise StepFunctionError(f"{who} returned {found}; expected ({names})")
    return result
