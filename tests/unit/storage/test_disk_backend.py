"""Files are written whole or not at all, and damaged ones are named, never read as something."""

import contextlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage import get_backend_instance, replace_file
from openhcs_core.testing.storage import assert_same_array

DEMO = Path(__file__).parents[3] / "data/demo/9987_Plate_3434/TimePoint_1/ZStep_1"
REAL_TIFF = (DEMO / "9987_B02_s1_w1.TIF").read_bytes()
LFS_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@pytest.fixture
def disk():
    return get_backend_instance("disk")


def test_a_real_image_is_read_as_tifffile_reads_it(disk):
    path = DEMO / "9987_B02_s1_w1.TIF"
    image = disk.load(path)
    assert_same_array(image, tifffile.imread(path))
    image[:] = 0  # the caller owns it


def test_big_endian_files_come_back_native_with_equal_values(disk, tmp_path):
    values = np.arange(12, dtype="uint16").reshape(3, 4) * 5000
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=">", photometric="minisblack")
    np.save(tmp_path / "a.npy", values.astype(">u2"))
    for name in ("a.tif", "a.npy"):
        assert_same_array(disk.load(tmp_path / name), values)


@pytest.mark.parametrize("dtype", ["bool", "float16", "uint8", "float64"])
@pytest.mark.parametrize("shape", [(4, 5), (1, 4, 5), (3, 4, 5), (4, 5, 3), (1, 1)])
def test_tiff_keeps_shape_and_dtype(disk, tmp_path, shape, dtype):
    image = (np.arange(np.prod(shape)).reshape(shape) % 2).astype(dtype)
    disk.save(image, tmp_path / "a.tif")
    assert_same_array(disk.load(tmp_path / "a.tif"), image)


def test_tiff_says_its_pixel_size(disk, tmp_path):
    disk.save(np.zeros((4, 5), "uint8"), tmp_path / "a.tif", pixel_size_um=0.65)
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        numerator, denominator = tif.pages[0].tags["XResolution"].value
        assert tif.pages[0].tags["ResolutionUnit"].value == 3  # per cm
    assert 1e4 / (numerator / denominator) == pytest.approx(0.65, rel=1e-6)


def test_equal_images_give_equal_files(disk, tmp_path):
    image = np.arange(20, dtype="float32").reshape(4, 5)
    disk.save(image, tmp_path / "a.tif")
    disk.save(image, tmp_path / "b.tif")
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (LFS_POINTER, r"a git-LFS pointer; run `git lfs pull`"),
        (b"<html>not found</html>", "other content beginning with b'<html>"),
        (REAL_TIFF[:82773], "without one"),
        (REAL_TIFF[:100000] + bytes(len(REAL_TIFF) - 100000), "without one"),
        (REAL_TIFF[:4], "damaged|without one"),
    ],
    ids=["empty", "lfs", "text", "truncated", "zero-tail", "header-only"],
)
def test_damaged_files_are_named(disk, tmp_path, content, found):
    path = tmp_path / "B02.tif"
    path.write_bytes(content)
    with pytest.raises(InputDataError, match=rf"B02\.tif: .*found.*{found}"):
        disk.load(path)


def test_missing_strips_are_not_filled_with_zeros(disk, tmp_path):
    path = tmp_path / "a.tif"
    image = np.arange(4096, dtype="uint16").reshape(64, 64)
    tifffile.imwrite(path, image, rowsperstrip=16, photometric="minisblack")
    with tifffile.TiffFile(path, mode="r+") as tif:
        counts = tif.pages[0].tags["StripByteCounts"]
        counts.overwrite([*counts.value[:3], 0])
    with pytest.raises(
        InputDataError, match=r"a\.tif: .*page 0 expected 4 strips .* found 3 whole"
    ):
        disk.load(path)


def test_a_strip_beyond_the_end_of_the_file_is_an_error(disk, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((64, 64), "uint16"), photometric="minisblack")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        InputDataError, match=r"a\.tif: .*page 0 expected 1 strips .* found 0 whole"
    ):
        disk.load(path)


