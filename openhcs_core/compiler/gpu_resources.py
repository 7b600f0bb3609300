"""Pass 5: what a job of each step asks its scheduler for."""

from collections.abc import Iterator, Mapping
from math import ceil

from openhcs_core.compiler.followed_images import follow_images
from openhcs_core.compiler.places import placed_groups, step_number
from openhcs_core.compiler.predictions import predict_steps
from openhcs_core.compiler.request import CompileRequest, ErrorList
from openhcs_core.config import KeyPath, Level, ResourcesConfig
from openhcs_core.constants import GPU_MEMORY_TYPES, GPU_ONLY_MEMORY_TYPES, MemoryType
from openhcs_core.errors import CompileError, located, raise_all
from openhcs_core.plan import FunctionPlan, JobResources, StepPlan, StepPrediction

_HEADROOM, _SPARE_MB, _ROUND_MB = 1.25, 50, 10
_RUNTIME_MIN, _MEASURED_MIN = 30, 10
_TIME_HEADROOM = 5.0


def assign_gpu_resources(
    plans: tuple[StepPlan, ...],
    request: CompileRequest,
    predictions: Mapping[str, StepPrediction] | None = None,
) -> dict[str, JobResources]:
    """Return resources by step name.

    Memory and time are more than predicted, or what the step's settings say. A step
    with functions of a GPU memory type asks for one GPU, or what its settings say; for none
    where ``request.gpu`` is ``none``. No device number is chosen here: the scheduler gives the
    job its GPU.

    Raises
    ------
    ErrorGroup
        GPU settings of a step that uses none, or functions that need a GPU and get none.
    """
    errors = ErrorList(request.document)
    if predictions is None:
        predictions = predict_steps(follow_images(plans, request), request)
    resources = {
        plan.step_name: _assign(plan, request, predictions[plan.step_name], errors)
        for plan in plans
    }
    if request.gpu == "none":
        _check_without_gpu(plans, request, errors)
    raise_all(request.document.path, errors.errors)
    return resources


def _assign(
    plan: StepPlan, request: CompileRequest, prediction: StepPrediction, errors: ErrorList
) -> JobResources:
    number = step_number(plan.step_name, request)
    settings = request.pipeline.steps[number].resources
    gpu = _check_gpu(plan, settings, number, request, errors)
    return JobResources(
        mem_mb=settings.mem_mb or _asked_mb(prediction),
        runtime_min=settings.runtime or _asked_min(prediction),
        well_min=settings.runtime or round(_time_min(prediction), 3),
        gpu=gpu,
        gpu_model=settings.gpu_model if gpu else None,
        is_gpu_needed=bool(gpu) and (settings.gpu, settings.gpu_model) != (None, None),
    )


def _check_gpu(
    plan: StepPlan,
    settings: ResourcesConfig,
    number: int,
    request: CompileRequest,
    errors: ErrorList,
) -> int:
    """Return how many GPUs a job asks for; note settings that say what cannot be."""
    at: KeyPath = ("steps", number, "resources")
    prefix = f"step {plan.step_name!r}: "
    if not any(_uses(function, GPU_MEMORY_TYPES) for function in plan.functions):
        for key in ("gpu", "gpu_model"):
            is_own = request.origin(number, "resources", key).level is Level.STEP
            if is_own and getattr(settings, key) is not None:
                errors.add(
                    f"{prefix}resources.{key} is for functions that use a GPU; "
                    "none of this step's does: leave it out",
                    (*at, key),
                )
        return 0
    gpu = 1 if settings.gpu is None else settings.gpu
    levels = {request.origin(number, "resources", key).level for key in ("gpu", "gpu_model")}
    if gpu == 0 and settings.gpu_model is not None and len(levels) == 1:
        errors.add(
            f"{prefix}resources.gpu is 0, so that it runs on the CPU, but gpu_model is "
            f"{settings.gpu_model!r}; leave one of them out",
            (*at, "gpu_model"),
        )
    if request.gpu == "none":
        return 0
    if gpu == 0 and (needy := list(dict.fromkeys(_needy(plan)))):
        errors.add(
            f"{prefix}GPU memory type requires gpu_id: {', '.join(needy)} cannot run on a CPU; "
            "leave resources.gpu out or make it 1, or use functions of another memory type",
            (*at, "gpu"),
        )
    return gpu


def _check_without_gpu(
    plans: tuple[StepPlan, ...], request: CompileRequest, errors: ErrorList
) -> None:
    """Note all functions that need a GPU as one error, whose remedy is one."""
    needy = [f"step {plan.step_name!r}: {name}" for plan in plans for name in _needy(plan)]
    if not needy:
        return
    error = CompileError(
        "GPU memory type requires gpu_id, and execution.gpu is none; these functions cannot run "
        f"on a CPU: {'; '.join(dict.fromkeys(needy))}. Set execution.gpu to auto, or use "
        "functions of another memory type"
    )
    for plan in plans:
        for _, functions in placed_groups(plan, request):
            for function, at in functions:
                if _uses(function, GPU_ONLY_MEMORY_TYPES):
                    located(error, request.document.where(at))
    errors.errors.append(error)


def _needy(plan: StepPlan) -> Iterator[str]:
    """Yield the functions that cannot do without a GPU, with what they need it for."""
    for function in plan.functions:
        if _uses(function, GPU_ONLY_MEMORY_TYPES):
            kinds = {function.input_memory_type, function.output_memory_type}
            yield f"{function.ref} ({', '.join(sorted(kinds & GPU_ONLY_MEMORY_TYPES))})"


def _uses(function: FunctionPlan, memory_types: frozenset[MemoryType]) -> bool:
    return not memory_types.isdisjoint((function.input_memory_type, function.output_memory_type))


def _asked_mb(prediction: StepPrediction) -> int:
    """Return what is asked for: more than predicted, as a job that has too little is killed."""
    return -(-round(prediction.peak_mb * _HEADROOM + _SPARE_MB) // _ROUND_MB) * _ROUND_MB


def _asked_min(prediction: StepPrediction) -> int:
    """Return minutes to ask for: many times what is predicted, and a machine may be busy."""
    least = _MEASURED_MIN if prediction.records else _RUNTIME_MIN
    return max(least, ceil(_time_min(prediction)))


def _time_min(prediction: StepPrediction) -> float:
    return prediction.cpu_s * _TIME_HEADROOM / 60
