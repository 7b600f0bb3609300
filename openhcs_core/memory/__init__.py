"""Memory types: declaring them, telling them apart, stacking planes in them."""

from openhcs_core.memory.decorators import memory_types, numpy
from openhcs_core.memory.detection import detect_memory_type
from openhcs_core.memory.frameworks import FRAMEWORKS, get_framework
from openhcs_core.memory.stack_utils import stack_slices, unstack_slices

__all__ = [
    "FRAMEWORKS",
    "detect_memory_type",
    "get_framework",
    "memory_types",
    "numpy",
    "stack_slices",
    "unstack_slices",
]
