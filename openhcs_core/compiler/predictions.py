"""What a step takes for one well: from shapes and functions, and from jobs that did it before.

The memory of a job is its process and libraries, and on top of them the larger of two phases:
one stack going through its chain; or the images that are kept being written, a plane at a time.
Images to be kept and labels wait for the well's end, in memory up to a limit, else in files.
"""

from collections.abc import Iterator, Mapping, Sequence

from openhcs_core.compiler.chain_costs import ChainCost
from openhcs_core.compiler.followed_images import (
    MB,
    FollowedStep,
    WellImages,
    memory_types,
    process_memory_mb,
)
from openhcs_core.compiler.measured_steps import START_S, from_records
from openhcs_core.compiler.plate_step_costs import (
    LIBRARY_S,
    PX_PER_OBJECT,
    READ_NS_PER_BYTE,
    predict_plate_step,
)
from openhcs_core.compiler.request import CompileRequest
from openhcs_core.config import ZarrChunkStrategy
from openhcs_core.constants import Backend, Component, MemoryType
from openhcs_core.materialization import ROIOptions
from openhcs_core.plan import (
    StepPlan,
    StepPrediction,
    StorePlan,
)

_WRITER_MB = {Backend.ZARR: 22, Backend.DISK: 3}
_ROI_MB = 6
_MEMORY_TYPE_S = {
    MemoryType.TORCH: 3.0,
    MemoryType.JAX: 1.5,
    MemoryType.PYCLESPERANTO: 1.0,
    MemoryType.TENSORFLOW: 8.0,
    MemoryType.CUPY: 1.5,
}
_KEEP_NS_PER_BYTE = 12.0
_PYRAMID = 4 / 3
_LABEL_BYTES = 4
_TIFFS_AT_ONCE = 4
_FOUND_BYTES = 1000
"""What an object's outline and row take until the well's end."""
_COMPRESSED = 0.75
"""Camera noise hardly compresses: cautious, for disks."""
_HELD_BYTES = 32 * 2**20
"""Of images to be kept, and of labels, that are in memory until they are written, at most; and
of pixels that are on their way to disk."""


def predict_steps(
    steps: Sequence[FollowedStep], request: CompileRequest
) -> dict[str, StepPrediction]:
    """Return what each step takes for a well, by step name.

    Parameters
    ----------
    steps : sequence of FollowedStep
        See :func:`follow_images`.
    request : CompileRequest
        With the plate's shapes, functions' costs, and measurements of earlier runs.
    """
    found, given = {}, {}
    for step in steps:
        plan, read = step.plan, step.read
        given[plan.step_name] = read
        records = request.measured.get(plan.step_name, ())
        if plan.is_plate_wide:
            # a table of a later step is refused, once all mistakes are known
            tables = (one for one in plan.tables if not one.of_plate and one.step in given)
            joined = [given[table.step] for table in tables]
            found[plan.step_name] = predict_plate_step(plan, read, joined, request, records)
            continue
        counted = [*_counted(plan, read, step.chains)]
        prediction = _predict(plan, read, step.made, counted, request)
        found[plan.step_name] = from_records(prediction, plan, records)
    return found


def _counted(
    plan: StepPlan, read: Mapping[str, WellImages], chains: Mapping[str, Sequence[ChainCost]]
) -> Iterator[tuple[int, ChainCost]]:
    """Yield the dearest chain of each channel with how many stacks go through it."""
    for channel, images in read.items():
        if chains[channel]:
            stacks = images.planes // max(1, images.count(plan.variable_components))
            yield max(1, stacks), max(chains[channel], key=lambda chain: chain.peak_bytes)


def _predict(
    plan: StepPlan,
    read: Mapping[str, WellImages],
    made: Mapping[str, WellImages],
    chains: Sequence[tuple[int, ChainCost]],
    request: CompileRequest,
) -> StepPrediction:
    kinds = memory_types(plan)
    process_mb = process_memory_mb(plan, request)
    labels = sum(stacks * chain.label_bytes for stacks, chain in chains)
    process_mb += _ROI_MB if labels else 0
    held = min(labels, _HELD_BYTES) + labels / _LABEL_BYTES / PX_PER_OBJECT * _FOUND_BYTES
    held += labels if _has_linked_labels(plan) else 0  # a file that is made in memory
    computing = max((chain.peak_bytes for _, chain in chains), default=0.0) + held
    image_bytes = sum(images.bytes for images in made.values())
    keeping = 0.0
    if plan.store is not None:
        computing += min(image_bytes, _HELD_BYTES)
        process_mb += _WRITER_MB[plan.store.backend]
        sites = max(1, *(len(images.values[Component.SITE]) for images in made.values()))
        keeping = held + min(image_bytes, _HELD_BYTES)
        drawn = [stacks * chain.label_bytes / sites for stacks, chain in chains]
        plane = max(
            images.px * max(images.itemsize, _LABEL_BYTES if labels else 0)
            for images in made.values()
        )
        keeping += _written_bytes(plan.store, [image_bytes / sites, *drawn], plane)
    start_s = START_S + (LIBRARY_S if plan.functions else 0.0)
    start_s += sum(_MEMORY_TYPE_S.get(kind, 0.0) for kind in kinds)
    cpu_s = start_s + sum(stacks * chain.cpu_ns for stacks, chain in chains) / 1e9
    cpu_s += sum(images.bytes for images in read.values()) * READ_NS_PER_BYTE / 1e9
    is_kept = plan.store is not None
    cpu_s += (image_bytes + labels) * _KEEP_NS_PER_BYTE / 1e9 if is_kept else 0.0
    return StepPrediction(
        peak_mb=round(process_mb + max(computing, keeping) / MB),
        cpu_s=round(cpu_s, 2),
        cached_bytes=0 if is_kept else round(image_bytes),
        kept_bytes=round(image_bytes * _PYRAMID * _COMPRESSED) if is_kept else 0,
        start_s=start_s,
    )


def _has_linked_labels(plan: StepPlan) -> bool:
    """Return whether later steps take label images of this one."""
    return any(
        output.is_linked
        and output.spec is not None
        and ROIOptions in map(type, output.spec.options)
        for function in plan.functions
        for output in function.special_outputs
    )


def _written_bytes(store: StorePlan, fields: Sequence[float], plane_bytes: float) -> float:
    """Return what is in memory while fields are written, one after the other.

    A plane with its pyramid and what these are encoded to, and those before it that are on their
    way. A chunk of several planes, in OME-Zarr 0.4, is put together instead.
    """
    if store.zarr is None:
        return _TIFFS_AT_ONCE * 2 * plane_bytes
    config = store.zarr
    largest = plane_bytes
    if config.ome_zarr_version == "0.4" and config.chunk_strategy is ZarrChunkStrategy.WELL:
        largest = max(plane_bytes, min(max(fields), config.max_shard_mb * 10**6))
    return largest * (_PYRAMID + 1) + min(max(sum(fields) - largest, 0), _HELD_BYTES)
