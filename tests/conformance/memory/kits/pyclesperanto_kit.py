"""Buffers of pyclesperanto on whatever OpenCL device there is."""

import warnings

import numpy as np
import pyclesperanto as cle
import pytest

from openhcs_core.memory import ArrayLayout, get_framework
from openhcs_core.testing.memory import MemoryTypeTests


def _devices(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it warns where there is none
        return cle.list_available_devices(kind)


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
            if names := _devices(kind):
                with get_framework("pyclesperanto").on_device(gpu_id):
                    assert cle.get_device().name in names

    @pytest.mark.parametrize(
        ("shape", "dtype"),
        [
            ((3, 700, 701), "float32"),
            ((1, 1500, 800), "float32"),
            ((70, 130, 257), "uint16"),
            ((2, 3, 2**20), "uint8"),
            ((1, 2, 2**20), "int32"),
            ((5, 7), "uint16"),
            ((9,), "int8"),
        ],
    )
    def test_what_is_pulled_in_pieces_is_whole_and_can_be_shared(self, shape, dtype):
        values = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
        framework = get_framework("pyclesperanto")
        host = framework.to_shareable(cle.push(values))
        assert host.dtype == dtype
        np.testing.assert_array_equal(host, values)
        assert get_framework("numpy").describe(host).layout == ArrayLayout()

    def use(self, array):
        cle.add_image_and_scalar(array, scalar=1).get()
