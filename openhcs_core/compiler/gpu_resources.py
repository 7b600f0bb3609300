"""Pass 5: what a job of each step asks its scheduler for."""

from collections.abc import Iterator

from openhcs_core.compiler.places import placed_groups, step_number
from openhcs_core.compiler.request import CompileRequest, ErrorList
from openhcs_core.config import KeyPath, Level, ResourcesConfig
from openhcs_core.constants import GPU_MEMORY_TYPES, GPU_ONLY_MEMORY_TYPES, Component, MemoryType
from openhcs_core.errors import CompileError, located, raise_all
from openhcs_core.plan import FunctionPlan, JobResources, StepPlan

_BASE_MB = 400
_BYTES_PER_PIXEL = 8
_COPIES = 3
_RUNTIME_MIN = 30
_PLATE_PLANES = 4
"""What a function over a plate holds of the images that pass it: sums, counts, a result."""


def assign_gpu_resources(
    plans: tuple[StepPlan, ...], request: CompileRequest
) -> dict[str, JobResources]:
    """Return resources by step name.

    Memory is predicted as an interpreter with its libraries plus three float64 copies of
    what a job holds at once: the largest stack, or the whole well for a kept step. A step
    with functions of a GPU memory type asks for one GPU, or what its settings say; for none
    where ``request.gpu`` is ``none``. No device number is chosen here: the scheduler gives the
    job its GPU.

    Raises
    ------
    ErrorGroup
        GPU settings of a step that uses none, or functions that need a GPU and get none.
    """
    errors = ErrorList(request.document)
    resources = {plan.step_name: _assign(plan, request, errors) for plan in plans}
    if request.gpu == "none":
        _check_without_gpu(plans, request, errors)
    raise_all(request.document.path, errors.errors)
    return resources


def _assign(plan: StepPlan, request: CompileRequest, errors: ErrorList) -> JobResources:
    number = step_number(plan.step_name, request)
    settings = request.pipeline.steps[number].resources
    gpu = _check_gpu(plan, settings, number, request, errors)
    return JobResources(
        mem_mb=settings.mem_mb or _predict_mb(plan, request),
        runtime_min=settings.runtime or _RUNTIME_MIN,
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


def _predict_mb(plan: StepPlan, request: CompileRequest) -> int:
    keys = [image.key for image in request.index.images if image.key.well in request.wells[:1]]
    stacked = set(Component) if plan.store is not None else set(plan.variable_components)
    planes = _PLATE_PLANES if plan.is_plate_wide else 1
    for component in stacked if not plan.is_plate_wide else ():
        planes *= max(1, len({getattr(key, component.value) for key in keys}))
    height = max(channel.shape[0] for channel in request.index.channels)
    width = max(channel.shape[1] for channel in request.index.channels)
    held_bytes = planes * height * width * _BYTES_PER_PIXEL * _COPIES
    return _BASE_MB + held_bytes // 2**20
