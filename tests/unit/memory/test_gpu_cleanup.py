"""Freeing caches touches only what is loaded."""

import subprocess
import sys

import pytest

from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory import cleanup_gpu_memory_by_framework

SCRIPT = """
import sys
from openhcs_core.memory import gpu_cleanup
for name in ("pytorch", "cupy", "tensorflow", "jax", "pyclesperanto"):
    getattr(gpu_cleanup, f"cleanup_{name}_gpu")()
    getattr(gpu_cleanup, f"cleanup_{name}_gpu")(device_id=0)
gpu_cleanup.cleanup_gpu_memory_by_framework("torch")
gpu_cleanup.cleanup_all_gpu_frameworks()
loaded = {"numpy", "torch", "cupy", "tensorflow", "jax", "pyclesperanto"} & sys.modules.keys()
assert not loaded, loaded
"""


def test_nothing_is_loaded_to_free_its_caches():
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)


def test_an_unknown_memory_type_is_an_error():
    with pytest.raises(MemoryConversionError, match="paper"):
        cleanup_gpu_memory_by_framework("paper")
