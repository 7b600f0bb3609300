"""ROI sets: reading them back gives the masks they were made from."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import roifile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st
from scipy import ndimage
from skimage import io as images

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization.writers import roi_zip_bytes

DATA = Path(__file__).parents[2] / "data" / "nuclei"


def _read(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        rois = [roifile.ImagejRoi.frombytes(archive.read(name)) for name in archive.namelist()]
        assert [f"{roi.name}.roi" for roi in rois] == archive.namelist()
    return rois


def _fill(roi, shape):
    """Pixels whose centre lies inside the polygon, by counting the sides to the left of it."""
    x, y = roi.coordinates().T.astype(int)
    crossings = np.zeros((shape[0], shape[1] + 1), int)
    for x0, y0, x1, y1 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
        assert x0 == x1 or y0 == y1
        crossings[min(y0, y1) : max(y0, y1), x0] += x0 == x1
    return np.cumsum(crossings, axis=1)[:, :-1] % 2 == 1


def test_polygons_of_annotated_nuclei_give_their_pixels_back():
    labels = images.imread(DATA / "C02_s1_labels.png").astype(np.int32)
    labels = _one_piece_each(labels)
    rois = _read(roi_zip_bytes([("s001_w1_z001_t001", labels)]))
    assert [roi.name for roi in rois] == [
        f"s001_w1_z001_t001-{number:04d}" for number in range(1, labels.max() + 1)
    ]
    for number, roi in enumerate(rois, start=1):
        np.testing.assert_array_equal(_fill(roi, labels.shape), _without_holes(labels == number))


def _without_holes(mask):
    return ndimage.binary_fill_holes(mask, structure=np.ones((3, 3)))


def _one_piece_each(labels):
    pieces = np.zeros_like(labels)
    for number in np.unique(labels[labels > 0]):
        part, count = ndimage.label(labels == number)
        pieces[part > 0] = part[part > 0] + pieces.max()
        assert count >= 1
    return pieces


@given(
    np_st.arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)
    )
)
def test_any_label_image_comes_back_piece_by_piece(labels):
    rois = _read(roi_zip_bytes([("x", labels)]))
    filled = {number: np.zeros(labels.shape, bool) for number in (1, 2, 3)}
    for roi in rois:
        filled[int(roi.name[2:6])] |= _fill(roi, labels.shape)
    for number, mask in filled.items():
        np.testing.assert_array_equal(mask, _without_holes(labels == number))


def test_one_pixel_is_the_square_from_its_corner_to_the_next():
    labels = np.zeros((4, 8), np.int32)
    labels[2, 5] = 1
    (roi,) = _read(roi_zip_bytes([("a", labels)]))
    assert roi.roitype == roifile.ROI_TYPE.POLYGON
    assert {tuple(corner) for corner in roi.coordinates().tolist()} == {
        (5, 2), (6, 2), (6, 3), (5, 3),
    }  # fmt: skip
    assert (roi.left, roi.top, roi.right, roi.bottom) == (5, 2, 6, 3)


def test_touching_objects_and_several_slices_are_kept_apart(tmp_path):
    labels = np.array([[1, 1, 2, 2], [1, 1, 2, 2]])
    content = roi_zip_bytes([("z001", labels), ("z002", labels.T)])
    path = tmp_path / "set.roi.zip"
    path.write_bytes(content)
    assert [roi.name for roi in roifile.roiread(path)] == [
        "z001-0001", "z001-0002", "z002-0001", "z002-0002",
    ]  # fmt: skip


def test_labels_with_gaps_keep_their_numbers():
    labels = np.array([[0, 40000, 0, 7]], np.uint32)
    assert [roi.name for roi in _read(roi_zip_bytes([("a", labels)]))] == ["a-0007", "a-40000"]


def test_the_same_labels_give_the_same_bytes_and_none_an_empty_set():
    labels = np.eye(5, dtype=np.int32)
    assert roi_zip_bytes([("a", labels)]) == roi_zip_bytes([("a", labels.copy())])
    for nothing in ([], [("a", np.zeros((4, 4), np.int32))]):
        assert _read(roi_zip_bytes(nothing)) == []


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ([("a", np.zeros((2, 2)))], "integers"),
        ([("a", np.zeros((1, 2, 2), int))], r"\(1, 2, 2\)"),
        ([("a", np.full((2, 2), -1))], "negative label -1"),
        ([("a", np.zeros((2, 2), int)), ("a", np.zeros((2, 2), int))], "same name"),
        ([("a", np.zeros((1, 40000), np.uint8))], "32767"),
    ],
)
def test_what_is_no_label_image_is_refused(slices, message):
    with pytest.raises(StepFunctionError, match=message):
        roi_zip_bytes(slices)
