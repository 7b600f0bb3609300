"""Which conversions between array libraries a run makes, told before it."""

from collections.abc import Collection, Iterator, Mapping

from openhcs_core.constants import MemoryType
from openhcs_core.memory import find_route
from openhcs_core.plan import GroupPlan, JobResources, PlannedConversion, StepPlan

_Types = tuple[MemoryType, ...]
_ByGroup = Mapping[str | None, _Types]


def plan_inter_step_conversions(
    plans: tuple[StepPlan, ...],
    resources: Mapping[str, JobResources],
    handed_over: Collection[str] = (),
) -> tuple[PlannedConversion, ...]:
    """Return the conversions of every step and group, in the order a job makes them.

    Parameters
    ----------
    plans : tuple of StepPlan
        In pipeline order, their memory contracts validated.
    resources : mapping
        By step name: with a GPU, arrays are on it.
    handed_over : collection of str
        Steps that get the result of the step before as it is. All others read images from
        storage, as numpy; the images of every step are stored.

    Raises
    ------
    MemoryConversionError
        A memory type that needs a GPU in a step without one.
    """
    steps = {plan.step_name: plan for plan in plans}
    leaving: dict[str, _ByGroup] = {}
    conversions: list[PlannedConversion] = []
    for plan in plans:
        arriving: dict[str | None, _Types] = {}
        for group in plan.groups:
            types: _Types = (MemoryType.NUMPY,)
            if plan.source is not None and plan.step_name in handed_over:
                types = _handed_over(plan, group, steps[plan.source], leaving[plan.source])
            arriving[group.value] = types
            on_gpu = resources[plan.step_name].gpu > 0
            conversions += _convert_group(plan, group, types, on_gpu=on_gpu)
        leaving[plan.step_name] = {
            group.value: _leaving(group, arriving[group.value]) for group in plan.groups
        }
    return tuple(conversions)


def _handed_over(plan: StepPlan, group: GroupPlan, source: StepPlan, left: _ByGroup) -> _Types:
    """Return the types that the source's images of a group come in: several for several chains."""
    if source.group_by is plan.group_by and group.value in left:
        return left[group.value]
    return tuple(dict.fromkeys(kind for types in left.values() for kind in types))


def _leaving(group: GroupPlan, arriving: _Types) -> _Types:
    return (group.functions[-1].output_memory_type,) if group.functions else arriving


def _convert_group(
    plan: StepPlan, group: GroupPlan, arriving: _Types, *, on_gpu: bool
) -> Iterator[PlannedConversion]:
    for at, source, target in _changes(group, arriving):
        if source is not target:
            route = find_route(source, target, on_gpu=on_gpu)
            yield PlannedConversion(step=plan.step_name, group=group.value, at=at, route=route)


def _changes(group: GroupPlan, arriving: _Types) -> Iterator[tuple[str, MemoryType, MemoryType]]:
    """Yield where the types may differ; neighbours in a chain have the same."""
    gets_input = True
    for number, function in enumerate(group.functions, start=1):
        if gets_input:
            at = "input" if number == 1 else f"function {number}"
            for kind in arriving:
                yield at, kind, function.input_memory_type
        gets_input = function.chain_breaker
    for kind in _leaving(group, arriving):
        yield "output", kind, MemoryType.NUMPY
