"""Which library an array belongs to, found without importing any."""

import sys
from typing import Any

from openhcs_core.constants import MemoryType

_ARRAY_CLASSES = {MemoryType.NUMPY: ("numpy", "ndarray")}


def detect_memory_type(data: Any) -> MemoryType:
    """Return the memory type of `data`, ``UNKNOWN`` when it is no array of a known library.

    Only modules that are loaded already are asked: an array of a library cannot
    exist before its library was imported.
    """
    for memory_type, (module_name, class_name) in _ARRAY_CLASSES.items():
        module = sys.modules.get(module_name)
        if module is not None and isinstance(data, getattr(module, class_name)):
            return memory_type
    return MemoryType.UNKNOWN
