"""How an array gets from one library to another: the cheapest route, known without any of them.

Measured on the CPU with 64 MB: a view by DLPack or ``memoryview`` takes 0.001 to 0.03 ms, a copy
13 ms; ``tf.constant``, ``Tensor.numpy()`` and ``jnp.asarray`` copy in 25 to 110 ms and are never
on a route. On a GPU only the order counts: a view on the device costs next to nothing, a
transfer between host and device at least a copy.
"""

import heapq
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from itertools import pairwise

from openhcs_core.config.base import FrozenModel
from openhcs_core.constants import GPU_ONLY_MEMORY_TYPES, MemoryType
from openhcs_core.errors import MemoryConversionError


class ConversionMethod(StrEnum):
    """What hands an array to another library.

    ``dlpack``, ``cuda_array_interface`` and ``memoryview`` share its memory; ``push_pull``
    (OpenCL buffers) and ``host_copy`` (a copy in host memory, or between host and device) do not.
    """

    DLPACK = "dlpack"
    CUDA_ARRAY_INTERFACE = "cuda_array_interface"
    MEMORYVIEW = "memoryview"
    PUSH_PULL = "push_pull"
    HOST_COPY = "host_copy"

    @property
    def copies(self) -> int:
        """How often it copies the array."""
        return int(self in {ConversionMethod.PUSH_PULL, ConversionMethod.HOST_COPY})


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
    # jax takes memory over only where it is aligned to 64 bytes, which a plan cannot know
    (_NUMPY, _JAX): ConversionMethod.HOST_COPY,
    (_TORCH, _JAX): ConversionMethod.HOST_COPY,
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


@cache
def find_route(source: str, target: str, *, on_gpu: bool) -> ConversionRoute:
    """Return the cheapest route; among equally cheap ones that with the fewest hops.

    Parameters
    ----------
    source, target : str
        :class:`~openhcs_core.constants.MemoryType` values.
    on_gpu : bool
        Whether the arrays of libraries that can live on a GPU do.

    Returns
    -------
    ConversionRoute
        On a GPU it leaves the device only where an end is numpy or pyclesperanto, whose OpenCL
        buffers nothing but the host reads.

    Raises
    ------
    MemoryConversionError
        No such memory type, or one that needs a GPU where there is none.
    """
    hops = _GPU_HOPS if on_gpu else _CPU_HOPS
    for name in (source, target):
        if not any(name in ends for ends in hops):
            reason = (
                f"{name} needs a GPU" if name in GPU_ONLY_MEMORY_TYPES else f"{name!r} is unknown"
            )
            raise MemoryConversionError(str(source), str(target), "any route", reason)
    start, end = MemoryType(source), MemoryType(target)
    path = _shortest_path(start, end, hops)
    return ConversionRoute(
        source=start,
        target=end,
        hops=tuple(
            ConversionHop(
                source=left,
                target=right,
                method=hops[left, right],
                leaves_device=on_gpu and right is _NUMPY,
            )
            for left, right in pairwise(path)
        ),
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
