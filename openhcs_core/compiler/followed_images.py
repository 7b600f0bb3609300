"""A plate's images followed through its steps: what each reads and makes, and in which parts."""

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
from openhcs_core.constants import Component, MemoryType
from openhcs_core.microscopes import ChannelInfo
from openhcs_core.plan import WHOLE_STEP, GroupPlan, PlatePlan, StepPlan, TilePlan, plan_digest
from openhcs_core.planes import PlaneKey

PROCESS_MB = 53
"""Python, this package, numpy and tifffile."""
_LIBRARY_MB = {
    MemoryType.TORCH: 185,
    MemoryType.JAX: 120,
    MemoryType.PYCLESPERANTO: 90,
    MemoryType.TENSORFLOW: 660,
    MemoryType.CUPY: 300,
}
MB = 2**20

_Chains = list[ChainCost]


@dataclass(frozen=True)
class WellImages:
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


@dataclass(frozen=True)
class FollowedStep:
    """A step with what of a well it reads and makes.

    Attributes
    ----------
    plan : StepPlan
        With the functions of all wells.
    read, made : dict of str to WellImages
        By channel.
    chains : dict of str to list of ChainCost
        By channel, what each chain costs that may get its stacks.
    is_in_parts : bool
        Some stacks are worked on in parts.
    """

    plan: StepPlan
    read: dict[str, WellImages]
    made: dict[str, WellImages]
    chains: dict[str, _Chains]
    is_in_parts: bool = False


def plan_tiles(
    plate: PlatePlan, steps: Sequence[FollowedStep], request: CompileRequest
) -> dict[str, dict[str, TilePlan]]:
    """Return which stacks are worked on in parts: by digest of a step's plan, and by group.

    Parameters
    ----------
    steps : sequence of FollowedStep
        Those of the plate; see :func:`follow_images`.
    """
    tiles: dict[str, dict[str, TilePlan]] = {}
    for plan, step in zip(plate.steps, steps, strict=True):
        if not step.is_in_parts:
            continue
        for own, _ in plate.variants(plan):
            tiles[plan_digest(own)] = _tiles(own, step.read, request)
    return tiles


def _tiles(
    plan: StepPlan, read: Mapping[str, WellImages], request: CompileRequest
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


def follow_images(plans: Sequence[StepPlan], request: CompileRequest) -> list[FollowedStep]:
    """Return each step with what of a well it reads and makes, and what its chains cost.

    Parameters
    ----------
    plans : sequence of StepPlan
        With the functions of all wells.
    request : CompileRequest
        With the plate's shapes and functions' costs.
    """
    steps = []
    images: dict[str | None, dict[str, WellImages]] = {None: _plate_images(request)}
    for plan in plans:
        read = images[plan.source]
        step = FollowedStep(plan, read, read, {})
        if not plan.is_plate_wide:
            costs = {channel: _chains(plan, channel, of, request) for channel, of in read.items()}
            chains = {channel: [cost for cost, _ in of] for channel, of in costs.items()}
            made = {
                channel: _after(plan, channel, read[channel], chains[channel]) for channel in read
            }
            tiles = (tile for of in costs.values() for _, tile in of)
            step = FollowedStep(plan, read, made, chains, any(tile is not None for tile in tiles))
        images[plan.step_name] = step.made
        steps.append(step)
    return steps


def _plate_images(request: CompileRequest) -> dict[str, WellImages]:
    """Return the images of the well that has the most."""
    planes = request.index.planes
    fullest = max(request.wells, key=lambda well: len(planes.get(well, ())))
    keys = [PlaneKey(fullest, *plane) for plane in planes.get(fullest, ())]
    return {
        channel.id: WellImages(
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


def _chains(
    plan: StepPlan, channel: str, images: WellImages, request: CompileRequest
) -> list[tuple[ChainCost, TilePlan | None]]:
    """Return what each chain costs that may get stacks of a channel, and its parts."""
    return [_cost(plan, group, images, request) for group in _groups(plan, channel)]


def _cost(
    plan: StepPlan, group: GroupPlan, images: WellImages, request: CompileRequest
) -> tuple[ChainCost, TilePlan | None]:
    stack = StackForm(images.count(plan.variable_components), images.shape, images.itemsize)
    own = request.pipeline.steps[step_number(plan.step_name, request)].resources.mem_mb
    limit = MemoryLimit(process_memory_mb(plan, request) * MB, None if own is None else own * MB)
    return cost_of_stack(plan, group, stack, request, limit)


def _groups(plan: StepPlan, channel: str) -> Iterator[GroupPlan]:
    for group in plan.groups:
        if plan.group_by is not Component.CHANNEL or group.value in (None, channel):
            yield group


def _after(
    plan: StepPlan, channel: str, images: WellImages, chains: Sequence[ChainCost]
) -> WellImages:
    itemsize = max((chain.itemsize for chain in chains), default=images.itemsize)
    return WellImages(values_after(plan, images.values, channel), itemsize, images.shape)


def process_memory_mb(plan: StepPlan, request: CompileRequest) -> int:
    """Return what a job's process takes with the libraries of its functions."""
    costs = [request.functions.find(function.ref).cost for function in plan.functions]
    libraries = sum(_LIBRARY_MB.get(kind, 0) for kind in memory_types(plan))
    return PROCESS_MB + max((cost.library_mb for cost in costs), default=0) + libraries


def memory_types(plan: StepPlan) -> set[MemoryType]:
    """Return the memory types that functions of a step take and give."""
    return {
        kind
        for function in plan.functions
        for kind in (function.input_memory_type, function.output_memory_type)
    }
