"""How an array gets from one library to another: the cheapest route, known without any of them.

Measured on the CPU with 64 MB: a view by DLPack or ``memoryview`` takes 0.001 to 0.03 ms, a copy
13 ms; ``tf.constant``, ``Tensor.numpy()`` and ``jnp.asarray`` copy in 25 to 110 ms and are never
on a route. On a GPU only the order counts: a view on the device costs next to nothing, a
transfer between host and device at least a copy.

A view becomes a copy where the memory does not suit the library that takes it over, or where
one side may write to what the other holds to be unchanging.
"""

import heapq
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from itertools import pairwise, takewhile

from openhcs_core.config.base import FrozenModel
from openhcs_core.constants import GPU_ONLY_MEMORY_TYPES, MemoryType
from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory.frameworks import FRAMEWORKS, discover_frameworks, get_framework
from openhcs_core.memory.layout import OWN_LAYOUT, ArrayLayout


class ConversionMethod(StrEnum):
    """What hands an array to another library.

    ``dlpack``, ``cuda_array_interface`` and ``memoryview`` share its memory; ``push_pull``
    (OpenCL buffers), ``host_copy`` (a copy in host memory, or between host and device) and
    ``device_copy`` (on one device) do not.
    """

    DLPACK = "dlpack"
    CUDA_ARRAY_INTERFACE = "cuda_array_interface"
    MEMORYVIEW = "memoryview"
    PUSH_PULL = "push_pull"
    HOST_COPY = "host_copy"
    DEVICE_COPY = "device_copy"

    @property
    def copies(self) -> int:
        """How often it copies the array."""
        return int(self in _COPYING)


_COPYING = frozenset(
    {ConversionMethod.PUSH_PULL, ConversionMethod.HOST_COPY, ConversionMethod.DEVICE_COPY}
)


class ConversionHop(FrozenModel):
    """One handing over between two libraries.

    Attributes
    ----------
    leaves_device : bool
        It takes the array from a device's memory to the host's.
    """

    source: MemoryType
    target: MemoryType
    method: ConversionMethod
    leaves_device: bool = False


class ConversionRoute(FrozenModel):
    """From one memory type to another.

    Attributes
    ----------
    hops : tuple of ConversionHop
        None where both are the same.
    """

    source: MemoryType
    target: MemoryType
    hops: tuple[ConversionHop, ...] = ()

    @property
    def types(self) -> tuple[MemoryType, ...]:
        """The memory types on the way, both ends included."""
        return (self.source, *(hop.target for hop in self.hops))

    @property
    def method(self) -> str:
        """The methods of its hops, e.g. ``memoryview + host_copy``; ``none`` without any."""
        return " + ".join(hop.method for hop in self.hops) or "none"

    @property
    def copies(self) -> int:
        """How often the array is copied."""
        return sum(hop.method.copies for hop in self.hops)

    @property
    def leaves_device(self) -> bool:
        """Whether the array leaves a device's memory on the way."""
        return any(hop.leaves_device for hop in self.hops)

    @property
    def cost_us(self) -> int:
        """The predicted time for 64 MB, in microseconds: to compare routes, not to plan with."""
        return sum(_COST_US[hop.method] for hop in self.hops)

    def describe(self) -> str:
        """Return e.g. ``numpy → torch (dlpack, no copy)``."""
        copies = {0: "no copy", 1: "1 copy"}.get(self.copies, f"{self.copies} copies")
        device = ", leaves the device" if self.leaves_device else ""
        return f"{' → '.join(self.types)} ({self.method}, {copies}{device})"


_Hops = Mapping[tuple[MemoryType, MemoryType], ConversionMethod]

_NUMPY, _CUPY, _TORCH = MemoryType.NUMPY, MemoryType.CUPY, MemoryType.TORCH
_TENSORFLOW, _JAX, _OPENCL = MemoryType.TENSORFLOW, MemoryType.JAX, MemoryType.PYCLESPERANTO

