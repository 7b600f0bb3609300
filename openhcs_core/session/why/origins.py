"""The place that each new value of a changed plan comes from."""

from collections.abc import Mapping, Sequence

from openhcs_core.compiler import (
    CompileRequest,
    ExplainedFunction,
    ExplainedStep,
    ExplainedValue,
    explain_plate,
)
from openhcs_core.config import Level
from openhcs_core.plan import PlatePlan
from openhcs_core.session.why.plan_differences import PlanDifference

_SETTINGS = {
    "source": ("input_source",),
    "kept": ("materialize.backend", "storage.materialization", "keep"),
    "store.sub_dir": ("materialize.sub_dir",),
}
"""Field of a plan → settings that decide it; the first that is given counts."""
_DEFAULT = Level.DEFAULT.value
_INSTALLED = "installed"


def with_origins(
    differences: Sequence[PlanDifference],
    plate: PlatePlan,
    request: CompileRequest,
    step: str,
    well: str,
    modules: Mapping[str, str],
) -> tuple[PlanDifference, ...]:
    """Return differences with the places that their new values come from.

    Parameters
    ----------
    plate, request
        The plate's plan of today and what it was compiled from.
    modules : mapping of str to str
        Files of user modules, by library name.
    """
    explained = explain_plate(plate, request, step=step, well=well).steps[0]
    number = [plan.step_name for plan in plate.steps].index(step)
    func = request.document.where(("steps", number, "func"))
    return tuple(
        one.model_copy(update={"where": _where(one, explained, modules, func)})
        for one in differences
    )


def _where(
    difference: PlanDifference, step: ExplainedStep, modules: Mapping[str, str], func: str
) -> str:
    if difference.kind == "version":
        return _INSTALLED
    if difference.kind == "functions":
        return func
    if difference.kind == "source":
        return modules.get((difference.function or "").partition(":")[0], _INSTALLED)
    if difference.kind == "parameter":
        function = _find_function(difference, step)
        values = () if function is None else function.parameters
        return _origin(difference.name, values)
    names = _SETTINGS.get(difference.name)
    if names is None and difference.name.startswith("store.zarr."):
        names = (difference.name.replace("store.", "storage."),)
    origins = [_origin(name, step.settings) for name in names or (difference.name,)]
    given = [origin for origin in origins if origin not in ("", _DEFAULT)]
    return [*given, *origins][0]


def _find_function(difference: PlanDifference, step: ExplainedStep) -> ExplainedFunction | None:
    for group in step.groups:
        if group.value == difference.group and difference.number is not None:
            return group.functions[difference.number]
    return None


def _origin(name: str, values: Sequence[ExplainedValue]) -> str:
    return next((value.origin for value in values if value.name == name), "")