def test_a_compressed_image_that_lost_strips_is_an_error(disk, tmp_path):
    """Readers may leave the pixels of strips that are not listed zero."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, np.ones((64, 64), "uint16"), compression="zlib", rowsperstrip=8, metadata=None
    )
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        for tag in (tif.pages.first.tags[name] for name in ("StripOffsets", "StripByteCounts")):
            form = "<I" if tag.dtype == tifffile.DATATYPE.LONG else "<H"
            struct.pack_into("<I", content, tag.offset + 4, 1)
            struct.pack_into(form, content, tag.offset + 8, tag.value[0])
    path.write_bytes(content)
    with pytest.raises(InputDataError, match=r"a\.tif: page 0 expected 8 strips .* found 1;"):
        disk.load(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_cut_from_a_file_it_is_read_right_or_refused(disk, tmp_path, data):
    path = tmp_path / "a.tif"
    path.write_bytes(REAL_TIFF[: data.draw(st.integers(0, len(REAL_TIFF)))])
    try:
        image = disk.load(path)
    except InputDataError:
        pass
    else:
        assert_same_array(image, tifffile.imread(DEMO / "9987_B02_s1_w1.TIF"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(131080, len(REAL_TIFF) - 1), st.binary(min_size=1, max_size=8))
def test_damage_to_the_tags_never_gives_an_empty_image(disk, tmp_path, position, junk):
    path = tmp_path / "a.tif"
    path.write_bytes(REAL_TIFF[:position] + junk + REAL_TIFF[position + len(junk) :])
    with contextlib.suppress(InputDataError, MemoryError):
        assert disk.load(path).size > 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"\x93NUMPY\x01\x00", "expected an NPY file"),
        ("a.json", b"{", "expected JSON, found .* at line 1"),
        ("a.txt", b"\xff", "expected text in UTF-8, found byte 0xff at 0"),
    ],
)
def test_other_damaged_files_are_named(disk, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputDataError, match=rf"{name}: {message}"):
        disk.load(tmp_path / name)


def test_arrays_of_objects_are_not_unpickled(disk, tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputDataError, match=r"a\.npy"):
        disk.load(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.xyz", 1, r"no format for '\.xyz'.*\.tif"),
        ("a.tif", [1], "expected an array to save, found list"),
        ("a.txt", 1, "expected text to save, found int"),
        ("a.json", {"a": float("nan")}, "expected data that JSON can hold"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(disk, tmp_path, name, data, message):
    with pytest.raises(StorageResolutionError, match=message):
        disk.save(data, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(disk, tmp_path):
    disk.save("old", tmp_path / "a.txt")
    with pytest.raises(StorageResolutionError):
        disk.save({1, 2}, tmp_path / "a.txt")
    with contextlib.suppress(KeyboardInterrupt), replace_file(tmp_path / "a.txt") as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert disk.load(tmp_path / "a.txt") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_batch_that_fails_leaves_every_file_as_it_was(disk, tmp_path):
    disk.save("old", tmp_path / "a.txt")
    names = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]
    with pytest.raises(StorageResolutionError, match=r"c\.txt: expected text"):
        disk.save_batch(["new", "new", 1], names)
    (tmp_path / "c.txt").mkdir()
    with pytest.raises(StorageResolutionError, match=r"c\.txt: is a folder"):
        disk.save_batch(["new", "new", "new"], names)
    assert disk.load(tmp_path / "a.txt") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "c.txt"]


def test_bytes_are_content_under_any_name(disk, tmp_path):
    for name in ("a.txt", "a.json", "a.tif", "a.svg", "a"):
        disk.save(b"\xff\x00", tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"\xff\x00"
        assert disk.load(tmp_path / name, raw=True) == b"\xff\x00"


def test_unfinished_files_are_hidden_and_never_under_the_final_name(disk, tmp_path):
    with replace_file(tmp_path / "a.txt") as stream:
        stream.write(b"half")
        assert not (tmp_path / "a.txt").exists()
        assert disk.list_files(tmp_path) == disk.list_dir(tmp_path) == []
    assert disk.list_dir(tmp_path) == ["a.txt"]


def test_new_files_heed_the_umask(disk, tmp_path):
    disk.save("x", tmp_path / "a.txt")
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(os.geteuid() == 0, reason="needs a user that is not root")
def test_unreadable_files_are_named(disk, tmp_path):
    (tmp_path / "a.tif").write_bytes(REAL_TIFF)
    (tmp_path / "a.tif").chmod(0)
    with pytest.raises(InputDataError, match=r"a\.tif: cannot be read: Permission denied"):
        disk.load(tmp_path / "a.tif")


def test_a_folder_is_no_image(disk, tmp_path):
    (tmp_path / "a.tif").mkdir()
    with pytest.raises(InputDataError, match=r"a\.tif: cannot be read"):
        disk.load(tmp_path / "a.tif")