_COST_US = {
    ConversionMethod.DLPACK: 30,
    ConversionMethod.CUDA_ARRAY_INTERFACE: 30,
    ConversionMethod.MEMORYVIEW: 30,
    ConversionMethod.HOST_COPY: 13_000,
    ConversionMethod.PUSH_PULL: 13_000,
    ConversionMethod.DEVICE_COPY: 100,
}

_OPENCL_HOPS: _Hops = {  # DLPack of an OpenCL array is no way out: it crashes at exit
    (_NUMPY, _OPENCL): ConversionMethod.PUSH_PULL,
    (_OPENCL, _NUMPY): ConversionMethod.PUSH_PULL,
}

_CPU_HOPS: _Hops = {
    **_OPENCL_HOPS,
    (_NUMPY, _TORCH): ConversionMethod.DLPACK,
    (_TORCH, _NUMPY): ConversionMethod.DLPACK,
    (_TORCH, _TENSORFLOW): ConversionMethod.DLPACK,
    (_TENSORFLOW, _TORCH): ConversionMethod.DLPACK,
    (_NUMPY, _TENSORFLOW): ConversionMethod.DLPACK,
    (_TENSORFLOW, _NUMPY): ConversionMethod.MEMORYVIEW,
    (_JAX, _NUMPY): ConversionMethod.DLPACK,
    (_JAX, _TORCH): ConversionMethod.DLPACK,
    (_JAX, _TENSORFLOW): ConversionMethod.DLPACK,
    (_NUMPY, _JAX): ConversionMethod.DLPACK,
    (_TORCH, _JAX): ConversionMethod.DLPACK,
    (_TENSORFLOW, _JAX): ConversionMethod.DLPACK,
}

_DEVICE_TYPES = (_CUPY, _TORCH, _TENSORFLOW, _JAX)
"""They see the same CUDA memory; an OpenCL buffer is not in it, whatever the device."""

_GPU_HOPS: _Hops = {
    **_OPENCL_HOPS,
    **{(_NUMPY, device): ConversionMethod.HOST_COPY for device in _DEVICE_TYPES},
    **{(device, _NUMPY): ConversionMethod.HOST_COPY for device in _DEVICE_TYPES},
    **{
        (source, target): ConversionMethod.DLPACK
        for source in _DEVICE_TYPES
        for target in _DEVICE_TYPES
        if source is not target
    },
    (_CUPY, _TORCH): ConversionMethod.CUDA_ARRAY_INTERFACE,
    (_TORCH, _CUPY): ConversionMethod.CUDA_ARRAY_INTERFACE,
}


def find_route(
    source: str,
    target: str,
    *,
    on_gpu: bool,
    to_gpu: bool | None = None,
    dtype: str | None = None,
    layout: ArrayLayout = OWN_LAYOUT,
    is_kept: bool = False,
) -> ConversionRoute:
    """Return the cheapest route; among equally cheap ones that with the fewest hops.

    Parameters
    ----------
    source, target : str
        :class:`~openhcs_core.constants.MemoryType` values.
    on_gpu : bool
        Whether the array is on a GPU, if its library can be.
    to_gpu : bool, optional
        Whether the result is to be; by default as the array is.
    dtype : str, optional
        The type of value, where it is known.
    layout : ArrayLayout
        How the array lies in memory; by default as this software allocates it.
    is_kept : bool
        The array stays in use, so that nothing may write to what its library holds to be
        unchanging (jax, tensorflow), nor may such a library's array lie on memory that
        somebody may write to. By default it is handed over: only the result is used.

    Returns
    -------
    ConversionRoute
        On a GPU it leaves the device only where an end is numpy or pyclesperanto, whose OpenCL
        buffers nothing but the host reads, or where the result is not to be on it.

    Raises
    ------
    MemoryConversionError
        No such memory type, one that needs a GPU where there is none, or one without that type
        of value.
    """
    to_gpu = on_gpu if to_gpu is None else to_gpu
    for name, is_there in ((source, on_gpu), (target, to_gpu)):
        _check_type(source, target, name, on_gpu=is_there)
    if dtype is not None and source != target:
        get_framework(target).check_dtype(dtype, source)
    start, end = MemoryType(source), MemoryType(target)
    return _find_route(start, end, on_gpu, to_gpu, layout, is_kept)


