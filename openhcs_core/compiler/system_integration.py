"""Checks across step plans as dicts: memory types, backends, GPUs and special values fit."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from openhcs_core.constants import GPU_MEMORY_TYPES, GPU_ONLY_MEMORY_TYPES, Backend
from openhcs_core.errors import CompileError, OpenHCSError, located, raise_all
from openhcs_core.memory import FRAMEWORKS

StepPlanDict = Mapping[str, Any]
"""One step plan under the specification's keys, as of ``StepPlan.as_dict``."""
StepPlanDicts = Mapping[Any, StepPlanDict] | Iterable[StepPlanDict]
"""Step plans by their numbers, as in ``ProcessingContext.step_plans``, or in pipeline order."""

_REQUIRED = ("input_memory_type", "output_memory_type", "read_backend")
_HOLD_VALUES = (Backend.MEMORY, Backend.DISK)
_PICKLES = (".pkl", ".pickle", ".p")


def validate_system_integration(step_plans: StepPlanDicts) -> None:
    """Check that storage, memory types and GPUs of compiled steps go together.

    Parameters
    ----------
    step_plans : mapping or iterable of mappings
        A context's ``step_plans``, or a list of such dicts.

    Raises
    ------
    ErrorGroup
        Every step's memory types that no framework here holds, backend that does not exist, GPU
        that nobody asked for, and special input whose path leaves the results, is a pickle or
        lies in a backend that holds no values.
    """
    errors: list[OpenHCSError] = []
    for number, plan in _numbered(step_plans):
        problems = list(_find_missing(plan)) or [
            *_find_memory_types(plan),
            *_find_backends(plan),
            *_find_gpu(plan),
            *_find_special_inputs(plan),
        ]
        errors += [_error(problem, number, plan) for problem in problems]
    raise_all("step_plans", errors)


class GPUMemoryTypeValidator:
    """Which steps need a GPU, and whether one is planned for each of them."""

    @staticmethod
    def validate_step_plans(step_plans: StepPlanDicts) -> dict[Any, dict[str, Any]]:
        """Return what each step that needs a GPU gets.

        Parameters
        ----------
        step_plans : mapping or iterable of mappings
            A context's ``step_plans``, or a list of such dicts.

        Returns
        -------
        dict
            By the step's number: ``gpu``, how many GPUs its jobs ask for, and ``gpu_id``, the
            device, which is None until a job runs. Steps that need none are not in it.

        Raises
        ------
        ErrorGroup
            A step needs a GPU and neither a device nor a GPU of the scheduler is planned.
        """
        plans = list(_numbered(step_plans))
        raise_all(
            "step_plans",
            [_error(text, number, plan) for number, plan in plans for text in _find_gpu(plan)],
        )
        return {
            number: {"gpu": _planned_gpus(plan), "gpu_id": plan.get("gpu_id")}
            for number, plan in plans
            if _gpu_types(plan) or _planned_gpus(plan)
        }


def _numbered(step_plans: StepPlanDicts) -> Iterable[tuple[Any, StepPlanDict]]:
    return step_plans.items() if isinstance(step_plans, Mapping) else enumerate(step_plans)


def _error(problem: str, number: object, plan: StepPlanDict) -> OpenHCSError:
    name = f" (step {plan['step_name']!r})" if "step_name" in plan else ""
    return located(CompileError(problem), f"step_plans[{number!r}]{name}")


def _find_missing(plan: StepPlanDict) -> Iterator[str]:
    for key in _REQUIRED:
        if key not in plan:
            yield f"Invalid step plan structure: it has no {key!r}; compile the step to its end"


def _find_memory_types(plan: StepPlanDict) -> Iterator[str]:
    for side in ("input", "output"):
        if (memory_type := plan[f"{side}_memory_type"]) not in FRAMEWORKS:
            known = ", ".join(FRAMEWORKS)
            yield f"Unsupported {side} memory type: {memory_type}; available: {known}"


def _find_backends(plan: StepPlanDict) -> Iterator[str]:
    if (backend := plan["read_backend"]) not in list(Backend):
        yield f"Unsupported read backend: {backend}; there are {', '.join(Backend)}"


def _gpu_types(plan: StepPlanDict) -> list[str]:
    types = (plan.get("input_memory_type"), plan.get("output_memory_type"))
    return [str(memory_type) for memory_type in types if memory_type in GPU_MEMORY_TYPES]


def _planned_gpus(plan: StepPlanDict) -> int:
    return int((plan.get("resources") or {}).get("gpu", 0))


def _find_gpu(plan: StepPlanDict) -> Iterator[str]:
    # a device is chosen where the job runs: at compile time its scheduler is asked for one, or
    # for none where the step is to run on the CPU, which some types cannot
    types = _gpu_types(plan)
    if plan.get("resources") is not None:
        types = [memory_type for memory_type in types if memory_type in GPU_ONLY_MEMORY_TYPES]
    if types and plan.get("gpu_id") is None and not _planned_gpus(plan):
        yield (
            f"GPU memory type requires gpu_id: {types[0]} needs a GPU and none is planned; "
            "let PipelineCompiler.assign_gpu_resources_for_context plan one"
        )


def _find_special_inputs(plan: StepPlanDict) -> Iterator[str]:
    for name, special in plan.get("special_inputs", {}).items():
        if not isinstance(special, Mapping) or not {"path", "backend"} <= set(special):
            yield (
                f"Invalid special input path: {name!r} is {special!r}; "
                "expected {'path': …, 'backend': …}"
            )
            continue
        path, backend = special["path"], special["backend"]
        if reason := _why_no_path(PurePosixPath(path), backend):
            yield f"Invalid special input path: {path}; {reason}"


def _why_no_path(path: PurePosixPath, backend: str) -> str | None:
    if path.is_absolute() or ".." in path.parts:
        return "values between steps lie inside the plate's results"
    if path.suffix.lower() in _PICKLES:
        return "pickles are not read; give a file that a step of this pipeline writes"
    if backend not in _HOLD_VALUES:
        return f"backend {backend!r} holds no values; use {' or '.join(_HOLD_VALUES)}"
    return None
