"""One class an array library: what its arrays are, how they come from numpy and go back."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType

from openhcs_core.constants import MEMORY_ENTRY_POINTS, MemoryType
from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory.frameworks.base import Framework


@dataclass(frozen=True, slots=True)
class FrameworkEntry:
    """Where a framework's class is, and what to do when its library is not there.

    Attributes
    ----------
    target : str
        ``"module:Class"``, a :class:`Framework`.
    remedy : str
        What to install.
    """

    target: str
    remedy: str


_HERE = "openhcs_core.memory.frameworks"

FRAMEWORKS: Mapping[str, FrameworkEntry] = MappingProxyType(
    {
        MemoryType.NUMPY: FrameworkEntry(f"{_HERE}.numpy_:NumpyFramework", "pip install numpy"),
        MemoryType.CUPY: FrameworkEntry(
            f"{_HERE}.cupy_:CupyFramework", "pip install cupy-cuda13x, for the CUDA version here"
        ),
        MemoryType.TORCH: FrameworkEntry(
            f"{_HERE}.torch_:TorchFramework", "pip install 'openhcs-core[torch]'"
        ),
        MemoryType.TENSORFLOW: FrameworkEntry(
            f"{_HERE}.tensorflow_:TensorflowFramework", "pip install 'openhcs-core[tensorflow]'"
        ),
        MemoryType.JAX: FrameworkEntry(
            f"{_HERE}.jax_:JaxFramework", "pip install 'openhcs-core[jax]'"
        ),
        MemoryType.PYCLESPERANTO: FrameworkEntry(
            f"{_HERE}.pyclesperanto_:PyclesperantoFramework",
            "pip install 'openhcs-core[pyclesperanto]' and an OpenCL driver "
            "(for CPUs: apt install pocl-opencl-icd)",
        ),
    }
)
"""The memory types that come with this software; loaded when first asked for."""


@cache
def discover_frameworks() -> Mapping[str, FrameworkEntry]:
    """Return every known memory type, those of other distributions last; none is imported.

    Raises
    ------
    MemoryConversionError
        Two claim one name.
    """
    found = {str(name): entry for name, entry in FRAMEWORKS.items()}
    for point in entry_points(group=MEMORY_ENTRY_POINTS):
        owner = point.dist.name if point.dist is not None else point.value
        if point.name in found:
            raise MemoryConversionError(
                "numpy",
                point.name,
                "frameworks",
                f"the memory type is claimed by {found[point.name].target} and by {point.value} "
                f"of {owner}; uninstall one of them",
            )
        found[point.name] = FrameworkEntry(point.value, f"install {owner} again or uninstall it")
    return MappingProxyType(found)


@cache
def get_framework(memory_type: str) -> Framework:
    """Return the framework of a memory type; its library is not imported.

    Raises
    ------
    MemoryConversionError
        There is no such memory type, or its class cannot be imported.
    """
    # the built-in names need no look through the installed distributions (tens of ms)
    entry = FRAMEWORKS.get(memory_type) or discover_frameworks().get(memory_type)
    if entry is None:
        raise MemoryConversionError(
            "numpy",
            str(memory_type),
            "frameworks",
            f"no framework for it; available: {', '.join(discover_frameworks())}",
        )
    module_name, class_name = entry.target.split(":")
    try:
        framework: Framework = getattr(import_module(module_name), class_name)()
    except (ImportError, AttributeError) as error:
        raise MemoryConversionError(
            "numpy", str(memory_type), "frameworks", f"{error}; {entry.remedy}"
        ) from error
    return framework


def installed_memory_types() -> tuple[MemoryType, ...]:
    """Return the memory types whose libraries are installed; none is imported."""
    return tuple(
        MemoryType(name) for name in discover_frameworks() if get_framework(name).is_installed
    )


def remedy_for(memory_type: str) -> str:
    """Return what to do when the library of a memory type is not there."""
    return discover_frameworks()[memory_type].remedy


__all__ = [
    "FRAMEWORKS",
    "Framework",
    "FrameworkEntry",
    "discover_frameworks",
    "get_framework",
    "installed_memory_types",
    "remedy_for",
]
