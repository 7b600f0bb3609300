"""Arrays of cupy, which live on a GPU alone."""

import cupy
import pytest

from openhcs_core.testing.memory import TOO_MANY, MemoryTypeTests


@pytest.mark.gpu
class TestCupy(MemoryTypeTests):
    memory_type = "cupy"
    gpu_id = 0

    def make(self, values):
        return cupy.asarray(values)

    def exhaust(self):
        return cupy.ones(TOO_MANY, "uint8")
