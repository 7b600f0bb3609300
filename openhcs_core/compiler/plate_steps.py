"""Steps over the whole plate: what they may say, and one plan of each for all wells."""

from collections.abc import Collection, Iterator, Sequence

from openhcs_core.compiler.places import placed_groups
from openhcs_core.compiler.request import CompileRequest, ErrorList
from openhcs_core.config import KeyPath, Level, StepConfig
from openhcs_core.constants import Component
from openhcs_core.materialization import CsvOptions, ROIOptions
from openhcs_core.pipeline import ProcessingContract
from openhcs_core.plan import (
    PLATE_TARGET,
    FunctionPlan,
    GroupPlan,
    PlatePlan,
    StepPlan,
    output_files,
)

_NO_IMAGES = ("keep", "output_dtype", "slice_by_slice", "materialize")
"""Settings about a step's images, of which a step over the plate has none."""


def stacked_components(step: StepConfig) -> tuple[Component, ...]:
    """Return what a step stacks: one over the whole plate stacks wells, and these first."""
    given = step.variable_components
    if step.scope == "well":
        return given
    return (Component.WELL, *(part for part in given if part is not Component.WELL))


def check_scope(
    step: StepConfig,
    number: int,
    groups: Sequence[GroupPlan],
    request: CompileRequest,
    errors: ErrorList,
) -> None:
    """Note settings and functions that a step's scope does not go with."""
    at: KeyPath = ("steps", number)
    prefix = f"step {step.name!r}: "
    for key, problem in _setting_problems(step, number, request):
        errors.add(f"{prefix}{problem}", (*at, key))
    for group in groups:
        if step.scope == "plate" and len(group.functions) > 1:
            errors.add(
                f"{prefix}scope: plate takes one function, which gives no image to go on with; "
                "put the others into steps of their own",
                (*at, "func"),
            )
        for function in group.functions:
            wrong = _function_problem(step, function, request)
            if wrong is not None:
                errors.add(f"{prefix}{wrong}", (*at, "func"))


def _setting_problems(
    step: StepConfig, number: int, request: CompileRequest
) -> Iterator[tuple[str, str]]:
    """Yield keys, and what is wrong with them."""
    if step.scope == "well":
        if Component.WELL in step.variable_components:
            remedy = (
                "stack what a well has (site, channel, z_index, timepoint), or write scope: plate "
                "for a function over all wells"
            )
            yield (
                "variable_components",
                f"well cannot be stacked in a step that does one well; {remedy}",
            )
        return
    for key in _NO_IMAGES:
        is_own = request.origin(number, key).level is Level.STEP and key in step.model_fields_set
        if is_own and getattr(step, key) not in (None, False):
            yield (
                key,
                f"{key} is about a step's images; one with scope: plate has none, leave it out",
            )
    if step.group_by is Component.WELL:
        yield "group_by", "scope: plate does all wells in one call; group_by cannot be well"


def _function_problem(
    step: StepConfig, function: FunctionPlan, request: CompileRequest
) -> str | None:
    contract = request.functions.find(function.ref).contract
    if step.scope == "well":
        if contract is ProcessingContract.PLATE:
            return f"{function.ref} works on all wells at once; add scope: plate to the step"
        return None
    if contract is not ProcessingContract.PLATE:
        return (
            f"{function.ref} takes a stack of one well; scope: plate needs a function that takes "
            "all wells (@plate_function, docs/plate_steps.md): leave scope out"
        )
    if not function.special_outputs:
        return f"{function.ref} gives nothing: declare what it returns with @special_outputs"
    for output in function.special_outputs:
        for options in output.spec.options if output.spec else ():
            if isinstance(options, ROIOptions):
                return (
                    f"special output {output.name!r} of {function.ref} would be outlined, but it "
                    "belongs to no one image; write it as a table, JSON, text or TIFF"
                )
    return None


def one_plan_each(
    steps: Sequence[StepPlan], variants: Sequence[Sequence[StepPlan]]
) -> tuple[StepPlan, ...]:
    """Return plans in which a step over the plate gives all that any well's functions take.

    Parameters
    ----------
    steps : sequence of StepPlan
        Those that most wells have.
    variants : sequence of sequence of StepPlan
        The pipelines of all sets of wells.
    """
    return tuple(
        _united([of[number] for of in variants]) if plan.is_plate_wide else plan
        for number, plan in enumerate(steps)
    )


def _united(plans: Sequence[StepPlan]) -> StepPlan:
    """Return the first of plans that differ in which outputs later steps take; all are taken."""
    linked = {
        (group.value, output.name)
        for plan in plans
        for group in plan.groups
        for function in group.functions
        for output in function.special_outputs
        if output.is_linked
    }
    groups = [
        group.model_copy(
            update={"functions": tuple(_linked(group, of, linked) for of in group.functions)}
        )
        for group in plans[0].groups
    ]
    return plans[0].model_copy(update={"groups": tuple(groups)})


def _linked(
    group: GroupPlan, function: FunctionPlan, linked: Collection[tuple[str | None, str]]
) -> FunctionPlan:
    outputs = [
        output.model_copy(update={"is_linked": (group.value, output.name) in linked})
        for output in function.special_outputs
    ]
    return function.model_copy(update={"special_outputs": tuple(outputs)})


def check_plate_tables(plate: PlatePlan, request: CompileRequest, errors: ErrorList) -> None:
    """Note every plate table that a function takes and no earlier step gives."""
    given: dict[str, list[str]] = {}
    for plan in plate.steps:
        for _, functions in placed_groups(plan, request) if plan.is_plate_wide else ():
            for function, at in functions:
                for name, table in function.tables.items():
                    if table.file not in given.get(table.step, ()):
                        errors.add(
                            f"step {plan.step_name!r}: {function.ref}: parameter {name!r}: "
                            f"{_missing_table(table.step, table.file, given, plate)}",
                            (*at, name),
                        )
        given[plan.step_name] = _table_names(plate, plan)


def _table_names(plate: PlatePlan, plan: StepPlan) -> list[str]:
    """Return the file names of a step's plate tables."""
    if not plan.is_plate_wide:
        return [table.file for table in plate.tables if table.step_name == plan.step_name]
    files = (file for file in output_files(plan) if isinstance(file.options, CsvOptions))
    return [file.path(plan.step_name, PLATE_TARGET).rpartition("/")[2] for file in files]


def _missing_table(step: str, file: str, given: dict[str, list[str]], plate: PlatePlan) -> str:
    later = [plan.step_name for plan in plate.steps if plan.step_name not in given]
    if step in later:
        return f"step {step!r} comes after it; put it before"
    choices = [
        f"{name}/{table.removesuffix('.csv').removeprefix(f'{PLATE_TARGET}.')}"
        for name, tables in given.items()
        for table in tables
    ]
    known = f"tables before it: {', '.join(choices)}" if choices else "no step before it gives one"
    return f"no step gives the table {file} as {step!r}; {known}"
