"""Buffers of pyclesperanto-prototype, in its environment with numpy below 2."""

import numpy as np
import pyclesperanto_prototype as cle
import pytest

from openhcs_core.testing.memory import MemoryTypeTests


@pytest.mark.prototype
@pytest.mark.filterwarnings("ignore:Non-empty compiler output")  # of its own kernels
class TestPrototype(MemoryTypeTests):
    memory_type = "pyclesperanto"
    can_hold = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32")
    has_empty = False

    def make(self, values):
        assert values.dtype == np.float32  # what its own push turns all types into
        return cle.push(values)

    def exhaust(self):
        return cle.create((2**13, 2**15, 2**15), np.float32)

    def use(self, array):
        cle.add_image_and_scalar(array, scalar=1).get()
