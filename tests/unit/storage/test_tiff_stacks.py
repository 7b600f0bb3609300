"""TIFFs read straight into a stack are those that tifffile reads one by one, or errors."""

import threading
from functools import partial

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from openhcs_core.errors import InputDataError
from openhcs_core.storage.backends.tiff_ import (
    read_tiff,
    read_tiff_into,
    read_tiff_stack,
    run_parallel,
)
from openhcs_core.testing.storage import assert_same_array

FORMS = {
    "plain": {},
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (16, 16)},
    "big-endian": {"byteorder": ">"},
    "big-endian strips": {"byteorder": ">", "rowsperstrip": 7},
    "zlib": {"compression": "zlib", "rowsperstrip": 16},
    "zlib predictor": {"compression": "zlib", "predictor": 2},
    "BigTIFF": {"bigtiff": True},
    "zstd": {"compression": "zstd"},
    "big-endian zstd strips": {"compression": "zstd", "rowsperstrip": 7, "byteorder": ">"},
    "big-endian zlib": {"compression": "zlib", "byteorder": ">"},
    "without metadata": {"metadata": None},
    "min is white": {"photometric": "miniswhite"},
}


def _image(dtype="uint16", shape=(37, 53), seed=1):
    values = np.random.default_rng(seed).integers(0, 250, shape)
    return values.astype(dtype)


def _stack(paths, shape, dtype, threads=4):
    contents = [partial(type(path), path) for path in paths]
    return read_tiff_stack(contents, [str(path) for path in paths], shape, dtype, threads)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_as_tifffile_reads_it(tmp_path, form, dtype):
    if "predictor" in form and dtype.startswith("float"):
        pytest.skip("the predictor is for whole numbers")
    paths = [tmp_path / f"{number}.tif" for number in range(5)]
    for number, path in enumerate(paths):
        tifffile.imwrite(path, _image(dtype, seed=number), **FORMS[form])
    stack = _stack(paths, (37, 53), dtype)
    assert stack.flags.c_contiguous
    assert stack.flags.owndata
    for plane, path in zip(stack, paths, strict=True):
        assert_same_array(plane.copy(), tifffile.imread(path))
        assert_same_array(plane.copy(), read_tiff(path))


def test_bytes_in_memory_are_read_like_a_file(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, _image(), rowsperstrip=5)
    out = np.zeros((37, 53), np.uint16)
    with path.open("rb") as file:
        read_tiff_into(out, file)
    assert_same_array(out, _image())


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (_image("uint8"), "37x53 uint8"),
        (_image("int16"), "37x53 int16"),
        (_image("float32"), "37x53 float32"),
        (_image(shape=(53, 37)), "53x37 uint16"),
        (_image(shape=(2, 37, 53)), "2x37x53 uint16"),
        (_image(shape=(37, 53, 3)), "37x53x3 uint16"),
    ],
)
def test_another_shape_or_dtype_is_an_error(tmp_path, written, found):
    path = tmp_path / "odd.tif"
    kind = "rgb" if written.shape[-1] == 3 else "minisblack"
    tifffile.imwrite(path, written, photometric=kind)
    with pytest.raises(InputDataError, match=rf"odd\.tif: expected 37x53 uint16, found {found}"):
        _stack([path], (37, 53), "uint16")


def _read_or_named_error(path):
    """Return the stack, None where reading it is an error with the file's name."""
    try:
        return _stack([path], (37, 53), "uint16")
    except InputDataError as error:
        if str(path) not in str(error):
            raise
        return None


@settings(max_examples=60)
@given(cut=st.floats(0, 1, exclude_max=True), form=st.sampled_from(sorted(FORMS)))
def test_a_cut_file_raises_with_its_name_and_never_gives_an_image(tmp_path_factory, cut, form):
    path = tmp_path_factory.mktemp("cut") / "cut.tif"
    tifffile.imwrite(path, _image(), **FORMS[form])
    whole = path.read_bytes()
    path.write_bytes(whole[: int(cut * len(whole))])
    stack = _read_or_named_error(path)
    if stack is not None:  # what was cut off were no pixels: metadata behind them
        assert_same_array(stack[0].copy(), _image())


@settings(max_examples=60)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255), form=st.sampled_from(sorted(FORMS)))
def test_a_changed_byte_gives_an_image_of_that_form_or_an_error(
    tmp_path_factory, place, value, form
):
    path = tmp_path_factory.mktemp("changed") / "changed.tif"
    tifffile.imwrite(path, _image(), **FORMS[form])
    data = bytearray(path.read_bytes())
    data[place % len(data)] = value
    path.write_bytes(data)
    stack = _read_or_named_error(path)
    assert stack is None or stack.shape == (1, 37, 53)


def test_the_first_bad_file_in_order_is_named(tmp_path):
    paths = [tmp_path / f"{number}.tif" for number in range(12)]
    for path in paths:
        tifffile.imwrite(path, _image())
    paths[9].write_bytes(b"")
    paths[4].write_bytes(paths[0].read_bytes()[:900])
    with pytest.raises(InputDataError, match=r"/4\.tif"):
        _stack(paths, (37, 53), "uint16")


def test_tasks_run_in_several_threads_and_stop_after_an_error():
    meeting = threading.Barrier(2, timeout=10)
    run_parallel([meeting.wait, meeting.wait], 2)
    done = []

    def fail():
        raise InputDataError("no")

    with pytest.raises(InputDataError):
        run_parallel([fail, *[partial(done.append, 1)] * 3], 1)
    assert done == []
