"""Which stacks are worked on in parts of their slices, so that memory stays within bounds."""

from dataclasses import dataclass, replace

from openhcs_core.compiler.chain_costs import ChainCost, cost_of_chain
from openhcs_core.compiler.request import CompileRequest
from openhcs_core.constants import MemoryType
from openhcs_core.plan import FunctionPlan, GroupPlan, StepPlan, TilePlan

_STACKS, _MORE_BYTES = 3, 400 * 2**20
"""What a job may take where its step does not say: so many stacks, and so much more."""
_SIDES_PX = (8192, 4096, 2048, 1024, 512)
_SEED = "seed"
_LEAST_HALOS = 2
"""Parts are so many halos wide at least: more of the work would be done twice."""


@dataclass(frozen=True)
class StackForm:
    """A stack that is read.

    Attributes
    ----------
    planes, itemsize : int
        How many, and bytes of a pixel.
    shape : tuple of int
        ``(Y, X)``.
    """

    planes: int
    shape: tuple[int, int]
    itemsize: int


@dataclass(frozen=True)
class MemoryLimit:
    """What a job may take.

    Attributes
    ----------
    process_bytes : float
        Of its process before it loads an image.
    most_bytes : float or None
        As its step says; None: a few stacks and some hundred MB.
    """

    process_bytes: float
    most_bytes: float | None = None

    def of_stacks(self, stack_bytes: float) -> float:
        """Return what is left for stacks of a size."""
        usual = _STACKS * stack_bytes + _MORE_BYTES
        return (usual if self.most_bytes is None else self.most_bytes) - self.process_bytes


def cost_of_stack(
    plan: StepPlan, group: GroupPlan, stack: StackForm, request: CompileRequest, limit: MemoryLimit
) -> tuple[ChainCost, TilePlan | None]:
    """Return what a stack costs on its way through a chain, and the parts it is worked on in.

    Parts there are only where the whole would exceed the limit and where all functions of the
    chain declare how far they look; then the largest that fit, or the smallest there are.
    """
    height, width = stack.shape

    def cost(px: int) -> ChainCost:
        return cost_of_chain(plan, group, stack.planes, px, stack.itemsize, request.functions)

    whole = cost(height * width)
    read = float(stack.planes * height * width * stack.itemsize)
    made = whole.result_bytes / whole.result_itemsize * whole.itemsize
    most = limit.of_stacks(max(read, made))
    halo = None if whole.peak_bytes <= most else _halo(group, request)
    if halo is None:
        return whole, None
    found = None
    for side in _SIDES_PX:
        if side >= max(stack.shape) or side < _LEAST_HALOS * halo:
            continue
        px = min(side + 2 * halo, height) * min(side + 2 * halo, width)
        peak = read + made + cost(px).peak_bytes
        if peak < whole.peak_bytes:
            tile = TilePlan(side_px=side, halo_px=halo)
            found = replace(whole, peak_bytes=peak), tile
            if peak <= most:
                break
    return found or (whole, None)


def _halo(group: GroupPlan, request: CompileRequest) -> int | None:
    """Return how far a chain looks for a pixel, None where that is not known."""
    halos = [_halo_of(function, request) for function in group.functions]
    known = [halo for halo in halos if halo is not None]
    return sum(known) if known and len(known) == len(halos) else None


def _halo_of(function: FunctionPlan, request: CompileRequest) -> int | None:
    types = {function.input_memory_type, function.output_memory_type}
    locality = request.functions.find(function.ref).locality
    if locality is None or types != {MemoryType.NUMPY} or function.chain_breaker:
        return None
    if function.special_inputs or function.special_outputs or _SEED in function.parameters:
        return None  # these are of whole images
    return locality.halo_px(function.parameters)
