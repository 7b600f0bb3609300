"""Pass 4: every function declares its memory types, and neighbours in a chain fit."""

from itertools import pairwise

from openhcs_core.compiler.places import PlacedFunction, placed_groups
from openhcs_core.compiler.request import CompileRequest, ErrorList
from openhcs_core.constants import MemoryType
from openhcs_core.errors import raise_all
from openhcs_core.memory import remedy_for
from openhcs_core.plan import StepPlan


def validate_memory_contracts(
    plans: tuple[StepPlan, ...], request: CompileRequest
) -> tuple[StepPlan, ...]:
    """Return plans with the memory types their images enter and leave in.

    The chains of a component dict may differ in their types: each stack of planes meets one of
    them and is converted for it, and all results are stored alike. The step's own types are
    then those of its first chain. What may not differ, the dtype of kept OME-Zarr images, is
    checked on the images.

    Raises
    ------
    ErrorGroup
        A function without declaration, a memory type nothing here can hold, or
        neighbours that do not fit.
    """
    errors = ErrorList(request.document)
    checked = []
    for plan in plans:
        for _, functions in placed_groups(plan, request):
            for function in functions:
                _check_declared(plan, function, request, errors)
            for left, right in pairwise(functions):
                _check_neighbours(plan, left, right, errors)
        chains = [group.functions for group in plan.groups if group.functions]
        first = chains[0][0].input_memory_type if chains else MemoryType.NUMPY
        last = chains[0][-1].output_memory_type if chains else MemoryType.NUMPY
        checked.append(
            plan.model_copy(update={"input_memory_type": first, "output_memory_type": last})
        )
    raise_all(request.document.path, errors.errors)
    return tuple(checked)


def _check_neighbours(
    plan: StepPlan, before: PlacedFunction, after: PlacedFunction, errors: ErrorList
) -> None:
    (left, _), (right, at) = before, after
    types = (left.output_memory_type, right.input_memory_type)
    if left.chain_breaker:  # the next takes the step's input, which is converted for it
        return
    if MemoryType.UNKNOWN not in types and types[0] is not types[1]:
        errors.add(
            f"step {plan.step_name!r}: Incompatible memory types in chain: {left.ref} gives "
            f"{types[0]} but {right.ref} takes {types[1]}; put {right.ref} and what comes after "
            "it into a step of their own: images are converted between steps",
            at,
        )


def _check_declared(
    plan: StepPlan, placed: PlacedFunction, request: CompileRequest, errors: ErrorList
) -> None:
    function, at = placed
    types = {"input": function.input_memory_type, "output": function.output_memory_type}
    prefix = f"step {plan.step_name!r}: "
    if MemoryType.UNKNOWN in types.values():
        errors.add(
            f"{prefix}{function.ref} declares no memory type; add @numpy above its definition "
            "(from openhcs_core.memory import numpy), or memory_types(input_type=…, "
            "output_type=…) for another array library",
            at,
        )
        return
    for side, memory_type in types.items():
        if memory_type not in request.memory_types:
            errors.add(
                f"{prefix}Unsupported {side} memory type: {memory_type}, declared by "
                f"{function.ref}: its library is not installed here; "
                f"{remedy_for(memory_type)}, or use a function of another memory type",
                at,
            )
