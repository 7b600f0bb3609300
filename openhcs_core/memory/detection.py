"""Which library an array belongs to, found without importing any."""

import sys
from typing import Any

from openhcs_core.constants import MemoryType
from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory.frameworks import FRAMEWORKS, discover_frameworks, get_framework

UNKNOWN_MEMORY_TYPE = "Unknown memory type - cannot process"
"""How messages about what is no array of a known library begin; the type's name follows."""


def detect_memory_type(data: Any) -> MemoryType:
    """Return the memory type of `data`, ``UNKNOWN`` when it is no array of a known library.

    Only modules that are loaded already are asked: an array of a library cannot
    exist before its library was imported.
    """
    for name in FRAMEWORKS:
        if _is_array_of(name, data):
            return MemoryType(name)
    if type(data).__module__ == "builtins":  # lists, text, None: no look at what is installed
        return MemoryType.UNKNOWN
    for name in discover_frameworks():
        if name not in FRAMEWORKS and _is_array_of(name, data):
            return MemoryType(name)
    return MemoryType.UNKNOWN


def require_memory_type(data: Any, target: str = MemoryType.NUMPY) -> MemoryType:
    """Return the memory type of `data`.

    Parameters
    ----------
    data : object
        What should be an array.
    target : str
        The memory type it was to become, for the message.

    Raises
    ------
    MemoryConversionError
        It is no array of a known library: ``Unknown memory type - cannot process list``.
    """
    kind = detect_memory_type(data)
    if kind is MemoryType.UNKNOWN:
        raise MemoryConversionError(kind, str(target), "detection", describe_unknown(data))
    return kind


def describe_unknown(data: Any) -> str:
    """Return why `data` cannot be used, and what can."""
    known = ", ".join(FRAMEWORKS)
    return (
        f"{UNKNOWN_MEMORY_TYPE} {type(data).__module__}.{type(data).__qualname__}; "
        f"expected an array of {known}"
    )


def _is_array_of(name: str, data: Any) -> bool:
    for reference in get_framework(name).array_classes:
        module_name, class_name = reference.split(":")
        module = sys.modules.get(module_name)
        # a module that is being imported in another thread does not have its classes yet
        found = getattr(module, class_name, None)
        if found is not None and isinstance(data, found):
            return True
    return False
