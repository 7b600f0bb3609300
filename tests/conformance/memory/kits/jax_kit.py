"""Arrays of jax, in host memory and on a GPU; its types of 64 bits off and on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory import convert_memory
from openhcs_core.memory.conversion_functions import convert_jax_to_numpy, convert_numpy_to_jax
from openhcs_core.memory.layout import EXCHANGED_DTYPES, allocate
from openhcs_core.testing.memory import TOO_MANY, MemoryTypeTests

WIDE = {"uint64", "int64", "float64", "complex128"}


class TestJax(MemoryTypeTests):
    memory_type = "jax"
    can_hold = tuple(dtype for dtype in EXCHANGED_DTYPES if dtype not in WIDE)

    def make(self, values):
        return jnp.array(values)

    def exhaust(self):
        return jnp.ones(TOO_MANY, "uint8").block_until_ready()

    def use(self, array):
        jnp.sum(array * array).block_until_ready()

    def test_memory_is_taken_over_when_it_is_handed_over_and_aligned(self):
        source = allocate((4, 5), "float32")
        taken = convert_numpy_to_jax(source, copy=False)
        assert taken.unsafe_buffer_pointer() == source.ctypes.data
        with pytest.raises(MemoryConversionError, match="copy=False forbids"):
            convert_numpy_to_jax(source.ravel()[1:], copy=False)

    def test_numpy_sees_it_without_a_copy_and_read_only(self):
        array = jnp.arange(5)
        view = convert_jax_to_numpy(array)
        assert view.ctypes.data == array.unsafe_buffer_pointer()
        assert not view.flags.writeable

    def test_a_traced_array_is_refused(self):
        with pytest.raises(MemoryConversionError, match="convert outside of jit"):
            jax.jit(lambda array: convert_memory(array, "jax", "numpy"))(jnp.ones(3))


class TestJaxWith64Bits(TestJax):
    can_hold = EXCHANGED_DTYPES

    @pytest.fixture(autouse=True)
    def _turn_on(self):
        with jax.enable_x64(True):
            yield

    def test_what_was_made_wide_stays_wide(self):
        array = jnp.arange(3, dtype="float64")
        assert convert_jax_to_numpy(array).dtype == np.float64


@pytest.mark.gpu
class TestJaxOnGpu(MemoryTypeTests):
    memory_type = "jax"
    can_hold = TestJax.can_hold
    gpu_id = 0

    def make(self, values):
        return jax.device_put(values, jax.devices("gpu")[0])

    def exhaust(self):
        return jnp.ones(TOO_MANY, "uint8").block_until_ready()
