"""What is right but may surprise: said before the run."""

import re
from collections.abc import Iterator
from math import prod

from openhcs_core.compiler.components import values_after
from openhcs_core.compiler.plate_values import ComponentValues, component_values
from openhcs_core.compiler.request import CompileRequest
from openhcs_core.config import ZarrChunkStrategy
from openhcs_core.constants import Backend, Component
from openhcs_core.plan import PlatePlan, StepPlan
from openhcs_core.storage import choose_block

_MB = 10**6


def find_warnings(plan: PlatePlan, request: CompileRequest) -> tuple[str, ...]:
    """Return a line for every kept step whose channels differ in z, or whose fields are large.

    An OME-Zarr image has one z axis for all channels: where a channel has fewer planes the
    others are empty, and viewers show them black. A field that is too large to be written from
    memory at once has several files.
    """
    pipelines: dict[tuple[int, ...], tuple[StepPlan, ...]] = {}
    for well in plan.wells:
        steps = tuple(plan.step_plan(step, well) for step in plan.steps if not step.is_plate_wide)
        pipelines[tuple(map(id, steps))] = steps
    names = request.index.channel_names
    warnings: dict[str, None] = {}
    for channel in names:
        values = component_values(request.index, request.wells, channel)
        for steps in pipelines.values():
            for text in _warn_of_channel(channel, names[channel], values, steps):
                warnings[text] = None
    for step in (step for steps in pipelines.values() for step in steps):
        for text in _warn_of_size(step, request):
            warnings[text] = None
    return tuple(warnings)


def _warn_of_size(step: StepPlan, request: CompileRequest) -> Iterator[str]:
    """Yield why a kept step's fields get several files, if its images are as large as the plate's.

    What is written is decided by the same rule, from the images that there are.
    """
    store = step.store
    if store is None or store.zarr is None or store.zarr.chunk_strategy == ZarrChunkStrategy.FILE:
        return
    outer = (len(store.timepoints), len(store.channels), len(store.z_indices))
    for channel in request.index.channels:
        dtype = step.output_dtype or channel.dtype
        plane_bytes = prod(channel.shape) * _itemsize(dtype)
        planes = choose_block(outer, plane_bytes, store.zarr).planes
        if channel.id in store.channels and planes != outer:
            height, width = channel.shape
            yield (
                f"kept images of step {step.step_name!r}: a field of {prod(outer)} planes of "
                f"{height}x{width} {dtype} is {prod(outer) * plane_bytes / _MB:.0f} MB, over the "
                f"{store.zarr.max_shard_mb} of storage.zarr.max_shard_mb, which bounds the memory "
                f"to write it; it gets {prod(outer) // prod(planes)} files instead of one"
            )
            return


def _itemsize(dtype: str) -> int:
    """Return the bytes of a number; numpy, which knows, takes a while to import."""
    bits = re.search(r"\d+$", dtype)
    return int(bits[0]) // 8 if bits else 1


def _warn_of_channel(
    channel: str, name: str, values: ComponentValues, steps: tuple[StepPlan, ...]
) -> Iterator[str]:
    at: dict[str | None, ComponentValues] = {None: values}
    for step in steps:
        at[step.step_name] = values_after(step, at[step.source], channel)
        if step.store is None or step.store.backend is not Backend.ZARR:
            continue
        have = {int(z_index) for z_index in at[step.step_name][Component.Z_INDEX]}
        empty = [str(z_index) for z_index in step.store.z_indices if z_index not in have]
        if channel in step.store.channels and empty:
            yield (
                f"kept images of step {step.step_name!r}: channel {channel} ({name}) "
                f"has no z {', '.join(empty)}; viewers show these planes black"
            )
