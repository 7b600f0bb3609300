"""Tensors of tensorflow, in host memory and on a GPU."""

import numpy as np
import pytest
import tensorflow as tf

from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory import convert_memory
from openhcs_core.memory.conversion_functions import (
    convert_numpy_to_tensorflow,
    convert_tensorflow_to_numpy,
)
from openhcs_core.memory.layout import allocate
from openhcs_core.testing.memory import TOO_MANY, MemoryTypeTests


class TestTensorflow(MemoryTypeTests):
    memory_type = "tensorflow"

    def make(self, values):
        return tf.constant(values)

    def exhaust(self):
        return tf.fill(TOO_MANY, np.uint8(1))

    def use(self, array):
        _ = array[0], tf.reverse(array, [0]), array + array

    def test_memory_is_taken_over_when_it_is_handed_over_and_aligned(self):
        source = allocate((4, 5), "float32")
        taken = convert_numpy_to_tensorflow(source, copy=False)
        assert np.shares_memory(convert_tensorflow_to_numpy(taken), source)
        with pytest.raises(MemoryConversionError, match="copy=False forbids"):
            convert_numpy_to_tensorflow(source.ravel()[1:], copy=False)

    def test_numpy_sees_it_without_a_copy_and_read_only(self):
        tensor = tf.range(5)
        view = convert_tensorflow_to_numpy(tensor)
        assert np.shares_memory(view, np.asarray(memoryview(tensor)))
        assert not view.flags.writeable

    def test_a_variable_gives_its_value_of_now(self):
        variable = tf.Variable([1.0, 2.0])
        value = convert_tensorflow_to_numpy(variable, copy=True)
        variable.assign([3.0, 4.0])
        np.testing.assert_array_equal(value, [1, 2])

    def test_a_tensor_of_a_graph_is_refused(self):
        @tf.function(autograph=False)
        def convert(tensor):
            return convert_memory(tensor, "tensorflow", "numpy")

        with pytest.raises(MemoryConversionError, match="a tensor of a graph"):
            convert(tf.constant([1.0]))


@pytest.mark.gpu
class TestTensorflowOnGpu(MemoryTypeTests):
    memory_type = "tensorflow"
    gpu_id = 0

    def make(self, values):
        with tf.device("GPU:0"):
            return tf.identity(tf.constant(values))

    def exhaust(self):
        with tf.device("GPU:0"):
            return tf.fill(TOO_MANY, np.uint8(1))
