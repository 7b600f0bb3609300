"""Memory types: declaring them, telling them apart, converting and stacking their arrays."""

from openhcs_core.memory.casting import cast_array
from openhcs_core.memory.conversion import convert_memory, plan_conversion
from openhcs_core.memory.decorators import (
    cupy,
    jax,
    memory_types,
    numpy,
    pyclesperanto,
    tensorflow,
    torch,
)
from openhcs_core.memory.detection import detect_memory_type, require_memory_type
from openhcs_core.memory.frameworks import (
    FRAMEWORKS,
    Framework,
    FrameworkEntry,
    discover_frameworks,
    get_framework,
    installed_memory_types,
    remedy_for,
)
from openhcs_core.memory.gpu_cleanup import (
    cleanup_all_gpu_frameworks,
    cleanup_cupy_gpu,
    cleanup_gpu_memory_by_framework,
    cleanup_jax_gpu,
    cleanup_pyclesperanto_gpu,
    cleanup_pytorch_gpu,
    cleanup_tensorflow_gpu,
)
from openhcs_core.memory.layout import ArrayFacts, ArrayLayout
from openhcs_core.memory.out_of_memory import is_out_of_memory
from openhcs_core.memory.routes import (
    ConversionHop,
    ConversionMethod,
    ConversionRoute,
    find_route,
)
from openhcs_core.memory.stack_utils import stack_slices, unstack_slices

__all__ = [
    "FRAMEWORKS",
    "ArrayFacts",
    "ArrayLayout",
    "ConversionHop",
    "ConversionMethod",
    "ConversionRoute",
    "Framework",
    "FrameworkEntry",
    "cast_array",
    "cleanup_all_gpu_frameworks",
    "cleanup_cupy_gpu",
    "cleanup_gpu_memory_by_framework",
    "cleanup_jax_gpu",
    "cleanup_pyclesperanto_gpu",
    "cleanup_pytorch_gpu",
    "cleanup_tensorflow_gpu",
    "convert_memory",
    "cupy",
    "detect_memory_type",
    "discover_frameworks",
    "find_route",
    "get_framework",
    "installed_memory_types",
    "is_out_of_memory",
    "jax",
    "memory_types",
    "numpy",
    "plan_conversion",
    "pyclesperanto",
    "remedy_for",
    "require_memory_type",
    "stack_slices",
    "tensorflow",
    "torch",
    "unstack_slices",
]
