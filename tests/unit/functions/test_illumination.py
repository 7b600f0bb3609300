"""Illumination found from many images, against plain numpy and a field that is known."""

import numpy as np
import pytest

from openhcs_core.functions.illumination import correct_illumination, estimate_illumination
from openhcs_core.planes import PlaneKey


class _Stream:
    def __init__(self, images):
        self.images = images
        self.keys = tuple(PlaneKey("A01", n, "1", 1, 1) for n in range(1, 1 + len(images)))

    def __len__(self):
        return len(self.images)

    def __iter__(self):
        return iter(self.images)


def _gaussian(image, sigma):
    """Smooth by its definition: a truncated kernel a row and a column, edges reflected."""
    radius = int(4 * sigma + 0.5)
    x = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (x / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        width = [(radius, radius) if n == axis else (0, 0) for n in (0, 1)]
        padded = np.pad(image, width, "symmetric")
        image = np.apply_along_axis(np.convolve, axis, padded, kernel, "valid")
    return image


def test_mean_of_all_images_smoothed_and_over_its_own_mean():
    images = np.random.default_rng(1).integers(0, 60000, (7, 40, 50)).astype(np.uint16)
    expected = _gaussian(images.astype(float).mean(axis=0) - 100, 4.0)
    expected /= expected.mean()
    found = estimate_illumination(_Stream(images), dark=100.0)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_median_smoothing_is_the_median_of_each_window():
    images = np.random.default_rng(2).integers(100, 200, (3, 12, 13)).astype(np.uint16)
    mean = images.astype(float).mean(axis=0)
    padded = np.pad(mean, 2, "symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
    expected = np.median(windows, axis=(2, 3))
    found = estimate_illumination(_Stream(images), smoothing="median", sigma=2.0)
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-12)


def test_a_known_field_is_found_and_taken_out():
    random = np.random.default_rng(3)
    y, x = np.mgrid[:96, :96] / 96
    field = 1 + 0.4 * x - 0.3 * (y - 0.5) ** 2
    field /= field.mean()
    images = [random.poisson(1000 * field).astype(np.uint16) for _ in range(200)]
    found = estimate_illumination(_Stream(images), sigma=3.0)
    inner = (slice(10, -10),) * 2
    assert np.abs(found / field - 1)[inner].max() < 0.01
    corrected = correct_illumination(images[0][None], found)
    assert corrected.dtype == np.float32
    np.testing.assert_array_equal(
        corrected[0], (images[0].astype(float) / found).astype(np.float32)
    )
    left, right = corrected[0][:, 10:20].mean(), corrected[0][:, -20:-10].mean()
    assert abs(left / right - 1) < 0.02  # 33 % apart before


@pytest.mark.parametrize(
    ("images", "parameters", "text"),
    [
        ([], {}, "there is no image"),
        ([np.ones((4, 4)), np.ones((4, 5))], {}, "A01_s002_w1_z001_t001.tif is [4, 5]"),
        ([np.full((4, 4), np.nan)], {}, "NaN or infinite"),
        ([np.ones((4, 4))], {"dark": 1.0}, "not brighter than dark = 1.0"),
    ],
)
def test_images_that_tell_nothing_are_refused(images, parameters, text):
    with pytest.raises(ValueError, match="estimate_illumination") as error:
        estimate_illumination(_Stream(images), **parameters)
    assert text in str(error.value)


def test_an_illumination_of_another_shape_or_sign_is_refused():
    with pytest.raises(ValueError, match=r"images are \[4, 4\], the illumination is \[4, 5\]"):
        correct_illumination(np.ones((1, 4, 4)), np.ones((4, 5)))
    with pytest.raises(ValueError, match="not positive everywhere"):
        correct_illumination(np.ones((1, 4, 4)), np.zeros((4, 4)))
