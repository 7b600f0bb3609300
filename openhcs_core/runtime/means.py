"""What a call meets besides its planes: the job's devices, and what to do without memory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from openhcs_core.constants import GPU_ONLY_MEMORY_TYPES, MemoryType
from openhcs_core.memory import get_framework
from openhcs_core.pipeline import ProcessingContract
from openhcs_core.plan import FunctionPlan
from openhcs_core.runtime.devices import NO_GPU, JobDevice, ProcessDevices
from openhcs_core.runtime.fallbacks import FallbackNotes
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.out_of_memory import FallbackUse, Recovery, no_note
from openhcs_core.runtime.seeds import SEED_PARAMETER


@dataclass(frozen=True)
class Means:
    """Where functions run, and what may be done when memory runs out.

    Attributes
    ----------
    device : JobDevice
        The job's GPUs.
    fallbacks : frozenset of str
        Those that the config lists.
    note : callable
        Is told of each use of one.
    """

    device: JobDevice = NO_GPU
    fallbacks: frozenset[str] = frozenset()
    note: Callable[[FallbackUse], None] = field(default=no_note)

    def gpu_id(self, memory_type: str, *, on_cpu: bool = False) -> int | None:
        """Return the device of a call's arrays, None for host memory."""
        return None if on_cpu else self.device.gpu_id(memory_type)

    @contextmanager
    def on_devices(self, plan: FunctionPlan, *, on_cpu: bool = False) -> Iterator[None]:
        """Make the devices of a function's libraries the current ones."""
        with ExitStack() as stack:
            for kind in libraries_of(plan):
                gpu_id = self.gpu_id(kind, on_cpu=on_cpu)
                stack.enter_context(get_framework(kind).on_device(gpu_id))
            yield

    def recovery(self, plan: FunctionPlan, function: Callable[..., Any]) -> Recovery:
        """Return what may be done for a function.

        Those of libraries declare nothing and may be called again: they leave their input as it
        is. Others do as they declare.
        """
        may_retry = bool(getattr(function, "oom_recovery", True))
        can_split, has_cpu = _can_split(plan, function), self._has_cpu(plan)
        return Recovery(
            plan.ref,
            may_retry=may_retry,
            may_split=may_retry and can_split and "oom_split" in self.fallbacks,
            may_use_cpu=may_retry and has_cpu and "oom_cpu" in self.fallbacks,
            note=self.note,
            advice=self._advice(may_retry=may_retry, can_split=can_split, has_cpu=has_cpu),
        )

    def _has_cpu(self, plan: FunctionPlan) -> bool:
        """Return whether a function works on a GPU and does not need one."""
        kinds = libraries_of(plan)
        return GPU_ONLY_MEMORY_TYPES.isdisjoint(kinds) and any(
            self.gpu_id(kind) is not None for kind in kinds
        )

    def _advice(self, *, may_retry: bool, can_split: bool, has_cpu: bool) -> str:
        more = "give its jobs more (resources.mem_mb)"
        if not may_retry:
            return f"{more}, or declare that it may be called again (oom_recovery=True)"
        could = {"oom_split": can_split, "oom_cpu": has_cpu}
        unused = [name for name, can in could.items() if can and name not in self.fallbacks]
        if unused:
            more += f", or list {' or '.join(unused)} in the config's fallbacks"
        return more


@contextmanager
def job_means(job: Job, well: str) -> Iterator[Means]:
    """Let a job see its GPUs: before it loads an array library, and only when it computes.

    Parameters
    ----------
    well : str
        E.g. ``"B02"``: where it notes what it does when memory runs out.
    """
    location = job.location
    count, is_needed = location.gpus.get(job.step, 0), job.step in location.gpus_needed
    with ExitStack() as stack:
        devices = job.devices or ProcessDevices(stack)
        device = devices.open(f"step {job.step!r}", count, is_needed=is_needed)
        yield Means(device, frozenset(location.fallbacks), FallbackNotes(job, well).add)


def libraries_of(function: FunctionPlan) -> tuple[MemoryType, ...]:
    """Return the memory types other than numpy that a function takes or gives."""
    kinds = dict.fromkeys((function.input_memory_type, function.output_memory_type))
    return tuple(kind for kind in kinds if kind not in (MemoryType.NUMPY, MemoryType.UNKNOWN))


def _can_split(plan: FunctionPlan, function: Callable[..., Any]) -> bool:
    """Return whether a call with fewer slices gives just their part of the result.

    Values beside the image belong to the whole stack, and so do random numbers.
    """
    contract = getattr(function, "processing_contract", None)
    return (
        contract is ProcessingContract.BATCH_2D
        and not (plan.special_inputs or plan.special_outputs or plan.slice_by_slice)
        and SEED_PARAMETER not in plan.parameters
    )
