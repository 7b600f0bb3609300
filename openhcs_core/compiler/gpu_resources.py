"""Pass 5: what a job of each step asks its scheduler for."""

from openhcs_core.compiler.request import CompileRequest
from openhcs_core.constants import GPU_MEMORY_TYPES, Component
from openhcs_core.plan import JobResources, StepPlan

_BASE_MB = 400
_BYTES_PER_PIXEL = 8
_COPIES = 3
_RUNTIME_MIN = 30


def assign_gpu_resources(
    plans: tuple[StepPlan, ...], request: CompileRequest
) -> dict[str, JobResources]:
    """Return resources by step name.

    Memory is predicted as an interpreter with its libraries plus three float64 copies of
    what a job holds at once: the largest stack, or the whole well for a kept step. No
    device number is chosen here: the scheduler gives the job its GPU.
    """
    settings = {step.name: step.resources for step in request.pipeline.steps}
    return {
        plan.step_name: JobResources(
            mem_mb=settings[plan.step_name].mem_mb or _predict_mb(plan, request),
            runtime_min=settings[plan.step_name].runtime or _RUNTIME_MIN,
            gpu=int(_needs_gpu(plan)),
        )
        for plan in plans
    }


def _needs_gpu(plan: StepPlan) -> bool:
    return any(
        memory_type in GPU_MEMORY_TYPES
        for function in plan.functions
        for memory_type in (function.input_memory_type, function.output_memory_type)
    )


def _predict_mb(plan: StepPlan, request: CompileRequest) -> int:
    keys = [image.key for image in request.index.images if image.key.well in request.wells[:1]]
    stacked = set(Component) if plan.store is not None else set(plan.variable_components)
    planes = 1
    for component in stacked:
        planes *= max(1, len({getattr(key, component.value) for key in keys}))
    height = max(channel.shape[0] for channel in request.index.channels)
    width = max(channel.shape[1] for channel in request.index.channels)
    held_bytes = planes * height * width * _BYTES_PER_PIXEL * _COPIES
    return _BASE_MB + held_bytes // 2**20
