"""Normalisation, top-hat and projection against plain numpy and scikit-image."""

import numpy as np
import pytest
from skimage.morphology import disk, white_tophat

from openhcs_core.functions.preprocess import stack_percentile_normalize, tophat
from openhcs_core.functions.project import max_projection


def _stack(dtype="uint16", shape=(3, 40, 50), seed=0):
    rng = np.random.default_rng(seed)
    top = {"uint8": 255, "uint16": 60000, "float32": 7.5, "float64": 1e4, "int16": 9000}[dtype]
    return (rng.random(shape) * top).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_normalisation_is_linear_between_two_percentiles_of_the_whole_stack(dtype):
    stack = _stack(dtype)
    before = stack.copy()
    low, high = np.percentile(stack, [5, 90])
    unit = np.clip((stack.astype(float) - low) / (high - low), 0, 1)
    expected = np.rint(100 + unit * (5000 - 100))

    result = stack_percentile_normalize(
        stack, low_percentile=5, high_percentile=90, target_min=100, target_max=5000
    )

    assert result.dtype == np.uint16
    assert result.shape == stack.shape
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(stack, before)


def test_one_bright_slice_stays_brighter_than_the_dark_ones():
    stack = _stack(shape=(4, 64, 64)) // 100
    stack[2] *= 50
    result = stack_percentile_normalize(stack)
    means = result.mean(axis=(1, 2))
    assert means[2] > 10 * np.delete(means, 2).max()


def test_a_constant_stack_becomes_the_low_target():
    stack = np.full((2, 5, 5), 700, np.uint16)
    assert (stack_percentile_normalize(stack, target_min=12) == 12).all()


def test_where_both_percentiles_are_equal_only_what_lies_above_is_bright():
    stack = np.zeros((1, 100, 100), np.float32)
    stack[0, 0, 0] = 3
    result = stack_percentile_normalize(stack)
    assert result[0, 0, 0] == 65535
    assert result.sum() == 65535


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"low_percentile": 99, "high_percentile": 1}, r"low_percentile=99, high_percentile=1"),
        ({"low_percentile": 50, "high_percentile": 50}, "low_percentile=50"),
        ({"target_min": 9, "target_max": 9}, "target_min=9, target_max=9"),
        ({"target_max": 70000}, "from 0 to 65535"),
    ],
)
def test_a_range_that_is_none_is_refused_with_both_values(parameters, message):
    with pytest.raises(ValueError, match=message):
        stack_percentile_normalize(_stack(), **parameters)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_tophat_without_downsampling_is_scikit_images(dtype):
    stack = _stack(dtype)
    before = stack.copy()
    result = tophat(stack, selem_radius=4, downsample_factor=1)
    assert result.dtype == stack.dtype
    np.testing.assert_array_equal(result, [white_tophat(plane, disk(4)) for plane in stack])
    np.testing.assert_array_equal(stack, before)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_tophat_never_wraps_around_below_zero(dtype):
    stack = _stack(dtype, shape=(2, 61, 47))
    result = tophat(stack, selem_radius=8, downsample_factor=4)
    assert result.dtype == stack.dtype
    assert result.shape == stack.shape
    assert (result >= 0).all()
    assert (result <= stack).all()


def test_tophat_removes_a_slope_and_keeps_spots():
    y, x = np.mgrid[:200, :240]
    slope = (500 + 5.0 * x + 2.0 * y).astype(np.uint16)
    spots = np.zeros_like(slope)
    for cy, cx in ((50, 60), (120, 180), (150, 40)):
        spots[(y - cy) ** 2 + (x - cx) ** 2 <= 36] = 3000
    result = tophat((slope + spots)[None], selem_radius=20, downsample_factor=4)[0]
    inside = spots > 0
    assert np.abs(result[inside].astype(float) - 3000).max() < 250
    assert result[~inside].max() < 250


def test_max_projection_is_the_maximum_of_each_pixel():
    stack = _stack()
    result = max_projection(stack)
    assert result.shape == (1, 40, 50)
    assert result.dtype == stack.dtype
    np.testing.assert_array_equal(result[0], stack.max(axis=0))
    assert not np.shares_memory(max_projection(stack[:1]), stack)


@pytest.mark.parametrize("function", [max_projection, stack_percentile_normalize, tophat])
def test_input_that_is_no_stack_of_finite_numbers_is_refused(function):
    bad = _stack("float32")
    bad[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        function(bad)
    with pytest.raises(ValueError, match=r"\[Z, Y, X\].*\(40, 50\)"):
        function(_stack()[0])
    with pytest.raises(ValueError, match="complex"):
        function(_stack().astype(complex))
