"""Pass 1: what each step is, what it reads, and which function meets which component value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from openhcs_core.compiler.components import resolve_keys, values_after
from openhcs_core.compiler.functions import find_function, is_flexible, plan_function
from openhcs_core.compiler.outputs import check_outputs
from openhcs_core.compiler.overrides import PatternOverride, apply_overrides
from openhcs_core.compiler.plate_steps import check_scope, stacked_components
from openhcs_core.compiler.plate_values import ComponentValues
from openhcs_core.compiler.request import CompileRequest, ErrorList, FunctionCatalogue
from openhcs_core.compiler.special_links import link_special_inputs
from openhcs_core.compiler.special_types import check_special_types
from openhcs_core.config import KeyPath, Level, LocatedDocument, PipelineConfig, StepConfig
from openhcs_core.constants import Component
from openhcs_core.errors import CompileError, OpenHCSError, raise_all
from openhcs_core.pipeline import (
    FunctionCall,
    Pattern,
    PatternEntry,
    PatternError,
    parse_pattern,
)
from openhcs_core.plan import OWN_FOLDERS, FunctionPlan, GroupPlan, StepPlan

_EXAMPLES = {Component.CHANNEL: "DAPI", Component.WELL: "A01"}
_NO_CHAINS: Mapping[int, PatternEntry] = {}


@dataclass(frozen=True)
class _Source:
    """What a step reads: the step's name, None for the plate, and the component values there."""

    step: str | None
    values: ComponentValues


def initialize_step_plans(
    request: CompileRequest,
    overrides: Sequence[PatternOverride] = (),
    chains: Mapping[int, PatternEntry] = _NO_CHAINS,
) -> tuple[StepPlan, ...]:
    """Return a plan a step, in pipeline order.

    Parameters
    ----------
    request : CompileRequest
        Plate and pipeline.
    overrides : sequence of PatternOverride
        Other parameters, for some wells.
    chains : mapping of int to PatternEntry
        By number of step, the chain of some wells, where functions differ by well.

    Raises
    ------
    ErrorGroup
        Every mistake of the pipeline, each with its place.
    """
    errors = ErrorList(request.document)
    plate = _Source(None, request.values)
    source: _Source | None = plate
    plans: list[StepPlan] = []
    patterns: list[Pattern] = []
    for number, step in enumerate(request.pipeline.steps):
        if step.input_source == "pipeline_start":
            source = plate
        if source is None:
            _check_step(step, number, request.pipeline, request.functions, errors)
            continue
        before = len(errors.errors)
        pattern = read_pattern(number, source.values, request, overrides, chains, errors)
        if pattern is not None:
            plan = _plan_step(step, number, source, pattern, request, errors)
        if pattern is None or len(errors.errors) > before:
            source = None  # what a wrong step leaves is not known: the next is checked without
            continue
        patterns.append(pattern)
        plans.append(plan)
        if plan.is_plate_wide:
            continue  # it has no images: the next step reads what it has read
        is_broken = _breaks_chain(plan, number, errors)
        source = plate if is_broken else _Source(step.name, values_after(plan, source.values))
    raise_all(request.document.path, errors.errors)
    linked = link_special_inputs(plans, patterns, errors)
    raise_all(request.document.path, errors.errors)
    check_special_types(linked, patterns, request, errors)
    raise_all(request.document.path, errors.errors)
    return linked


def _breaks_chain(plan: StepPlan, number: int, errors: ErrorList) -> bool:
    """Return whether the next step reads the plate, because this one ends in a chain breaker."""
    last = {group.functions[-1].chain_breaker for group in plan.groups if group.functions}
    if len(last) > 1:
        errors.add(
            f"step {plan.step_name!r}: some of its functions are chain breakers and some are not, "
            "so that what the next step reads is not clear; put them into two steps",
            ("steps", number, "func"),
        )
    return True in last


def find_mistakes(
    pipeline: PipelineConfig,
    document: LocatedDocument,
    functions: FunctionCatalogue,
    *,
    are_settled: bool = True,
) -> list[OpenHCSError]:
    """Return every mistake of a pipeline that can be known without its plate.

    Parameters
    ----------
    pipeline, document : PipelineConfig, LocatedDocument
        With settings resolved, see :func:`~openhcs_core.config.resolve_pipeline`.
    are_settled : bool
        Settings of all levels are known; else those that contradict each other are left alone.
    """
    errors = ErrorList(document)
    for number, step in enumerate(pipeline.steps):
        _check_step(step, number, pipeline, functions, errors, are_settled=are_settled)
    return errors.errors


def _check_step(
    step: StepConfig,
    number: int,
    pipeline: PipelineConfig,
    functions: FunctionCatalogue,
    errors: ErrorList,
    *,
    are_settled: bool = True,
) -> None:
    pattern = _parse_step(step, number, pipeline, errors)
    if pattern is not None and are_settled:
        _check_settings(step, number, pattern, errors)
    for entry in pattern.entries if pattern is not None else ():
        for call in entry.calls:
            find_function(call, step, functions, errors)


