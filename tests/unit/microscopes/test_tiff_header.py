import contextlib
import struct

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.tiff_header import (
    MAX_DESCRIPTION_BYTES,
    UnsupportedImageError,
    read_tiff_header,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    dtype=st.sampled_from(["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]),
    byteorder=st.sampled_from("<>"),
    bigtiff=st.booleans(),
    compression=st.sampled_from([None, "zlib"]),
    text=st.sampled_from(["", "a", "abc", "<MetaData/>" * 700]),
)
def test_header_agrees_with_tifffile(tmp_path, shape, dtype, byteorder, bigtiff, compression, text):
    path = tmp_path / "image.tif"
    tifffile.imwrite(
        path,
        np.zeros(shape, dtype),
        byteorder=byteorder,
        bigtiff=bigtiff,
        compression=compression,
        description=text or None,
        metadata=None,
    )
    header = read_tiff_header(path)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert (header.shape, header.dtype) == (page.shape, page.dtype.name)
        assert header.description == page.description == text


def test_real_image_agrees_with_tifffile(demo_plate):
    path = demo_plate / "TimePoint_1/ZStep_1/9987_B02_s1_w1.TIF"
    header = read_tiff_header(path)
    with tifffile.TiffFile(path) as file:
        assert header.description.split() == file.pages[0].description.split()
        assert header.shape == file.pages[0].shape


@pytest.mark.parametrize(
    ("array", "options", "said"),
    [
        (np.zeros((2, 8, 8), "u2"), {"photometric": "minisblack"}, "several pages"),
        (np.zeros((8, 8, 3), "u1"), {"photometric": "rgb"}, "colour"),
        (np.zeros((8, 8), "c8"), {}, "pixels of type"),
        (np.zeros((8, 8), bool), {}, "pixels of type"),
    ],
)
def test_images_that_are_no_single_grey_plane_are_refused_by_name(tmp_path, array, options, said):
    path = tmp_path / "B02_s1_w1.tif"
    tifffile.imwrite(path, array, metadata=None, **options)
    with pytest.raises(UnsupportedImageError, match=said) as caught:
        read_tiff_header(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 bytes"),
        (b"II", "TIFF"),
        (b"II*\0", "cut short"),
        (b"II*\0\xff\xff\xff\x7f", "cut short"),
        (b"II*\0\x08\0\0\0\x05\0\x01", "cut short"),
        (b"II*\0\x08\0\0\0\0\0\0\0\0\0", "no image width"),
        (b"\x89PNG\r\n", "not a TIFF"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
    ],
)
def test_damaged_files_are_named_with_the_reason(tmp_path, content, said):
    path = tmp_path / "bad.tif"
    path.write_bytes(content)
    with pytest.raises(InputDataError, match=said) as caught:
        read_tiff_header(path)
    assert str(path) in str(caught.value)


@given(content=st.binary(max_size=200), magic=st.sampled_from([b"II*\0", b"MM\0*", b"II+\0\x08\0"]))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_a_header_or_a_data_error(tmp_path, content, magic):
    path = tmp_path / "fuzz.tif"
    path.write_bytes(magic + content)
    with contextlib.suppress(InputDataError):
        read_tiff_header(path)


def test_a_giant_description_is_not_read(tmp_path):
    path = tmp_path / "giant.tif"
    tags = [(256, 3, 1, 4), (257, 3, 1, 4), (270, 2, MAX_DESCRIPTION_BYTES + 1, 8)]
    body = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + bytes(4))
    with pytest.raises(InputDataError, match="at most"):
        read_tiff_header(path)


def test_missing_file_is_a_data_error(tmp_path):
    with pytest.raises(InputDataError, match="No such file"):
        read_tiff_header(tmp_path / "none.tif")
