"""Pass 4: every function declares its memory types, and neighbours in a chain fit."""

from openhcs_core.compiler.request import CompileRequest, ErrorList
from openhcs_core.config import KeyPath
from openhcs_core.constants import MemoryType
from openhcs_core.errors import raise_all
from openhcs_core.memory import FRAMEWORKS
from openhcs_core.plan import FunctionPlan, GroupPlan, StepPlan


def validate_memory_contracts(
    plans: tuple[StepPlan, ...], request: CompileRequest
) -> tuple[StepPlan, ...]:
    """Return plans with the memory types their images enter and leave in.

    Raises
    ------
    ErrorGroup
        A function without declaration, a memory type nothing here can hold, or
        neighbours that do not fit.
    """
    errors = ErrorList(request.document)
    names = [step.name for step in request.pipeline.steps]
    checked = []
    for plan in plans:
        at: KeyPath = ("steps", names.index(plan.step_name), "func")
        for group in plan.groups:
            _check_group(plan, group, at, errors)
        chains = [group.functions for group in plan.groups if group.functions]
        first = chains[0][0].input_memory_type if chains else MemoryType.NUMPY
        last = chains[0][-1].output_memory_type if chains else MemoryType.NUMPY
        checked.append(
            plan.model_copy(update={"input_memory_type": first, "output_memory_type": last})
        )
    raise_all(request.document.path, errors.errors)
    return tuple(checked)


def _check_group(plan: StepPlan, group: GroupPlan, at: KeyPath, errors: ErrorList) -> None:
    prefix = f"step {plan.step_name!r}: "
    for function in group.functions:
        _check_declared(function, prefix, at, errors)
    for left, right in zip(group.functions, group.functions[1:], strict=False):
        if left.chain_breaker:  # the next takes the step's input, which stays on the CPU
            continue
        if left.output_memory_type is not right.input_memory_type:
            errors.add(
                f"{prefix}Incompatible memory types in chain: {left.ref} gives "
                f"{left.output_memory_type} but {right.ref} takes {right.input_memory_type}; "
                "put them into two steps",
                at,
            )


def _check_declared(function: FunctionPlan, prefix: str, at: KeyPath, errors: ErrorList) -> None:
    for side, memory_type in (
        ("input", function.input_memory_type),
        ("output", function.output_memory_type),
    ):
        if memory_type not in FRAMEWORKS:
            errors.add(
                f"{prefix}Unsupported {side} memory type of {function.ref}: {memory_type}; "
                f"available: {', '.join(FRAMEWORKS)}",
                at,
            )
