"""Buffers of pyclesperanto on whatever OpenCL device there is."""

import pyclesperanto as cle

from openhcs_core.testing.memory import MemoryTypeTests


class TestPyclesperanto(MemoryTypeTests):
    memory_type = "pyclesperanto"
    can_hold = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32")
    has_empty = False

    def make(self, values):
        return cle.push(values)

    def use(self, array):
        cle.add_image_and_scalar(array, scalar=1).get()
