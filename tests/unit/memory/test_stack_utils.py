"""Planes to [Z, Y, X] and back."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openhcs_core.errors import InputDataError, MemoryConversionError, StepFunctionError
from openhcs_core.memory import (
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


def test_an_absent_library_is_an_error_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)  # importing it fails
    with pytest.raises(MemoryConversionError, match="Failed to convert numpy → jax") as caught:
        stack_slices([np.zeros((2, 2))], "jax", who="step 's', well B02: f")
    assert "pip install 'openhcs-core[jax]'" in caught.value.reason
    assert caught.value.__notes__ == ["step 's', well B02: f"]


def test_planes_of_no_known_library_are_refused_by_the_name_of_their_type():
    with pytest.raises(MemoryConversionError, match="Unknown memory type - cannot process"):
        stack_slices([[[1, 2]]], "numpy")
