"""What is done, what failed and why: read from manifests and failure records."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from openhcs_core.errors import EXIT_STOPPED, InputDataError, PlanChangedError
from openhcs_core.plan import (
    PLATE_TARGET,
    PlatePlan,
    PlateTable,
    StepPlan,
    StoreMetadataPlan,
    TablePlan,
    index_path,
    log_path,
    manifest_path,
    plan_digest,
    source_wells,
    store_metadata_path,
    store_plan_path,
    table_path,
    table_plan_path,
    taken_files,
    well_table_paths,
)
from openhcs_core.runtime import (
    Job,
    Manifest,
    TableInputs,
    digest_of_taken,
    find_read_record,
    is_joined_table,
    is_partial,
    read_failure,
    read_manifest,
)
from openhcs_core.session.compiling import Compilation
from openhcs_core.session.files import is_held
from openhcs_core.session.job_states import JobStatus, LastRun, PlateStatus, State
from openhcs_core.session.manifests import Manifests, manifest_place

_STOPPED = "ended without a message: killed, or out of memory; its log says how far it came"


def read_status(
    compilation: Compilation, run: LastRun | Callable[[str], LastRun]
) -> list[PlateStatus]:
    """Return what came of each plate; `run` is the last one of all, or tells that of a plate."""
    results, plates = compilation.compiled.results, compilation.compiled.plates
    runs = [run if isinstance(run, LastRun) else run(plate.name) for plate in plates]
    return [
        _PlateReader(plate, f"{results}/{plate.name}", last, compilation.files).read()
        for plate, last in zip(plates, runs, strict=True)
    ]


class _PlateReader:
    """Reads what jobs of one plate left.

    `files` has the text that index files have to have today: a well whose images changed is
    not done, also before anything was compiled.
    """

    def __init__(
        self, plate: PlatePlan, folder: str, run: LastRun, files: Mapping[str, str]
    ) -> None:
        self._plate, self._folder, self._run = plate, Path(folder), run
        self._files = files
        self._manifests = Manifests(folder.rpartition("/")[0], plate, files)
        self._done: dict[str, list[str]] = {plan.step_name: [] for plan in plate.steps}
        self._plate_wide = {plan.step_name: plan for plan in plate.steps if plan.is_plate_wide}
        self._made: dict[str, Manifest | None] = {}
        self._without: dict[str, tuple[str, ...]] = {}

    def read(self) -> PlateStatus:
        """Return what came of wells, tables and stores."""
        jobs = [job for well in self._plate.wells for job in self._read_well(well)]
        others, whole = self._read_tables()
        for step, plan in self._plate_wide.items():
            made = self._plate_manifest(plan)
            self._done[step] += [PLATE_TARGET] if made is not None else []
            if made is not None and made.left_out:
                self._without[step] = tuple(made.left_out)
        done = {step: tuple(wells) for step, wells in self._done.items()}
        jobs += [*self._read_plate_steps(), *others, *self._read_stores()]
        return PlateStatus(self._plate, tuple(jobs), done, whole, self._without)

    def _read_well(self, well: str) -> list[JobStatus]:
        """Return one line when all is done or nothing was begun, else one a step begun."""
        found, waiting = [], []
        for plan, manifest, is_next in self._walk(well):
            if manifest is not None:
                self._done[plan.step_name].append(well)
            elif is_next:
                found.append(self._describe(plan, well))
            else:
                waiting.append(JobStatus(well, "not run", plan.step_name))
        begun = [job for job in found if job.state != "not run" or job.reason]
        return begun or found[:1] or waiting[:1] or [JobStatus(well, "done")]

    def _walk(
        self, well: str, until: str | None = None
    ) -> Iterator[tuple[StepPlan, Manifest | None, bool]]:
        """Yield a well's steps, their manifests if these are current, else whether they are next.

        Parameters
        ----------
        until : str, optional
            The step that it ends with.
        """
        manifests: dict[str, Manifest] = {}
        for step in self._plate.steps:
            if step.is_plate_wide:
                continue
            plan = self._plate.step_plan(step, well)
            sources = {*taken_files(plan), plan.source} - {None}
            for name in sources & self._plate_wide.keys():
                made = self._plate_manifest(self._plate_wide[str(name)])
                manifests |= {} if made is None else {str(name): made}
            manifest = None
            if is_next := sources <= manifests.keys():
                manifest = self._current_manifest(plan, well, manifests)
            if manifest is not None:
                manifests[plan.step_name] = manifest
            yield plan, manifest, is_next
            if plan.step_name == until:
                return

    def _read_plate_steps(self) -> Iterator[JobStatus]:
        """Yield the steps over the plate that are not done though all they read is."""
        for step, plan in self._plate_wide.items():
            if self._plate_manifest(plan) is None and self._find_read(plan) is not None:
                is_made = manifest_place(self._folder, step, PLATE_TARGET).exists()
                digest = self._manifests.plan_digest(plan)
                yield self._describe_job("", step, PLATE_TARGET, digest, is_made=is_made)

    def _plate_manifest(self, plan: StepPlan) -> Manifest | None:
        """Return the manifest of a step over the plate when it is of today."""
        step = plan.step_name
        if step not in self._made:
            self._made[step] = self._read_plate_manifest(plan)
        return self._made[step]

    def _read_plate_manifest(self, plan: StepPlan) -> Manifest | None:
        try:
            manifest = read_manifest(self._folder / manifest_path(plan.step_name, PLATE_TARGET))
        except (FileNotFoundError, InputDataError):
            return None
        if not self._manifests.is_of_today(plan, PLATE_TARGET):
            return None
        read = self._find_read(plan)
        if read is None:
            return None
        images, special = read
        is_same = images is None or images == manifest.inputs
        return manifest if is_same and special == manifest.special else None

    def _find_read(self, plan: StepPlan) -> tuple[dict[str, str] | None, dict[str, str]] | None:
        """Return digests of images and of files that a step over the plate reads today.

        Those of images are None where it reads the plate itself, whose index tells; nothing
        at all is returned where something is not done.
        """
        images: dict[str, str] | None = None if plan.source is None else {}
        for well in source_wells(plan, PLATE_TARGET) if plan.source is not None else ():
            *_, (_, manifest, _) = self._walk(well, until=plan.source)
            if manifest is None and self._is_left_out(plan.source, well):
                continue
            if manifest is None:
                return None
            taken = digest_of_taken(plan, manifest.plane_digests())
            assert images is not None
            images |= {} if taken is None else {well: taken}
        givers = {step: self._plate_manifest(self._plate_wide[step]) for step in taken_files(plan)}
        made = {step: manifest for step, manifest in givers.items() if manifest is not None}
        if len(made) < len(givers):
            return None
        special = _taken(plan, PLATE_TARGET, made)
        if not all(map(self._has_table, plan.tables)):
            return None
        special |= TableInputs(self._folder, plan).digests
        return images, special

    def _is_left_out(self, step: str | None, well: str) -> bool:
        """Return whether a step of a well has committed its failure, so that others go on."""
        return step is not None and is_partial(self._folder / manifest_path(step, well))

    def _has_table(self, table: PlateTable) -> bool:
        """Return whether a plate table is of what is done today."""
        path = table_path(table.step, table.file)
        if table.of_plate:
            made = self._plate_manifest(self._plate_wide[table.step])
            return made is not None and path in made.files
        (plan,) = (
            one
            for one in self._plate.tables
            if (one.step_name, one.file) == (table.step, table.file)
        )
        inputs = [table_plan_path(table.step, table.file)]
        for well in plan.wells:
            *_, (_, manifest, _) = self._walk(well, until=table.step)
            if manifest is None and not self._is_left_out(table.step, well):
                return False
            inputs += well_table_paths(plan, well)
        return self._is_made(path, inputs)

    def _current_manifest(
        self, plan: StepPlan, well: str, manifests: Mapping[str, Manifest]
    ) -> Manifest | None:
        """Return the manifest when it is of today's plan and of what today's inputs are."""
        path = self._folder / manifest_path(plan.step_name, well)
        try:
            manifest = read_manifest(path)
        except (FileNotFoundError, InputDataError):
            return None
        if not self._manifests.is_current(plan, well):
            return None
        if manifest.special != _taken(plan, well, manifests):
            return None
        if plan.source is not None:
            made = manifests[plan.source].plane_digests()
            return manifest if manifest.inputs == made else None
        if find_read_record(self._folder, plan.step_name, well) is not None:
            return manifest
        index = self._folder / index_path(well)
        # a changed index makes snakemake read the plate again
        changed = not is_held(self._files, str(index)) or _is_newer(index, path)
        return None if changed else manifest

    def _describe(self, plan: StepPlan, well: str) -> JobStatus:
        """Return the state of a step that is next in its well."""
        step = plan.step_name
        is_made = manifest_place(self._folder, step, well).exists()
        digest = self._manifests.plan_digest(plan)
        return self._describe_job(well, step, well, digest, is_made=is_made)

    def _describe_job(
        self, well: str, step: str, target: str, digest: str, *, is_made: bool
    ) -> JobStatus:
        """Return the state of a job that is not done; `is_made`: an older result is there."""
        log = log_path(step, target)
        failure = read_failure(self._folder, step, target)
        if failure is not None and failure.digest in (None, digest):
            state: State = "not run" if failure.exit_code == EXIT_STOPPED else "failed"
            return JobStatus(well, state, step, failure.exit_code, failure.message, log)
        # snakemake removes a job's outputs before it starts
        if is_made or not _is_since(self._folder / log, self._run.started):
            return JobStatus(well, "not run", step)
        if self._run.is_live:
            return JobStatus(well, "running", step, log=log)
        return JobStatus(well, "failed", step, None, _STOPPED, log)

    def _read_tables(self) -> tuple[list[JobStatus], frozenset[str]]:
        """Return tables that are not done though their wells are, and those that are whole."""
        jobs, whole = [], set()
        for table in self._plate.tables:
            missing = set(table.wells) - set(self._done[table.step_name])
            step = table.step_name
            failed = [w for w in table.wells if w in missing and self._is_left_out(step, w)]
            if len(failed) < len(missing):
                continue
            path = table_path(table.step_name, table.file)
            inputs = [table_plan_path(table.step_name, table.file)]
            inputs += [part for well in table.wells for part in well_table_paths(table, well)]
            is_made = self._is_made(path, inputs)
            if is_made and failed:
                self._without[path] = tuple(failed)
            elif is_made or (not failed and self._is_joined(table, path)):
                whole.add(path)
            else:
                jobs.append(self._describe_plate_job(table.step_name, table.file, path, table))
        return jobs, frozenset(whole)

    def _is_joined(self, table: TablePlan, path: str) -> bool:
        """Return whether a table has the rows of wells that were written anew since.

        Steps that are run by hand write the content that was there: Snakemake does nothing then.
        """
        plan = table_plan_path(table.step_name, table.file)
        parts = [part for well in table.wells for part in well_table_paths(table, well)]
        is_there = all((self._folder / part).exists() for part in parts)
        if not is_there or not self._is_made(path, [plan]):
            return False
        try:
            return is_joined_table(Job(self._folder, table.step_name), table)
        except (InputDataError, PlanChangedError):  # altered, or written just now
            return False

    def _read_stores(self) -> Iterator[JobStatus]:
        for store in self._plate.stores:
            path = store_metadata_path(store)
            if not self._is_made(path, [store_plan_path(store.step_name)]):
                yield self._describe_plate_job(store.step_name, "store", path, store)

    def _describe_plate_job(
        self, step: str, target: str, output: str, plan: TablePlan | StoreMetadataPlan
    ) -> JobStatus:
        is_made = (self._folder / output).exists()
        return self._describe_job("", step, target, plan_digest(plan), is_made=is_made)

    def _is_made(self, output: str, inputs: Sequence[str]) -> bool:
        path = self._folder / output
        return path.exists() and not any(_is_newer(self._folder / name, path) for name in inputs)


def _taken(plan: StepPlan, well: str, manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """Return the digests of the special outputs a step takes, as their steps have them today."""
    paths = [
        (step, file.path(step, well)) for step, files in taken_files(plan).items() for file in files
    ]
    return {
        path: manifests[step].files[path].digest
        for step, path in paths
        if path in manifests[step].files
    }


def _is_newer(path: Path, than: Path) -> bool:
    """Return whether `path` is absent or was changed after `than`."""
    try:
        return path.stat().st_mtime_ns > than.stat().st_mtime_ns
    except FileNotFoundError:
        return True


def _is_since(path: Path, started: float) -> bool:
    try:
        return path.stat().st_mtime >= started
    except FileNotFoundError:
        return False
