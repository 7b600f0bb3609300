"""What a step takes for one well: from shapes and functions, and from jobs that did it before.

The memory of a job is its process and libraries, and on top of them the larger of two phases:
one stack going through its chain; or the images that are kept being written, a plane at a time.
Images to be kept and labels wait for the well's end, in memory up to a limit, else in files.
"""

from collections.abc import Iterator, Mapping, Sequence

from openhcs_core.compiler.chain_costs import ChainCost
from openhcs_core.compiler.followed_images import (
    PROCESS_MB,
    FollowedStep,
    WellImages,
    memory_types,
    process_memory_mb,
)
from openhcs_core.compiler.request import CompileRequest
from openhcs_core.config import ZarrChunkStrategy
from openhcs_core.constants import Backend, Component, MemoryType
from openhcs_core.materialization import ROIOptions
from openhcs_core.plan import (
    Measurement,
    StepPlan,
    StepPrediction,
    StorePlan,
    plan_digest,
)

_WRITER_MB = {Backend.ZARR: 22, Backend.DISK: 3}
_ROI_MB = 6
_START_S, _LIBRARY_S = 0.8, 0.5
_MEMORY_TYPE_S = {
    MemoryType.TORCH: 3.0,
    MemoryType.JAX: 1.5,
    MemoryType.PYCLESPERANTO: 1.0,
    MemoryType.TENSORFLOW: 8.0,
    MemoryType.CUPY: 1.5,
}
_READ_NS_PER_BYTE, _KEEP_NS_PER_BYTE = 1.5, 12.0
_PYRAMID = 4 / 3
_LABEL_BYTES = 4
_TIFFS_AT_ONCE = 4
_PX_PER_OBJECT, _FOUND_BYTES = 4000, 1000
"""Objects, and what their outlines and rows take until the well's end."""
_ROW_BYTES, _ROW_NS, _PANDAS_MB = 300, 4000, 45
"""Of a plate table that a function takes."""
_KNOWN_OF_PLANE_BYTES = 500
"""What a step over the plate knows of each image: its name and digest."""
_COMPRESSED = 0.75
"""Camera noise hardly compresses: cautious, for disks."""
_PLATE_PLANES, _FLOAT64_BYTES = 8, 8
"""What a function over a plate holds of the images that pass it: sums, counts, a result."""
_HELD_BYTES = 32 * 2**20
"""Of images to be kept, and of labels, that are in memory until they are written, at most; and
of pixels that are on their way to disk."""
_MB = 2**20
_SAMPLE = 32


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
            prediction = _predict_plate(plan, read, joined, request)
            found[plan.step_name] = _of_plate_from_records(prediction, plan, records)
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


def _predict_plate(
    plan: StepPlan,
    read: Mapping[str, WellImages],
    joined: Sequence[Mapping[str, WellImages]],
    request: CompileRequest,
) -> StepPrediction:
    """Return what a step over the whole plate takes: it sees one image after the other.

    Parameters
    ----------
    joined : sequence of mapping
        The images of a well that each plate table is of; a table is in memory whole.
    """
    costs = [request.functions.find(function.ref).cost for function in plan.functions]
    wells = len(request.wells)
    process_mb = PROCESS_MB + max((cost.library_mb for cost in costs), default=0)
    held = cpu_ns = 0.0
    if plan.takes_images:
        held = max(images.px for images in read.values()) * _PLATE_PLANES * _FLOAT64_BYTES
        held += wells * sum(images.planes for images in read.values()) * _KNOWN_OF_PLANE_BYTES
        read_bytes = wells * sum(images.bytes for images in read.values())
        px = wells * sum(images.planes * images.px for images in read.values())
        cpu_ns = read_bytes * _READ_NS_PER_BYTE + px * sum(cost.ns_per_px for cost in costs)
    for of_well in joined:
        px = wells * sum(images.planes * images.px for images in of_well.values())
        held += px / _PX_PER_OBJECT * _ROW_BYTES
        cpu_ns += px / _PX_PER_OBJECT * _ROW_NS
    process_mb += _PANDAS_MB if plan.tables else 0
    return StepPrediction(
        peak_mb=round(process_mb + held / _MB),
        cpu_s=round(_START_S + _LIBRARY_S + cpu_ns / 1e9, 2),
        cached_bytes=0,
        kept_bytes=0,
    )


def _of_plate_from_records(
    prediction: StepPrediction, plan: StepPlan, records: Sequence[Measurement]
) -> StepPrediction:
    """Return what an earlier run's job took; of other parameters or wells, that at least."""
    found = from_records(prediction, plan, records)
    is_same = any(record.digest == plan_digest(plan) for record in records)
    return (
        found
        if is_same
        else found.model_copy(
            update={
                "peak_mb": max(found.peak_mb, prediction.peak_mb),
                "cpu_s": max(found.cpu_s, prediction.cpu_s),
            }
        )
    )


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
    held = min(labels, _HELD_BYTES) + labels / _LABEL_BYTES / _PX_PER_OBJECT * _FOUND_BYTES
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
    start_s = _START_S + (_LIBRARY_S if plan.functions else 0.0)
    start_s += sum(_MEMORY_TYPE_S.get(kind, 0.0) for kind in kinds)
    cpu_s = start_s + sum(stacks * chain.cpu_ns for stacks, chain in chains) / 1e9
    cpu_s += sum(images.bytes for images in read.values()) * _READ_NS_PER_BYTE / 1e9
    is_kept = plan.store is not None
    cpu_s += (image_bytes + labels) * _KEEP_NS_PER_BYTE / 1e9 if is_kept else 0.0
    return StepPrediction(
        peak_mb=round(process_mb + max(computing, keeping) / _MB),
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


def from_records(
    prediction: StepPrediction, plan: StepPlan, records: Sequence[Measurement]
) -> StepPrediction:
    """Return what jobs of earlier runs took, where any had the functions of this plan.

    Memory is the most that one had, time and size their mean.
    """
    refs = tuple(function.ref for function in plan.functions)
    alike = [record for record in records if record.functions == refs][:_SAMPLE]
    if not alike:
        return prediction
    mean_cpu = sum(record.cpu_s for record in alike) / len(alike)
    kept = [record.kept_bytes for record in alike if record.kept_bytes]
    return prediction.model_copy(
        update={
            "peak_mb": max(record.peak_mb for record in alike),
            "cpu_s": round(_START_S + mean_cpu, 2),
            "start_s": _START_S,
            "kept_bytes": round(sum(kept) / len(kept)) if kept else prediction.kept_bytes,
            "records": len(alike),
        }
    )