def _parse_step(
    step: StepConfig, number: int, pipeline: PipelineConfig, errors: ErrorList
) -> Pattern | None:
    """Return a step's pattern, or None after noting that it is none."""
    at: KeyPath = ("steps", number, "func")
    _check_name(step, number, pipeline, errors)
    try:
        return parse_pattern(step.func, at)
    except PatternError as error:
        errors.add(f"step {step.name!r}: {error}", error.at)
        return None


def _check_name(step: StepConfig, number: int, pipeline: PipelineConfig, errors: ErrorList) -> None:
    if [other.name for other in pipeline.steps].index(step.name) != number:
        errors.add(f"two steps are named {step.name!r}; names must differ", ("steps", number))


def _plan_step(
    step: StepConfig,
    number: int,
    source: _Source,
    pattern: Pattern,
    request: CompileRequest,
    errors: ErrorList,
) -> StepPlan:
    groups = _plan_groups(pattern, step, number, request, errors)
    check_scope(step, number, groups, request, errors)
    is_plate = step.scope == "plate"
    takes_images = not is_plate or any(of.takes_images for one in groups for of in one.functions)
    plan = StepPlan(
        step_name=step.name,
        source=source.step if takes_images else None,
        variable_components=stacked_components(step),
        wells=request.wells if is_plate else (),
        group_by=step.group_by,
        groups=groups,
        projected_to={part: source.values[part][0] for part in step.variable_components},
        output_dtype=step.output_dtype,
    )
    check_outputs(plan, ("steps", number, "func"), errors)
    return plan


def read_pattern(
    number: int,
    values: ComponentValues,
    request: CompileRequest,
    overrides: Sequence[PatternOverride],
    chains: Mapping[int, PatternEntry],
    errors: ErrorList,
) -> Pattern | None:
    """Return a step's functions, or None after noting that they cannot be read.

    Component values are ids, overrides are applied, and where functions differ by well there is
    the one chain that some wells have.
    """
    step, names = request.pipeline.steps[number], request.index.channel_names
    pattern = _parse_step(step, number, request.pipeline, errors)
    if pattern is None:
        return None
    _check_settings(step, number, pattern, errors)
    if number in chains:
        pattern = Pattern((chains[number],))
    else:
        at: KeyPath = ("steps", number, "func")
        pattern = resolve_keys(pattern, step, values[step.group_by], names, errors, at)
    return apply_overrides(pattern, step.name, names, overrides, errors)


def _check_settings(step: StepConfig, number: int, pattern: Pattern, errors: ErrorList) -> None:
    """Note settings that contradict each other or would do nothing."""
    if pattern.is_component_dict and step.group_by in step.variable_components:
        stacked: KeyPath = ("steps", number, "variable_components")
        given = [at for at in (stacked, ("steps", number, "group_by")) if errors.document.has(at)]
        errors.add(
            f"step {step.name!r}: {step.group_by} cannot be both group_by and one of the "
            "variable_components; a call has one value of the first and all of the second",
            *(given or [stacked]),
        )
    if step.passthrough and not pattern.is_component_dict:
        errors.add(
            f"step {step.name!r}: passthrough needs functions by {step.group_by}, such as "
            f"{{{_EXAMPLES.get(step.group_by, '1')}: openhcs:tophat}}; here one chain does all of "
            "them",
            ("steps", number, "passthrough"),
        )
    sub_dir = step.materialize and step.materialize.sub_dir
    if sub_dir and sub_dir.split("/")[0].lower() in OWN_FOLDERS:
        errors.add(
            f"step {step.name!r}: images cannot be kept in {sub_dir}, among results of other "
            "kinds; choose another sub_dir, such as checkpoints",
            ("steps", number, "materialize", "sub_dir"),
        )


def _plan_groups(
    pattern: Pattern, step: StepConfig, number: int, request: CompileRequest, errors: ErrorList
) -> tuple[GroupPlan, ...]:
    groups = []
    for entry in pattern.entries:
        functions: list[FunctionPlan] = []
        for call in entry.calls:
            function = plan_function(call, step, request, errors)
            if function is not None:
                functions.append(function)
        groups.append(GroupPlan(value=entry.value, functions=tuple(functions)))
    is_own = request.origin(number, "slice_by_slice").level is Level.STEP
    if (
        step.slice_by_slice is not None
        and is_own
        and not errors.errors
        and not _has_flexible(parse_pattern(step.func, ()), request)  # in any well
    ):
        errors.add(
            f"step {step.name!r}: slice_by_slice is for functions that take both slices and "
            "volumes; none of this step's does: leave it out",
            ("steps", number, "slice_by_slice"),
        )
    return tuple(groups)


def _has_flexible(pattern: Pattern, request: CompileRequest) -> bool:
    return any(
        _is_known_flexible(call, request) for entry in pattern.entries for call in entry.calls
    )


def _is_known_flexible(call: FunctionCall, request: CompileRequest) -> bool:
    try:
        return is_flexible(call, request)
    except CompileError:  # no such function: said where it is planned
        return False
