"""One class an array library: how its arrays come from numpy and go back."""

from importlib import import_module

from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory.frameworks.base import Framework

FRAMEWORKS = {"numpy": "openhcs_core.memory.frameworks.numpy_:NumpyFramework"}
"""Memory type → ``module:Class``; loaded when first asked for."""


def get_framework(memory_type: str) -> Framework:
    """Return the framework of a memory type.

    Raises
    ------
    MemoryConversionError
        No framework is installed for it.
    """
    target = FRAMEWORKS.get(memory_type)
    if target is None:
        raise MemoryConversionError(
            "numpy",
            str(memory_type),
            "frameworks",
            f"no framework for it; available: {', '.join(FRAMEWORKS)}",
        )
    module_name, class_name = target.split(":")
    framework: Framework = getattr(import_module(module_name), class_name)()
    return framework


__all__ = ["FRAMEWORKS", "Framework", "get_framework"]
