"""Where in the pipeline file the functions of a plan stand."""

from collections.abc import Iterator

from openhcs_core.compiler.request import CompileRequest
from openhcs_core.config import KeyPath
from openhcs_core.pipeline import Pattern, PatternEntry, parse_pattern
from openhcs_core.plan import FunctionPlan, GroupPlan, StepPlan

PlacedFunction = tuple[FunctionPlan, KeyPath]


def placed_groups(
    plan: StepPlan, request: CompileRequest
) -> Iterator[tuple[GroupPlan, tuple[PlacedFunction, ...]]]:
    """Yield every group of a planned step that has functions, and each function with its place."""
    number = step_number(plan.step_name, request)
    pattern = parse_pattern(request.pipeline.steps[number].func, ("steps", number, "func"))
    for group in plan.groups:
        if group.functions:
            places = (call.at for call in _find_entry(group, pattern, request).calls)
            yield group, tuple(zip(group.functions, places, strict=True))


def _find_entry(group: GroupPlan, pattern: Pattern, request: CompileRequest) -> PatternEntry:
    """Return what a group was planned from; where functions differ by well, what reads the same."""
    refs = [function.ref for function in group.functions]
    values = (group.value, request.index.channel_names.get(group.value or ""))
    same = [entry for entry in pattern.entries if [call.ref for call in entry.calls] == refs]
    return next((entry for entry in same if entry.value in values), same[0])


def step_number(name: str, request: CompileRequest) -> int:
    """Return which step of the pipeline file has this name, from 0."""
    return [step.name for step in request.pipeline.steps].index(name)