def _check_type(source: str, target: str, name: str, *, on_gpu: bool) -> None:
    if name not in FRAMEWORKS and name not in discover_frameworks():
        raise MemoryConversionError(str(source), str(target), "any route", f"{name!r} is unknown")
    if name in GPU_ONLY_MEMORY_TYPES and not on_gpu:
        raise MemoryConversionError(str(source), str(target), "any route", f"{name} needs a GPU")


@cache
def _find_route(
    source: MemoryType,
    target: MemoryType,
    on_gpu: bool,  # noqa: FBT001  positional for the cache
    to_gpu: bool,  # noqa: FBT001
    layout: ArrayLayout,
    is_kept: bool,  # noqa: FBT001
) -> ConversionRoute:
    if on_gpu == to_gpu or _NUMPY in (source, target):
        hops = _cheapest_hops(source, target, on_gpu=on_gpu or to_gpu)
    else:
        hops = (
            *_cheapest_hops(source, _NUMPY, on_gpu=on_gpu),
            *_cheapest_hops(_NUMPY, target, on_gpu=to_gpu),
        )
    views = list(takewhile(lambda hop: not hop.method.copies, hops))
    for number, hop in enumerate(views):
        if not _can_share(source, hop, layout, is_kept=is_kept):
            is_on_device = on_gpu and _NUMPY not in (hop.source, hop.target)
            method = ConversionMethod.DEVICE_COPY if is_on_device else ConversionMethod.HOST_COPY
            copy = hop.model_copy(update={"method": method})
            hops = (*hops[:number], copy, *hops[number + 1 :])
            break  # what comes after it is the copy, which is ours alone
    return ConversionRoute(source=source, target=target, hops=hops)


def _can_share(
    source: MemoryType, hop: ConversionHop, layout: ArrayLayout, *, is_kept: bool
) -> bool:
    """Return whether the end of a hop may lie on the memory that a route starts from."""
    if hop.target is _NUMPY:  # a view of what must not change is read-only
        return True
    owner, taker = get_framework(source), get_framework(hop.target)
    return taker.shares(layout) and not (is_kept and owner.is_immutable is not taker.is_immutable)


def _cheapest_hops(
    source: MemoryType, target: MemoryType, *, on_gpu: bool
) -> tuple[ConversionHop, ...]:
    """Return the cheapest way between arrays that lie as libraries like it."""
    hops = dict(_GPU_HOPS if on_gpu else _CPU_HOPS)
    for kind in (source, target):
        if not any(kind in ends for ends in hops):  # another distribution's: through numpy
            hops[kind, _NUMPY] = hops[_NUMPY, kind] = ConversionMethod.HOST_COPY
    return tuple(
        ConversionHop(
            source=left,
            target=right,
            method=hops[left, right],
            leaves_device=on_gpu and right is _NUMPY,
        )
        for left, right in pairwise(_shortest_path(source, target, hops))
    )


def _shortest_path(start: MemoryType, end: MemoryType, hops: _Hops) -> tuple[MemoryType, ...]:
    """Return the types of the cheapest path (Dijkstra); fewer hops, then names, break ties."""
    waiting: list[tuple[int, int, tuple[MemoryType, ...]]] = [(0, 0, (start,))]
    while True:  # ends: numpy joins all types of either table in both directions
        cost, number, path = heapq.heappop(waiting)
        if path[-1] is end:
            return path
        for (left, right), method in hops.items():
            if left is path[-1] and right not in path:
                heapq.heappush(waiting, (cost + _COST_US[method], number + 1, (*path, right)))
