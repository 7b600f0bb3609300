"""Buffers of pyclesperanto on whatever OpenCL device there is."""

import numpy as np
import pyclesperanto as cle

from openhcs_core.memory import get_framework
from openhcs_core.testing.memory import MemoryTypeTests


class TestPyclesperanto(MemoryTypeTests):
    memory_type = "pyclesperanto"
    can_hold = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32")
    has_empty = False

    def make(self, values):
        return cle.push(values)

    def exhaust(self):
        return cle.create((2**13, 2**15, 2**15), np.float32)

    def test_the_device_of_a_block_is_what_was_asked_for(self):
        for kind, gpu_id in (("cpu", None), ("gpu", 0)):
            if cle.list_available_devices(kind):
                with get_framework("pyclesperanto").on_device(gpu_id):
                    assert cle.get_device().type == kind

    def use(self, array):
        cle.add_image_and_scalar(array, scalar=1).get()
