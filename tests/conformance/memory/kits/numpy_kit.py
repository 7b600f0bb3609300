"""numpy's own arrays."""

import numpy as np

from openhcs_core.testing.memory import MemoryTypeTests


class TestNumpy(MemoryTypeTests):
    memory_type = "numpy"

    def make(self, values):
        return np.array(values)
