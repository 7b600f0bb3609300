"""What a step takes for one well: from shapes and functions, and from jobs that did it before.

The memory of a job is its process and libraries, and on top of them the larger of two phases:
one stack going through its chain; or the images that are kept being written, a plane at a time.
Images to be kept and labels wait for the well's end, in memory up to a limit, else in files.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import mul

from natsort import natsorted

from openhcs_core.compiler.chain_costs import ChainCost
from openhcs_core.compiler.components import values_after
from openhcs_core.compiler.places import step_number
from openhcs_core.compiler.plate_values import ComponentValues
from openhcs_core.compiler.request import CompileRequest
from openhcs_core.compiler.tiling import MemoryLimit, StackForm, cost_of_stack
from openhcs_core.config import ZarrChunkStrategy
from openhcs_core.constants import Backend, Component, MemoryType
from openhcs_core.microscopes import ChannelInfo
from openhcs_core.plan import (
    WHOLE_STEP,
    GroupPlan,
    Measurement,
    PlatePlan,
    StepPlan,
    StepPrediction,
    StorePlan,
    TilePlan,
    plan_digest,
)

_PROCESS_MB = 53
"""Python, this package, numpy and tifffile."""
_LIBRARY_MB = {
    MemoryType.TORCH: 185,
    MemoryType.JAX: 120,
    MemoryType.PYCLESPERANTO: 90,
    MemoryType.TENSORFLOW: 660,
    MemoryType.CUPY: 300,
}
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

_Chains = list[ChainCost]


@dataclass(frozen=True)
class _Images:
    """The images of one channel of a well at some step.

    Attributes
    ----------
    values : dict
        Values of each component.
    itemsize : int
        Bytes of a pixel.
    """

    values: ComponentValues
    itemsize: int
    shape: tuple[int, int]

    @property
    def px(self) -> int:
        """Pixels of an image."""
        return self.shape[0] * self.shape[1]

    def count(self, components: Sequence[Component]) -> int:
        """Return how many planes differ in these components."""
        return reduce(mul, (max(1, len(self.values[one])) for one in components), 1)

    @property
    def planes(self) -> int:
        """All planes of the well."""
        return self.count([one for one in Component if one is not Component.WELL])

    @property
    def bytes(self) -> float:
        """Their size."""
        return self.planes * self.px * self.itemsize


def predict_steps(plans: Sequence[StepPlan], request: CompileRequest) -> dict[str, StepPrediction]:
    """Return what each step takes for a well, by step name.

    Parameters
    ----------
    plans : sequence of StepPlan
        With the functions of all wells.
    request : CompileRequest
        With the plate's shapes, functions' costs, and measurements of earlier runs.
    """
    found, given = {}, {}
    for plan, read, made, chains in _follow_images(plans, request):
        given[plan.step_name] = read
        records = request.measured.get(plan.step_name, ())
        if plan.is_plate_wide:
            joined = [given[table.step] for table in plan.tables if not table.of_plate]
            prediction = _predict_plate(plan, read, joined, request)
            found[plan.step_name] = _of_plate_from_records(prediction, plan, records)
            continue
        prediction = _predict(plan, read, made, [*_counted(plan, read, chains)], request)
        found[plan.step_name] = from_records(prediction, plan, records)
    return found


def plan_tiles(
    plate: PlatePlan, plans: Sequence[StepPlan], request: CompileRequest
) -> dict[str, dict[str, TilePlan]]:
    """Return which stacks are worked on in parts: by digest of a step's plan, and by group.

    Parameters
    ----------
    plans : sequence of StepPlan
        The plate's steps with the functions of all wells.
    """
    tiles: dict[str, dict[str, TilePlan]] = {}
    for step, (plan, read, *_) in zip(plate.steps, _follow_images(plans, request), strict=True):
        if plan.is_plate_wide or not _tiles(plan, read, request):
            continue
        for own, _ in plate.variants(step):
            tiles[plan_digest(own)] = _tiles(own, read, request)
    return tiles


def _tiles(
    plan: StepPlan, read: "Mapping[str, _Images]", request: CompileRequest
) -> dict[str, TilePlan]:
    """Return the smallest parts that any channel needs, by group."""
    found: dict[str, TilePlan] = {}
    for channel, images in read.items():
        for group in _groups(plan, channel):
            _, tile = _cost(plan, group, images, request)
            key = group.value or WHOLE_STEP
            if tile is not None and (key not in found or tile.side_px < found[key].side_px):
                found[key] = tile
    return found


def _follow_images(
    plans: Sequence[StepPlan], request: CompileRequest
) -> "Iterator[tuple[StepPlan, dict[str, _Images], dict[str, _Images], dict[str, _Chains]]]":
    """Yield each step with what of a well it reads and makes, and what its chains cost."""
    images: dict[str | None, dict[str, _Images]] = {None: _plate_images(request)}
    for plan in plans:
        read = images[plan.source]
        made = read
        chains: dict[str, _Chains] = {}
        if not plan.is_plate_wide:
            chains = {channel: _chains(plan, channel, of, request) for channel, of in read.items()}
            made = {
                channel: _after(plan, channel, read[channel], chains[channel]) for channel in read
            }
        images[plan.step_name] = made
        yield plan, read, made, chains


def _plate_images(request: CompileRequest) -> dict[str, _Images]:
    """Return the images of the well that has the most."""
    counts = Counter(image.key.well for image in request.index.images)
    fullest = max(request.wells, key=counts.__getitem__)
    keys = [image.key for image in request.index.images if image.key.well == fullest]
    return {
        channel.id: _Images(
            {
                component: tuple(
                    natsorted(
                        {
                            str(getattr(key, component.value))
                            for key in keys
                            if key.channel == channel.id
                        }
                    )
                )
                for component in Component
            },
            _itemsize(channel),
            channel.shape,
        )
        for channel in request.index.channels
    }


def _itemsize(channel: ChannelInfo) -> int:
    digits = "".join(letter for letter in channel.dtype if letter.isdigit())
    return max(1, int(digits or 16) // 8)


def _chains(plan: StepPlan, channel: str, images: _Images, request: CompileRequest) -> _Chains:
    """Return what each chain costs that may get stacks of a channel."""
    return [_cost(plan, group, images, request)[0] for group in _groups(plan, channel)]


def _cost(
    plan: StepPlan, group: GroupPlan, images: _Images, request: CompileRequest
) -> tuple[ChainCost, TilePlan | None]:
    stack = StackForm(images.count(plan.variable_components), images.shape, images.itemsize)
    own = request.pipeline.steps[step_number(plan.step_name, request)].resources.mem_mb
    limit = MemoryLimit(_process_mb(plan, request) * _MB, None if own is None else own * _MB)
    return cost_of_stack(plan, group, stack, request, limit)


def _groups(plan: StepPlan, channel: str) -> Iterator[GroupPlan]:
    for group in plan.groups:
        if plan.group_by is not Component.CHANNEL or group.value in (None, channel):
            yield group


def _after(plan: StepPlan, channel: str, images: _Images, chains: Sequence[ChainCost]) -> _Images:
    itemsize = max((chain.itemsize for chain in chains), default=images.itemsize)
    return _Images(values_after(plan, images.values, channel), itemsize, images.shape)


def _counted(
    plan: StepPlan, read: Mapping[str, _Images], chains: Mapping[str, Sequence[ChainCost]]
) -> Iterator[tuple[int, ChainCost]]:
    """Yield the dearest chain of each channel with how many stacks go through it."""
    for channel, images in read.items():
        if chains[channel]:
            stacks = images.planes // max(1, images.count(plan.variable_components))
            yield max(1, stacks), max(chains[channel], key=lambda chain: chain.peak_bytes)


def _predict_plate(
    plan: StepPlan,
    read: Mapping[str, _Images],
    joined: Sequence[Mapping[str, _Images]],
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
    process_mb = _PROCESS_MB + max((cost.library_mb for cost in costs), default=0)
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
    read: Mapping[str, _Images],
    made: Mapping[str, _Images],
    chains: Sequence[tuple[int, ChainCost]],
    request: CompileRequest,
) -> StepPrediction:
    kinds = _memory_types(plan)
    process_mb = _process_mb(plan, request)
    labels = sum(stacks * chain.label_bytes for stacks, chain in chains)
    process_mb += _ROI_MB if labels else 0
    held = min(labels, _HELD_BYTES) + labels / _LABEL_BYTES / _PX_PER_OBJECT * _FOUND_BYTES
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


def _process_mb(plan: StepPlan, request: CompileRequest) -> int:
    """Return what a job's process takes with the libraries of its functions."""
    costs = [request.functions.find(function.ref).cost for function in plan.functions]
    libraries = sum(_LIBRARY_MB.get(kind, 0) for kind in _memory_types(plan))
    return _PROCESS_MB + max((cost.library_mb for cost in costs), default=0) + libraries


def _memory_types(plan: StepPlan) -> set[MemoryType]:
    return {
        kind
        for function in plan.functions
        for kind in (function.input_memory_type, function.output_memory_type)
    }


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
