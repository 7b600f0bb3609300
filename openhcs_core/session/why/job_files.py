"""Which files the job of a step and well reads and writes, and all of those it is done with."""

from dataclasses import dataclass

from openhcs_core.plan import (
    JobScope,
    PlatePlan,
    StepPlan,
    index_path,
    job_digest,
    kept_well_target,
    manifest_path,
    plan_digest,
    plan_path,
    read_names,
    taken_files,
    taken_manifests,
    taken_tables,
    well_files,
)


@dataclass(frozen=True)
class JobFiles:
    """What the job of a step and well reads and writes, relative to the plate's results.

    Attributes
    ----------
    plan : str
        The plan file.
    index : str or None
        The well's index, for a step that reads the plate.
    manifests : dict
        Step it reads images of to its manifest; empty or one.
    special : dict
        Earlier step to the special outputs that are taken of it.
    of_wells, tables : tuple of str
        Of a step over the plate: indices or manifests of all wells, and plate tables.
    behind : tuple of str
        Steps that made these.
    outputs : tuple of str
        The manifest first.
    """

    plan: str
    index: str | None
    manifests: dict[str, str]
    special: dict[str, tuple[str, ...]]
    outputs: tuple[str, ...]
    of_wells: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """All that is read."""
        special = (path for paths in self.special.values() for path in paths)
        index = () if self.index is None else (self.index,)
        own = (self.plan, *index, *self.manifests.values(), *special)
        return (*own, *self.of_wells, *self.tables)

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that it reads from."""
        return tuple(dict.fromkeys([*self.manifests, *self.special, *self.behind]))


def job_files(plate: PlatePlan, plan: StepPlan, well: str) -> JobFiles:
    """Return what the rule of a step has as input and output for a well."""
    step = plan.step_name
    has_own = well in plate.well_steps.get(step, {})
    outputs = [manifest_path(step, well), *(file.path(step, well) for file in well_files(plan))]
    if plan.store is not None:
        outputs.append(kept_well_target(plan, well))
    special = {
        giver: tuple(file.path(giver, well) for file in files)
        for giver, files in taken_files(plan).items()
    }
    if plan.is_plate_wide:
        sources = () if plan.source is None else (plan.source,)
        others = {*taken_tables(plan), *taken_manifests(plan, well).values()}
        return JobFiles(
            plan=plan_path(step),
            index=None,
            manifests={},
            special=special,
            outputs=tuple(outputs),
            of_wells=tuple(name for name in read_names(plan, well) if name not in others),
            tables=taken_tables(plan),
            behind=(*sources, *(table.step for table in plan.tables)),
        )
    return JobFiles(
        plan=plan_path(step, well if has_own else None),
        index=index_path(well) if plan.source is None else None,
        manifests={} if plan.source is None else {plan.source: manifest_path(plan.source, well)},
        special=special,
        outputs=tuple(outputs),
    )


@dataclass(frozen=True)
class WholeJob:
    """What one job does: a step of a well, or several of them together.

    Attributes
    ----------
    scope : JobScope
        Steps and wells.
    digest : str
        That it carries.
    inputs, outputs : tuple of str
        All that it reads and that it does not make itself; all that it writes.
    """

    scope: JobScope
    digest: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def whole_job(plate: PlatePlan, scope: JobScope) -> WholeJob:
    """Return a job with the files of its members together."""
    steps = {plan.step_name: plan for plan in plate.steps}
    plans = [(plate.step_plan(steps[step], well), well) for step, well in scope.members]
    members = [job_files(plate, plan, well) for plan, well in plans]
    outputs = [name for files in members for name in files.outputs]
    inputs = dict.fromkeys(name for files in members for name in files.inputs)
    return WholeJob(
        scope=scope,
        digest=job_digest([plan_digest(plan) for plan, _ in plans]),
        inputs=tuple(name for name in inputs if name not in set(outputs)),
        outputs=tuple(outputs),
    )
