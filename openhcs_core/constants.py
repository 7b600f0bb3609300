"""Names that every room shares: storage backends, memory types, image components."""

from enum import StrEnum


class Backend(StrEnum):
    """Where data lives. Every backend sits behind :class:`~openhcs_core.storage.FileManager`."""

    MEMORY = "memory"
    DISK = "disk"
    ZARR = "zarr"
    VIRTUAL_WORKSPACE = "virtual_workspace"


class MemoryType(StrEnum):
    """The array libraries a function may be written for."""

    NUMPY = "numpy"
    CUPY = "cupy"
    TORCH = "torch"
    TENSORFLOW = "tensorflow"
    JAX = "jax"
    PYCLESPERANTO = "pyclesperanto"
    UNKNOWN = "unknown"


GPU_MEMORY_TYPES = frozenset(
    {
        MemoryType.CUPY,
        MemoryType.TORCH,
        MemoryType.TENSORFLOW,
        MemoryType.JAX,
        MemoryType.PYCLESPERANTO,
    }
)

GPU_ONLY_MEMORY_TYPES = frozenset({MemoryType.CUPY})
"""Those that cannot do without a GPU; the others run on a CPU as well, OpenCL by a CPU driver."""


class Component(StrEnum):
    """What distinguishes one image plane of a plate from another."""

    WELL = "well"
    SITE = "site"
    CHANNEL = "channel"
    Z_INDEX = "z_index"
    TIMEPOINT = "timepoint"
