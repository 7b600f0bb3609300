"""Memory types: declaring them, telling them apart, stacking planes in them."""

from openhcs_core.memory.decorators import memory_types, numpy
from openhcs_core.memory.detection import detect_memory_type
from openhcs_core.memory.frameworks import FRAMEWORKS, get_framework
from openhcs_core.memory.routes import (
    ConversionHop,
    ConversionMethod,
    ConversionRoute,
    find_route,
)
from openhcs_core.memory.stack_utils import stack_slices, unstack_slices

__all__ = [
    "FRAMEWORKS",
    "ConversionHop",
    "ConversionMethod",
    "ConversionRoute",
    "detect_memory_type",
    "find_route",
    "get_framework",
    "memory_types",
    "numpy",
    "stack_slices",
    "unstack_slices",
]
