"""A well as a folder of TIFFs: whole or as it was."""

import numpy as np
import pytest
import tifffile

from openhcs_core.errors import InputDataError
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import write_tiff_folder


def _key(site=1, channel="1"):
    return PlaneKey("B02", site, channel, 1, 1)


def _files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.tif")}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "int64", "float32", "float64"])
def test_values_and_dtype_come_back(tmp_path, dtype):
    image = np.arange(12).reshape(3, 4).astype(dtype)
    write_tiff_folder(tmp_path / "B02", {_key(): lambda: image}, {}, pixel_size_um=0.65)
    read = tifffile.imread(tmp_path / "B02" / _key().filename)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)


def test_an_image_of_unknown_pixel_size_claims_none(tmp_path):
    write_tiff_folder(tmp_path / "B02", {_key(): np.ones((3, 4), "u2")}, {})
    with tifffile.TiffFile(tmp_path / "B02" / _key().filename) as tif:
        assert tif.pages.first.tags["ResolutionUnit"].value == tifffile.RESUNIT.NONE


def test_a_second_writing_leaves_nothing_of_the_first(tmp_path):
    folder, image = tmp_path / "B02", np.ones((3, 4), "u2")
    labels = {"masks_w1": {_key(): np.ones((3, 4), "i4")}}
    write_tiff_folder(folder, {_key(1): image, _key(2): image}, labels)
    write_tiff_folder(folder, {_key(2): image}, {})
    assert list(_files(folder)) == [_key(2).filename]
    assert [path.name for path in tmp_path.iterdir()] == ["B02"]


def _refuse():
    raise InputDataError("no longer wanted")


@pytest.mark.parametrize(
    ("planes", "confirm"),
    [
        ({_key(): np.zeros((3, 4), "u2")}, _refuse),
        ({_key(): np.zeros((3, 4), "u2"), _key(2): _refuse}, None),
        ({_key(): np.zeros((0, 4), "u2")}, None),
    ],
)
def test_an_error_leaves_the_folder_as_it_was(tmp_path, planes, confirm):
    folder = tmp_path / "B02"
    write_tiff_folder(folder, {_key(): np.ones((3, 4), "u2")}, {})
    before = _files(folder)
    with pytest.raises(InputDataError):
        write_tiff_folder(folder, planes, {}, confirm=confirm)
    assert _files(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["B02"]


def test_what_a_killed_job_left_is_swept(tmp_path):
    left = tmp_path / ".tmp-B02-0123/B02"
    left.mkdir(parents=True)
    other = tmp_path / ".tmp-B03-0123/B03"
    other.mkdir(parents=True)
    write_tiff_folder(tmp_path / "B02", {_key(): np.ones((3, 4), "u2")}, {})
    assert not left.exists()
    assert other.exists()


def test_equal_input_gives_equal_bytes(tmp_path):
    image = np.arange(12, dtype="u2").reshape(3, 4)
    for name in ("one", "two"):
        write_tiff_folder(tmp_path / name / "B02", {_key(): image}, {}, pixel_size_um=1.3)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
