"""Where in the pipeline file the functions of a plan stand."""

from collections.abc import Iterator

from openhcs_core.compiler.request import CompileRequest
from openhcs_core.config import KeyPath
from openhcs_core.pipeline import parse_pattern
from openhcs_core.plan import FunctionPlan, GroupPlan, StepPlan

PlacedFunction = tuple[FunctionPlan, KeyPath]


def placed_groups(
    plan: StepPlan, request: CompileRequest
) -> Iterator[tuple[GroupPlan, tuple[PlacedFunction, ...]]]:
    """Yield every group of a planned step that has functions, and each function with its place."""
    number = step_number(plan.step_name, request)
    pattern = parse_pattern(request.pipeline.steps[number].func, ("steps", number, "func"))
    chains = [group for group in plan.groups if group.functions]
    for group, entry in zip(chains, pattern.entries, strict=True):
        places = (call.at for call in entry.calls)
        yield group, tuple(zip(group.functions, places, strict=True))


def step_number(name: str, request: CompileRequest) -> int:
    """Return which step of the pipeline file has this name, from 0."""
    return [step.name for step in request.pipeline.steps].index(name)
