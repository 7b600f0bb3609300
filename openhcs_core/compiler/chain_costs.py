"""What one stack costs on its way through a chain of functions: memory and time."""

from dataclasses import dataclass

from openhcs_core.compiler.request import FunctionCatalogue
from openhcs_core.materialization import ROIOptions
from openhcs_core.pipeline import FunctionCost
from openhcs_core.plan import FunctionPlan, GroupPlan, StepPlan

_LABEL_BYTES = 4
_ROI_NS_PER_PX = 60.0
_DTYPE_BYTES = {"uint8": 1, "uint16": 2, "int32": 4, "float32": 4, "float64": 8}
_FLOAT_BYTES = 4
"""Pixels of so many bytes are floats, as far as predictions go."""


@dataclass(frozen=True)
class ChainCost:
    """One stack through one chain.

    Attributes
    ----------
    peak_bytes : float
        Most memory at once, the stack itself included.
    result_bytes : float
        Of what the chain gives.
    label_bytes : float
        Of label images, which wait for the well's end.
    cpu_ns : float
        Of its functions.
    itemsize, result_itemsize : int
        Bytes of a pixel of what is stored, and of what the chain gives.
    """

    peak_bytes: float
    result_bytes: float
    label_bytes: float
    cpu_ns: float
    itemsize: int
    result_itemsize: int


@dataclass
class _Chain:
    """The stack as it is between two functions, and the most there was so far."""

    planes: int
    px: int
    itemsize: int
    is_own: bool
    peak: float = 0.0
    labels: float = 0.0
    cpu_ns: float = 0.0

    @property
    def bytes(self) -> float:
        return self.planes * self.px * self.itemsize

    def apply(self, function: FunctionPlan, cost: FunctionCost) -> None:
        px, itemsize = self.planes * self.px, self.itemsize
        result = itemsize if is_float(itemsize) else cost.itemsize or itemsize
        planes = 1 if function.collapses else self.planes
        if function.slice_by_slice:
            others = (self.planes - 1) / self.planes
            made = px * (result + (_LABEL_BYTES if _has_labels(function) else 0))
            call = self.px * (itemsize + needed_bytes(cost, itemsize))
            self.peak = max(self.peak, self.bytes + others * made + call)
        else:
            copy = 0 if self.is_own else self.bytes
            call = px * needed_bytes(cost, itemsize)
            self.peak = max(self.peak, self.bytes + copy + call)
        self.cpu_ns += px * cost.ns_per_px
        if _has_labels(function):
            self.labels += px * _LABEL_BYTES
            self.cpu_ns += px * _ROI_NS_PER_PX
        self.planes, self.itemsize, self.is_own = planes, result, False


def cost_of_chain(
    plan: StepPlan,
    group: GroupPlan,
    planes: int,
    px: int,
    itemsize: int,
    functions: FunctionCatalogue,
) -> ChainCost:
    """Return what a stack costs.

    Parameters
    ----------
    planes, px, itemsize : int
        Of the stack that is read: its planes, pixels of one, bytes of a pixel.
    functions : FunctionCatalogue
        Knows what each function takes.
    """
    chain = _Chain(planes, px, itemsize, is_own=plan.source is None)
    start = chain.bytes if any(one.chain_breaker for one in group.functions[:-1]) else 0.0
    chain.peak = chain.bytes
    for function in group.functions:
        chain.apply(function, functions.find(function.ref).cost)
        if function.chain_breaker and function is not group.functions[-1]:
            chain.planes, chain.itemsize = planes, itemsize
    result = chain.bytes
    stored = _DTYPE_BYTES.get(plan.output_dtype or "", chain.itemsize)
    cast = chain.planes * px * stored
    storing = result + cast
    peak = start + max(chain.peak, storing)
    return ChainCost(peak, result, chain.labels, chain.cpu_ns, stored, chain.itemsize)


def is_float(itemsize: int) -> bool:
    """Return whether pixels of this size are taken for floats."""
    return itemsize >= _FLOAT_BYTES


def needed_bytes(cost: FunctionCost, itemsize: int) -> float:
    """Return what a function needs for a pixel of its input, in bytes."""
    if is_float(itemsize) and cost.float_bytes_per_px is not None:
        return cost.float_bytes_per_px
    return cost.bytes_per_px


def _has_labels(function: FunctionPlan) -> bool:
    return any(
        isinstance(options, ROIOptions)
        for output in function.special_outputs
        for options in (output.spec.options if output.spec else ())
    )
