"""Pass 1: what each step is, what it reads, and which function meets which component value."""

from collections.abc import Sequence
from dataclasses import dataclass

from openhcs_core.compiler.components import (
    ComponentValues,
    component_values,
    passthrough_values,
    resolve_keys,
    values_after,
)
from openhcs_core.compiler.functions import find_function, is_flexible, plan_function
from openhcs_core.compiler.outputs import check_outputs
from openhcs_core.compiler.overrides import PatternOverride, apply_overrides
from openhcs_core.compiler.request import CompileRequest, ErrorList, FunctionCatalogue
from openhcs_core.compiler.special_links import link_special_inputs
from openhcs_core.config import KeyPath, Level, LocatedDocument, PipelineConfig, StepConfig
from openhcs_core.errors import OpenHCSError, raise_all
from openhcs_core.pipeline import Pattern, PatternError, parse_pattern
from openhcs_core.plan import OWN_FOLDERS, FunctionPlan, GroupPlan, StepPlan


@dataclass(frozen=True)
class _Source:
    """What a step reads: the step's name, None for the plate, and the component values there."""

    step: str | None
    values: ComponentValues


def initialize_step_plans(
    request: CompileRequest, overrides: Sequence[PatternOverride] = ()
) -> tuple[StepPlan, ...]:
    """Return a plan a step, in pipeline order.

    Parameters
    ----------
    request : CompileRequest
        Plate and pipeline.
    overrides : sequence of PatternOverride
        Other parameters, for some wells.

    Raises
    ------
    ErrorGroup
        Every mistake of the pipeline, each with its place.
    """
    errors = ErrorList(request.document)
    plate = _Source(None, component_values(request.index, request.wells))
    source: _Source | None = plate
    plans: list[StepPlan] = []
    for number, step in enumerate(request.pipeline.steps):
        if step.input_source == "pipeline_start":
            source = plate
        if source is None:
            _check_step(step, number, request.pipeline, request.functions, errors)
            continue
        before = len(errors.errors)
        plan = _plan_step(step, number, source, request, overrides, errors)
        if plan is None or len(errors.errors) > before:
            source = None  # what a wrong step leaves is not known: the next is checked without
            continue
        is_broken = _breaks_chain(plan, number, errors)
        source = plate if is_broken else _Source(step.name, values_after(plan, source.values))
        plans.append(plan)
    raise_all(request.document.path, errors.errors)
    linked = link_special_inputs(plans, request.pipeline, errors)
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
    if [other.name for other in pipeline.steps].index(step.name) != number:
        errors.add(f"two steps are named {step.name!r}; names must differ", ("steps", number))
    try:
        return parse_pattern(step.func, at)
    except PatternError as error:
        errors.add(f"step {step.name!r}: {error}", error.at)
        return None


def _plan_step(
    step: StepConfig,
    number: int,
    source: _Source,
    request: CompileRequest,
    overrides: Sequence[PatternOverride],
    errors: ErrorList,
) -> StepPlan | None:
    pattern = read_pattern(step, number, source.values, request, overrides, errors)
    if pattern is None:
        return None
    groups = _plan_groups(pattern, step, number, request, errors)
    if pattern.is_component_dict:
        passed = passthrough_values(step, source.values, _channel_names(request))
        groups += tuple(GroupPlan(value=value) for value in passed)
    plan = StepPlan(
        step_name=step.name,
        source=source.step,
        variable_components=step.variable_components,
        group_by=step.group_by,
        groups=groups,
        projected_to={part: source.values[part][0] for part in step.variable_components},
        output_dtype=step.output_dtype,
    )
    check_outputs(plan, ("steps", number, "func"), errors)
    return plan


def read_pattern(
    step: StepConfig,
    number: int,
    values: ComponentValues,
    request: CompileRequest,
    overrides: Sequence[PatternOverride],
    errors: ErrorList,
) -> Pattern | None:
    """Return a step's functions by component id, with overrides; None after noting a mistake."""
    pattern = _parse_step(step, number, request.pipeline, errors)
    if pattern is None:
        return None
    _check_settings(step, number, pattern, errors)
    names = _channel_names(request)
    pattern = resolve_keys(pattern, step, values, names, errors, ("steps", number, "func"))
    return apply_overrides(pattern, step.name, names, overrides, errors)


def _channel_names(request: CompileRequest) -> dict[str, str]:
    return {channel.id: channel.name for channel in request.index.channels}


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
            "{DAPI: openhcs:tophat}; here one chain does all of them",
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
    can_do_both = False
    for entry in pattern.entries:
        functions: list[FunctionPlan] = []
        for call in entry.calls:
            function = plan_function(call, step, request, errors)
            if function is not None:
                functions.append(function)
                can_do_both |= is_flexible(call, request)
        groups.append(GroupPlan(value=entry.value, functions=tuple(functions)))
    is_own = request.origin(number, "slice_by_slice").level is Level.STEP
    has_own = step.slice_by_slice is not None and is_own
    if has_own and not can_do_both and not errors.errors:
        errors.add(
            f"step {step.name!r}: slice_by_slice is for functions that take both slices and "
            "volumes; none of this step's does: leave it out",
            ("steps", number, "slice_by_slice"),
        )
    return tuple(groups)
