"""Names that every room shares: storage backends, memory types, image components."""

from enum import StrEnum
from importlib.metadata import entry_points

MEMORY_ENTRY_POINTS = "openhcs.memory"
"""Other distributions add memory types as entry points of this group: ``name = "module:Class"``."""


class Backend(StrEnum):
    """Where data lives. Every backend sits behind :class:`~openhcs_core.storage.FileManager`."""

    MEMORY = "memory"
    DISK = "disk"
    ZARR = "zarr"
    VIRTUAL_WORKSPACE = "virtual_workspace"


class MemoryType(StrEnum):
    """The array libraries a function may be written for.

    Those of other distributions (:data:`MEMORY_ENTRY_POINTS`) are members from when they are first
    asked for by name.
    """

    NUMPY = "numpy"
    CUPY = "cupy"
    TORCH = "torch"
    TENSORFLOW = "tensorflow"
    JAX = "jax"
    PYCLESPERANTO = "pyclesperanto"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> "MemoryType | None":
        if not isinstance(value, str) or value not in entry_points(group=MEMORY_ENTRY_POINTS).names:
            return None
        member = str.__new__(cls, value)
        member._name_, member._value_ = value.upper(), value
        cls._value2member_map_[value] = member  # one object for a name: members are compared by it
        return member


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
