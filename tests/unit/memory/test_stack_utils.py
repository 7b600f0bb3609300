"""Planes to [Z, Y, X] and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openhcs_core.constants import MemoryType
from openhcs_core.errors import InputDataError, MemoryConversionError, StepFunctionError
from openhcs_core.memory import (
    detect_memory_type,
    get_framework,
    memory_types,
    numpy,
    stack_slices,
    unstack_slices,
)

DTYPES = ["bool", "uint8", "uint16", "int32", "int64", "float32", "float64"]


@given(
    st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6))
    )
)
def test_unstack_undoes_stack(array):
    stack = stack_slices(list(array), "numpy")
    assert stack.dtype == array.dtype
    np.testing.assert_array_equal(stack, array)
    for plane, original in zip(unstack_slices(stack), array, strict=True):
        np.testing.assert_array_equal(plane, original)


def test_a_stack_does_not_share_memory_with_its_planes():
    planes = [np.zeros((2, 2)), np.ones((2, 2))]
    stack = stack_slices(planes, "numpy")
    stack[:] = 7
    assert planes[0].max() == 0


@pytest.mark.parametrize(
    ("planes", "text"),
    [
        ([], "no slices"),
        ([np.zeros((1, 2, 2))], "expected 2-D"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], "must be alike"),
        ([np.zeros((2, 2), "u1"), np.zeros((2, 2), "u2")], "must be alike"),
    ],
)
def test_planes_that_do_not_stack(planes, text):
    with pytest.raises(InputDataError, match=text):
        stack_slices(planes, "numpy")


@pytest.mark.parametrize(
    "value", [np.zeros((2, 2)), np.zeros((1, 2, 2, 2)), np.zeros((0, 2, 2)), [[1]], None]
)
def test_results_that_are_no_stack_name_the_function(value):
    with pytest.raises(StepFunctionError, match="step 'x': f returned"):
        unstack_slices(value, who="step 'x': f")


def test_detection_tells_numpy_from_the_rest():
    assert detect_memory_type(np.zeros(1)) is MemoryType.NUMPY
    assert detect_memory_type([1]) is MemoryType.UNKNOWN


def test_an_absent_framework_is_an_error_that_names_it():
    with pytest.raises(MemoryConversionError, match="Failed to convert numpy → torch"):
        get_framework("torch")


def test_decorators_are_metadata_only():
    @numpy
    def bare(image_stack):
        """Say something."""
        return image_stack

    @memory_types(input_type="numpy", output_type="torch")
    def mixed(image_stack):
        return image_stack

    assert bare.__doc__ == "Say something."
    assert (bare.input_memory_type, bare.output_memory_type) == ("numpy", "numpy")
    assert (mixed.input_memory_type, mixed.output_memory_type) == ("numpy", "torch")
    assert bare(3) == 3
    with pytest.raises(ValueError, match="'nonsense' is not a valid MemoryType"):
        memory_types(input_type="nonsense", output_type="numpy")
