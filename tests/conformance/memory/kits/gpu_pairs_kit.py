"""Every pair of memory types that share a GPU: the result lies where the array lay."""

import itertools

import cupy
import jax
import pytest
import tensorflow as tf
import torch

from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory import convert_memory
from openhcs_core.testing.memory import assert_same_bits, example_stack

pytestmark = pytest.mark.gpu

KINDS = ("cupy", "torch", "tensorflow", "jax")
PAIRS = list(itertools.permutations(KINDS, 2))


def _pointer(array):
    if isinstance(array, torch.Tensor):
        return array.data_ptr()
    if isinstance(array, jax.Array):
        return array.unsafe_buffer_pointer()
    if isinstance(array, tf.Tensor):
        return cupy.from_dlpack(array).data.ptr
    return array.data.ptr


def _on_gpu(kind, values):
    return convert_memory(values, "numpy", kind, 0)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_handed_over_array_keeps_its_pointer(source, target, dtype):
    values = example_stack(dtype)
    array = _on_gpu(source, values)
    pointer = _pointer(array)
    result = convert_memory(array, source, target, copy=False)
    assert _pointer(result) == pointer
    assert_same_bits(convert_memory(result, target, "numpy"), values)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_what_must_not_change_is_copied_on_the_device(source, target):
    values = example_stack("float32")
    array = _on_gpu(source, values)
    result = convert_memory(array, source, target)
    written = [one for one in (array, result) if isinstance(one, (cupy.ndarray, torch.Tensor))]
    if len(written) == 2:
        assert _pointer(result) == _pointer(array)
        return
    for one in written:
        one[...] = 0
    for kind, one in ((source, array), (target, result)):
        if kind in ("jax", "tensorflow"):
            assert_same_bits(convert_memory(one, kind, "numpy"), values)


@pytest.mark.parametrize("kind", KINDS)
def test_opencl_is_reached_through_the_host_when_that_is_allowed(kind):
    array = _on_gpu(kind, example_stack("float32"))
    with pytest.raises(MemoryConversionError, match="allow_cpu_roundtrip=True"):
        convert_memory(array, kind, "pyclesperanto")


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_that_cannot_be_seen_is_refused(kind):
    with pytest.raises(MemoryConversionError, match="sees no GPU 99"):
        convert_memory(example_stack("float32"), "numpy", kind, 99)
