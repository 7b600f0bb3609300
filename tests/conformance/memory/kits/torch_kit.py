"""Tensors of torch, in host memory and on a GPU."""

import numpy as np
import pytest
import torch

from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory.conversion_functions import convert_numpy_to_torch, convert_torch_to_numpy
from openhcs_core.testing.memory import TOO_MANY, MemoryTypeTests, assert_same_bits, hostile_arrays


class TestTorch(MemoryTypeTests):
    memory_type = "torch"

    def make(self, values):
        return torch.tensor(values)

    def exhaust(self):
        return torch.ones(TOO_MANY)

    def use(self, array):
        _ = array.sum(), array.clone()

    def test_writing_in_place_never_reaches_read_only_memory(self, tmp_path):
        number = 0
        for what, source in hostile_arrays("float32", tmp_path):
            if not source.flags.writeable:
                before = source.copy()
                convert_numpy_to_torch(source).zero_()
                assert_same_bits(source, before, what)
                number += 1
        assert number == 3

    def test_writable_memory_is_shared_and_read_only_memory_is_not(self):
        source = np.zeros((2, 3, 4), "float32")
        convert_numpy_to_torch(source).add_(1)
        assert source.min() == 1
        source.flags.writeable = False
        convert_numpy_to_torch(source).add_(1)
        assert source.max() == 1
        with pytest.raises(MemoryConversionError, match="copy=False forbids"):
            convert_numpy_to_torch(source, copy=False)

    def test_strided_memory_is_shared(self):
        source = np.zeros((4, 6), "float32")
        assert convert_numpy_to_torch(source[::2, ::3]).data_ptr() == source.ctypes.data
        assert convert_numpy_to_torch(source.T).data_ptr() == source.ctypes.data
        assert np.shares_memory(convert_torch_to_numpy(torch.zeros(4, 6).T.t()), source) is False

    @pytest.mark.parametrize(
        "tensor",
        [
            torch.ones(3, requires_grad=True),
            torch.nn.Parameter(torch.ones(3)),
            torch._neg_view(torch.full((3,), -1.0)),
            torch.ones(3, dtype=torch.complex64).conj().real,
        ],
    )
    def test_lazy_and_differentiable_tensors_give_their_values(self, tensor):
        np.testing.assert_array_equal(convert_torch_to_numpy(tensor), np.ones(3))

    @pytest.mark.parametrize(
        ("tensor", "reason"),
        [
            (torch.eye(3).to_sparse(), "make it dense"),
            (torch.zeros(3, device="meta"), "device meta"),
            (torch.zeros(3, dtype=torch.bfloat16), "numpy has no bfloat16"),
        ],
    )
    def test_tensors_that_numpy_cannot_have_are_refused(self, tensor, reason):
        with pytest.raises(MemoryConversionError, match=reason):
            convert_torch_to_numpy(tensor)

    def test_a_device_that_cannot_be_seen_is_refused(self):
        with pytest.raises(MemoryConversionError, match="torch sees no GPU 99; GPUs that it sees"):
            convert_numpy_to_torch(np.zeros(3), gpu_id=99)


@pytest.mark.gpu
class TestTorchOnGpu(MemoryTypeTests):
    memory_type = "torch"
    gpu_id = 0

    def make(self, values):
        return torch.tensor(values, device="cuda:0")

    def exhaust(self):
        return torch.ones((2**10, 2**10, 2**20), device="cuda:0")
