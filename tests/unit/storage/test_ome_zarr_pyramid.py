"""Smaller copies of images show the same as the images, and labels stay numbers of objects."""

import json

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import downscale_local_mean

from openhcs_core.config import ZarrConfig
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import FieldImages, ImageMetadata, write_well
from openhcs_core.storage.ome_zarr.pyramid import (
    halve_by_mean,
    keep_every_second,
    level_shapes,
)
from openhcs_core.testing.storage import IMAGE_DTYPES

KEY = PlaneKey("B02", 1, "1", 1, 1)


def expected_mean(image):
    """Return the mean by scikit-image; at odd edges of what is there."""
    padded = np.pad(image, [(0, size % 2) for size in image.shape], mode="edge")
    mean = downscale_local_mean(padded.astype("float64"), (2, 2))
    if image.dtype.kind in "ui":
        mean = np.floor(mean + 0.5)
    return mean.astype(image.dtype)


@settings(max_examples=60)
@given(
    dtype=st.sampled_from([*IMAGE_DTYPES, "float16"]),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 99),
)
def test_means_are_those_of_scikit_image(dtype, shape, seed):
    image = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    found = halve_by_mean(image)
    assert found.dtype == image.dtype
    assert np.array_equal(found, expected_mean(image))


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("sign", ["int", "uint"])
def test_means_of_the_largest_and_smallest_numbers_are_right(bits, sign):
    limits = np.iinfo(f"{sign}{bits}")
    for four in ([limits.max] * 4, [limits.min] * 4, [limits.max, limits.max, limits.max, 0]):
        image = np.array(four, limits.dtype).reshape(2, 2)
        assert halve_by_mean(image)[0, 0] == (sum(four) + 2) // 4


def test_means_of_large_floats_do_not_overflow_and_what_is_no_number_stays():
    largest = np.finfo("float32").max
    assert halve_by_mean(np.full((2, 2), largest, "float32"))[0, 0] == largest
    assert np.isnan(halve_by_mean(np.array([[np.nan, 1], [1, 1]]))[0, 0])


def test_a_bool_is_true_where_half_of_it_is():
    image = np.array([[1, 0, 1, 1], [0, 0, 0, 0]], bool)
    assert halve_by_mean(image).tolist() == [[False, True]]


def test_labels_have_no_number_that_no_object_has():
    labels = np.random.default_rng(0).integers(0, 9, (7, 8)) * 1000
    assert np.array_equal(keep_every_second(labels), labels[::2, ::2])


@pytest.mark.parametrize(
    ("levels", "shape", "expected"),
    [
        (None, (256, 200), [(256, 200)]),
        (None, (257, 100), [(257, 100), (129, 50)]),
        (None, (1080, 1080), [(1080, 1080), (540, 540), (270, 270), (135, 135)]),
        (1, (1080, 1080), [(1080, 1080)]),
        (3, (100, 60), [(100, 60), (50, 30), (25, 15)]),
        (16, (4, 1), [(4, 1), (2, 1), (1, 1)]),
    ],
)
def test_levels_go_on_until_the_image_is_small(levels, shape, expected):
    assert level_shapes(shape, ZarrConfig(pyramid_levels=levels)) == expected


@pytest.fixture(params=["0.5", "0.4"])
def field(request, tmp_path):
    """A field of an image and a label image of 300 x 301 px, and the two."""
    image = np.random.default_rng(0).poisson(300, (300, 301)).astype("uint16")
    labels = (image // 100).astype("int32")
    metadata = ImageMetadata.of_planes([KEY], pixel_size_um=0.5, z_step_um=2.0)
    config = ZarrConfig(ome_zarr_version=request.param, pyramid_levels=3)
    images = FieldImages(1, "0", {KEY: image}, {"cells": {KEY: labels}})
    write_well(tmp_path / "a.ome.zarr", "B02", [images], metadata, config)
    return tmp_path / "a.ome.zarr/B/02/0", image, labels


def multiscale(folder):
    files = [path for name in ("zarr.json", ".zattrs") if (path := folder / name).exists()]
    content = json.loads(files[0].read_text())
    ome = content["attributes"]["ome"] if files[0].name == "zarr.json" else content
    return ome["multiscales"][0]


def test_each_level_is_made_of_the_one_before(field):
    folder, image, labels = field
    for path, whole, halve in (
        (folder, image, expected_mean),
        (folder / "labels/cells", labels, keep_every_second),
    ):
        half = halve(whole)
        for level, expected in enumerate((whole, half, halve(half))):
            found = zarr.open_array(path / str(level), mode="r")[0, 0, 0]
            assert found.dtype == expected.dtype
            assert np.array_equal(found, expected)


def test_a_level_says_how_large_its_pixels_are_and_where_the_first_one_is(field):
    folder, _, _ = field
    found = multiscale(folder)
    assert found["type"] == "mean"
    transformations = [level["coordinateTransformations"] for level in found["datasets"]]
    assert [level[0]["scale"] for level in transformations] == [
        [1, 1, 2, 0.5, 0.5], [1, 1, 2, 1, 1], [1, 1, 2, 2, 2],
    ]  # fmt: skip
    # amid the first two by two (four by four) pixels, whose own places are 0, 0.5, 1 and 1.5 um
    assert [level[1]["translation"] for level in transformations[1:]] == [
        [0, 0, 0, 0.25, 0.25], [0, 0, 0, 0.75, 0.75],
    ]  # fmt: skip
    labels = multiscale(folder / "labels/cells")
    assert labels["type"] == "nearest"
    assert all(len(level["coordinateTransformations"]) == 1 for level in labels["datasets"])


def test_ngio_finds_the_levels_of_image_and_labels(field):
    import ngio

    folder, image, _ = field
    container = ngio.open_ome_zarr_container(folder, mode="r")
    assert container.level_paths == ["0", "1", "2"]
    assert container.get_label("cells", path="1").shape[-2:] == (150, 151)
    smallest = container.get_image(path="2")
    assert smallest.pixel_size.x == 2.0
    assert smallest.get_as_numpy()[0, 0, 0].mean() == pytest.approx(image.mean(), rel=0.01)
