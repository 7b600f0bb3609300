"""Counting nuclei: against hand annotation, and its numbers against scikit-image."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage import feature, filters, io, measure, segmentation

from openhcs_core.functions.measure import measure_intensity
from openhcs_core.functions.segment import count_cells_single_channel

DATA = Path(__file__).parents[2] / "data" / "nuclei"
COLUMNS = [
    "label", "centroid_y_px", "centroid_x_px", "centroid_y_um", "centroid_x_um", "area_px",
    "area_um2", "mean_intensity", "std_intensity", "min_intensity", "max_intensity",
    "integrated_intensity",
]  # fmt: skip


def _truth():
    with (DATA / "counts.csv").open(newline="") as file:
        return {row["file"]: int(row["n_nuclei"]) for row in csv.DictReader(file)}


def _field(name):
    return io.imread(DATA / name).astype(np.uint16)[None] * 257


def _count(image, **parameters):
    return count_cells_single_channel(image, **parameters)[2][0]


def _spots(positions, radius=8, height=1000, shape=(120, 160), background=200, seed=0):
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.full(shape, float(background))
    for cy, cx in positions:
        image[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] += height
    image = ndimage.gaussian_filter(image, 1.5)
    return np.random.default_rng(seed).poisson(image).astype(np.uint16)[None]


@pytest.mark.parametrize("name", sorted(_truth()))
def test_annotated_fields_are_counted_within_a_tenth(name):
    truth = _truth()[name]
    assert abs(int(_count(_field(name)).max()) - truth) <= 0.1 * truth


def test_all_annotated_fields_together_are_counted_within_three_percent():
    truth = _truth()
    found = sum(int(_count(_field(name)).max()) for name in truth)
    assert abs(found - sum(truth.values())) <= 0.03 * sum(truth.values())


def test_objects_lie_where_the_annotation_has_them():
    labels = _count(_field("C02_s1.png"))
    truth = io.imread(DATA / "C02_s1_labels.png").astype(int)
    both = np.histogram2d(truth.ravel(), labels.ravel(), [truth.max() + 1, labels.max() + 1])[0]
    union = np.bincount(truth.ravel())[:, None] + np.bincount(labels.ravel()) - both
    matched = np.count_nonzero((both / union)[1:, 1:] > 0.5)
    assert 2 * matched / (truth.max() + labels.max()) > 0.9


@pytest.mark.parametrize(
    ("scale", "offset", "dtype"),
    [(1, 0, "uint8"), (257, 0, "uint16"), (1 / 255, 0, "float32"), (10, 5000, "float64")],
)
def test_the_count_does_not_depend_on_units_or_offset(scale, offset, dtype):
    image = io.imread(DATA / "C02_s2.png")[None]
    expected = int(_count(image).max())
    assert (
        abs(int(_count((image.astype(float) * scale + offset).astype(dtype)).max()) - expected) <= 1
    )


@pytest.mark.parametrize("pixel_size_um", [None, 0.65])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_table_equals_scikit_images_regionprops(pixel_size_um, dtype):
    image = (_field("C02_s2.png") // 257).astype(dtype)
    before = image.copy()
    returned, table, masks = count_cells_single_channel(image, pixel_size_um=pixel_size_um)

    assert returned is image
    np.testing.assert_array_equal(image, before)
    assert list(table) == COLUMNS
    assert masks.shape == image.shape
    assert masks.dtype == np.int32
    regions = measure.regionprops(masks[0], image[0].astype(np.float64))
    assert [r.label for r in regions] == list(range(1, len(regions) + 1)) == list(table["label"])
    size = np.nan if pixel_size_um is None else pixel_size_um
    expected = {
        "centroid_y_px": [r.centroid[0] for r in regions],
        "centroid_x_px": [r.centroid[1] for r in regions],
        "centroid_y_um": [r.centroid[0] * size for r in regions],
        "centroid_x_um": [r.centroid[1] * size for r in regions],
        "area_px": [r.area for r in regions],
        "area_um2": [r.area * size**2 for r in regions],
        "mean_intensity": [r.intensity_mean for r in regions],
        "std_intensity": [r.intensity_std for r in regions],
        "min_intensity": [r.intensity_min for r in regions],
        "max_intensity": [r.intensity_max for r in regions],
        "integrated_intensity": [r.image_intensity.sum() for r in regions],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(table[name], values, rtol=1e-12, err_msg=name)


def test_every_object_is_one_piece_and_numbered_from_the_top():
    labels = _count(_field("D02_s1.png"))
    first = [np.flatnonzero(labels == number)[0] for number in range(1, labels.max() + 1)]
    assert first == sorted(first)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        assert ndimage.label(labels[box] == number)[1] == 1


def _large(labels):
    """Number the pieces of 20 pixels or more anew."""
    return measure.label(
        np.where(np.bincount(labels.ravel())[labels] < 20, 0, labels), connectivity=1
    )


def _cut(mask):
    """Cut a mask by a watershed in plain scikit-image, without crops or shortcuts."""
    whole = measure.label(mask, connectivity=1)
    diameter = np.median([region.equivalent_diameter_area for region in measure.regionprops(whole)])
    distance = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1].astype(np.float32)
    height = ndimage.gaussian_filter(distance, max(0.05 * diameter, 0.5), truncate=3.0) * mask
    peaks = feature.peak_local_max(
        height, min_distance=round(0.45 * diameter), exclude_border=False
    )
    markers = np.zeros(mask.shape, int)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    parts = segmentation.watershed(-height, markers, mask=mask)
    return np.where(mask & (parts == 0), whole + len(peaks), parts)


@pytest.mark.parametrize("name", ["C02_s1.png", "D02_s1.png"])
@pytest.mark.parametrize("threshold_method", ["otsu", "li", "triangle"])
def test_a_global_threshold_is_scikit_images_on_the_smoothed_image(threshold_method, name):
    image = _field(name)
    smooth = ndimage.gaussian_filter(image[0].astype(np.float32), 1.0)
    mask = smooth > getattr(filters, f"threshold_{threshold_method}")(smooth)
    whole = _count(image, threshold_method=threshold_method, detection_method="threshold")
    np.testing.assert_array_equal(whole, _large(measure.label(mask, connectivity=1)))
    cut = _count(image, threshold_method=threshold_method)
    np.testing.assert_array_equal(cut, _large(_cut(mask)))
    assert cut.max() > whole.max()


def test_touching_discs_are_cut_apart_by_watershed_only():
    image = _spots([(40, 40), (40, 56), (90, 100)])
    assert _count(image, threshold_method="otsu").max() == 3
    assert _count(image, threshold_method="otsu", detection_method="threshold").max() == 2
    assert _count(image, threshold_method="otsu", min_distance=25).max() == 2


def test_dim_objects_beside_bright_ones_are_found():
    image = _spots([(30, 30), (90, 130)], height=2000).astype(int)
    image += _spots([(30, 80), (80, 50), (60, 140)], height=400, seed=1)
    assert _count(image.astype(np.uint16)).max() == 5


def test_objects_at_the_border_count():
    labels = _count(_spots([(0, 40), (60, 0), (119, 159), (60, 80)]))
    assert labels.max() == 4
    assert labels[0, 40] == 1
    assert labels[119, 159] == 4


def test_area_limits_include_their_bounds():
    image = _spots([(40, 40), (90, 100)])
    area = int(count_cells_single_channel(image)[1]["area_px"].min())
    assert _count(image, min_area=area, max_area=10 * area).max() == 2
    assert _count(image, max_area=area - 1).max() == 0
    assert _count(image, min_area=area + 200).max() == 0


def _noise(kind):
    rng = np.random.default_rng(3)
    shape = (1, 256, 256)
    return {
        "zeros": np.zeros(shape, np.uint16),
        "constant": np.full(shape, 812, np.uint16),
        "constant float": np.full(shape, 0.3, np.float32),
        "poisson": rng.poisson(100, shape).astype(np.uint16),
        "normal": rng.normal(0, 1, shape),
        "smooth": ndimage.gaussian_filter(rng.normal(1000, 30, shape), (0, 2, 2)).astype("uint16"),
        "one pixel": np.pad(np.full((1, 1, 1), 9000, np.uint16), ((0, 0), (99, 99), (99, 99))),
    }[kind]


@pytest.mark.parametrize(
    "kind", ["zeros", "constant", "constant float", "poisson", "normal", "smooth", "one pixel"]
)
def test_an_image_without_cells_has_no_objects_but_all_columns(kind):
    image = _noise(kind)
    _, table, masks = count_cells_single_channel(image, pixel_size_um=1.0)
    assert list(table) == COLUMNS
    assert {len(column) for column in table.values()} == {0}
    assert masks.shape == image.shape
    assert not masks.any()


@pytest.mark.parametrize("threshold_method", ["local", "otsu", "li", "triangle"])
def test_tiny_and_blank_images_are_no_special_case(threshold_method):
    assert not _count(np.full((1, 1, 1), 5, np.uint8), threshold_method=threshold_method).any()
    assert not _count(np.zeros((1, 30, 2)), threshold_method=threshold_method).any()


def test_what_cannot_be_counted_is_refused():
    image = _spots([(40, 40)])
    with pytest.raises(ValueError, match=r"one slice.*\(2, 120, 160\)"):
        count_cells_single_channel(np.concatenate([image, image]))
    with pytest.raises(ValueError, match=r"detection_method.*'magic'"):
        count_cells_single_channel(image, detection_method="magic")
    with pytest.raises(ValueError, match="min_area=50, max_area=10"):
        count_cells_single_channel(image, min_area=50, max_area=10)
    broken = image.astype(np.float32)
    broken[0, 3, 3] = np.inf
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        count_cells_single_channel(broken)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_whole_image_statistics_equal_numpys(dtype):
    stack = (np.random.default_rng(0).random((3, 20, 30)) * 200).astype(dtype)
    before = stack.copy()
    returned, table = measure_intensity(stack)
    assert returned is stack
    np.testing.assert_array_equal(stack, before)
    planes = [plane.astype(np.float64) for plane in stack]
    assert table == {
        "mean_intensity": [p.mean() for p in planes],
        "median_intensity": [np.median(p) for p in planes],
        "std_intensity": [p.std() for p in planes],
        "min_intensity": [p.min() for p in planes],
        "max_intensity": [p.max() for p in planes],
        "p01_intensity": [np.percentile(p, 1) for p in planes],
        "p99_intensity": [np.percentile(p, 99) for p in planes],
        "integrated_intensity": [p.sum() for p in planes],
    }
