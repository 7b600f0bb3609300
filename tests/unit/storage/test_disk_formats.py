"""What the disk's formats hold comes back unchanged, by other readers too, or is refused."""

import contextlib
import csv
import importlib.util
import io
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from openhcs_core.constants import GPU_ONLY_MEMORY_TYPES, MemoryType
from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.memory import FRAMEWORKS, detect_memory_type, get_framework
from openhcs_core.storage import FileManager, create_storage_registry, get_backend_instance
from openhcs_core.testing.storage import assert_same_array, example_plane

if importlib.util.find_spec("pyclesperanto") is not None:  # before tensorflow, or not at all
    import pyclesperanto  # noqa: F401

CODECS = pytest.mark.skipif(
    importlib.util.find_spec("imagecodecs") is None, reason="needs imagecodecs"
)


@pytest.fixture
def disk():
    return get_backend_instance("disk")


@CODECS
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_tiff_with_zstd_is_smaller_and_read_by_plain_tifffile(disk, tmp_path, name, dtype):
    image = (np.arange(3 * 64 * 64, dtype=dtype) // 100).reshape(3, 64, 64)
    disk.save(image, tmp_path / name, pixel_size_um=0.65, compression="zstd")
    with tifffile.TiffFile(tmp_path / name) as tif:
        assert tif.pages[0].compression == tifffile.COMPRESSION.ZSTD
        assert_same_array(tif.asarray(), image)
    assert_same_array(disk.load(tmp_path / name), image)
    assert (tmp_path / name).stat().st_size < image.nbytes / 2


def test_zstd_without_its_library_says_what_to_install(disk, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(StorageResolutionError, match=r"a\.tif: .*openhcs-core\[tiff\]"):
        disk.save(np.zeros((4, 4)), tmp_path / "a.tif", compression="zstd")
    with pytest.raises(StorageResolutionError, match=r"a\.tif: expected compression zstd or None"):
        disk.save(np.zeros((4, 4)), tmp_path / "a.tif", compression="jpeg")
    assert list(tmp_path.iterdir()) == []


def test_ome_tiff_says_axes_sizes_and_channels(disk, tmp_path):
    image = np.arange(2 * 3 * 4 * 5, dtype="uint16").reshape(2, 3, 4, 5)
    path = tmp_path / "a.ome.tif"
    disk.save(image, path, pixel_size_um=0.65, z_step_um=2.5, channel_names=["DAPI", "Überfluß"])
    with tifffile.TiffFile(path) as tif:
        assert tif.is_ome
        assert tif.series[0].axes == "CZYX"
        assert_same_array(tif.series[0].asarray(), image)
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeY"], pixels["PhysicalSizeZ"]) == (
        *(0.65, 0.65, 2.5),
    )
    assert {pixels[f"PhysicalSize{axis}Unit"] for axis in "XYZ"} == {"µm"}
    assert [channel["Name"] for channel in pixels["Channel"]] == ["DAPI", "Überfluß"]
    assert disk.load(path).shape == (6, 4, 5)  # pages


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint32", "float32", "float64", ">u2"])
def test_ome_tiff_keeps_every_dtype_it_has(disk, tmp_path, dtype):
    image = np.arange(3 * 4 * 5).reshape(3, 4, 5).astype(dtype)
    disk.save(image, tmp_path / "a.ome.tiff", axes="TYX")
    assert_same_array(disk.load(tmp_path / "a.ome.tiff"), image)
    disk.save(image, tmp_path / "b.ome.tiff", axes="TYX")
    assert (tmp_path / "a.ome.tiff").read_bytes() == (tmp_path / "b.ome.tiff").read_bytes()


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((2, 2), "uint64"), {}, "OME-TIFF has no dtype uint64; save .tif"),
        (np.zeros((2, 2, 2)), {"axes": "YXC"}, "expected axes .* found YXC"),
        (np.zeros((2, 2, 2)), {"axes": "CZYX"}, "for each of 3 dimensions, found CZYX"),
        (np.zeros((1, 1, 1, 1, 1, 1)), {}, "found none"),
        (np.zeros((2, 2)), {"channel_names": ["a", "b"]}, "2 channel names for 1 channels"),
    ],
)
def test_what_ome_tiff_cannot_say_is_refused(disk, tmp_path, image, options, message):
    with pytest.raises(StorageResolutionError, match=rf"a\.ome\.tif: .*{message}"):
        disk.save(image, tmp_path / "a.ome.tif", **options)


@pytest.mark.parametrize(
    "image",
    [
        example_plane("uint8"),
        example_plane("uint16"),
        example_plane("uint16").astype(">u2"),
        example_plane("uint16", (8, 10))[::-2, 1::3],
        example_plane("uint8") > 100,
        np.arange(2 * 3 * 3, dtype="uint8").reshape(2, 3, 3),
        np.arange(2 * 3 * 4, dtype="uint8").reshape(2, 3, 4),
    ],
    ids=["uint8", "uint16", "big-endian", "strides", "bool", "rgb", "rgba"],
)
def test_png_comes_back_and_is_read_by_others(disk, tmp_path, image):
    disk.save(image, tmp_path / "a.PNG")
    assert_same_array(disk.load(tmp_path / "a.PNG"), image)
    with Image.open(tmp_path / "a.PNG") as shown:
        np.testing.assert_array_equal(np.asarray(shown), image)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((2, 2)),
        np.zeros((2, 2), "int32"),
        np.zeros((2, 2, 3), "uint16"),
        np.zeros((3, 2, 2, 3), "uint8"),
    ],
    ids=["float", "int32", "rgb48", "stack"],
)
def test_what_png_cannot_hold_is_refused(disk, tmp_path, image):
    with pytest.raises(StorageResolutionError, match=r"a\.png: PNG holds .*, found .* save TIFF"):
        disk.save(image, tmp_path / "a.png")


def _png(depth, colours, row):
    """Return a PNG of one row."""

    def chunk(name, content):
        checked = name + content
        return len(content).to_bytes(4) + checked + zlib.crc32(checked).to_bytes(4)

    samples = {0: 1, 2: 3, 4: 2}[colours]
    width = len(row) * 8 // depth // samples
    header = width.to_bytes(4) + (1).to_bytes(4) + bytes([depth, colours, 0, 0, 0])
    pixels = zlib.compress(b"\0" + row)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize(("depth", "colours"), [(16, 2), (16, 4), (2, 0), (4, 0)])
def test_png_values_that_pillow_would_change_are_refused(disk, tmp_path, depth, colours):
    (tmp_path / "a.png").write_bytes(_png(depth, colours, bytes(range(12))))
    with pytest.raises(InputDataError, match=rf"a\.png: .*found {depth} bits a sample"):
        disk.load(tmp_path / "a.png")


def test_a_palette_is_read_as_its_colours(disk, tmp_path):
    colours = np.array([[[255, 0, 0], [0, 0, 255]]], "uint8")
    Image.fromarray(colours).quantize(2).save(tmp_path / "a.png")
    assert_same_array(disk.load(tmp_path / "a.png"), colours)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_png_is_read_right_or_refused(disk, tmp_path, data):
    image = example_plane("uint16", (20, 30))
    disk.save(image, tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    (tmp_path / "a.png").write_bytes(content)
    with contextlib.suppress(InputDataError):
        assert_same_array(disk.load(tmp_path / "a.png"), image)


def _table():
    return pd.DataFrame(
        {
            "well": ["A01", "B02", "B03"],
            "treatment": ["NA", "None", 'with "quotes", µ\n'],
            "area": [0.1 + 0.2, 1e-300, np.pi],
            "count": [1, -2, 3],
            "depth": [1.5, None, 2.0],
        }
    )


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t")])
def test_tables_are_text_that_others_read_and_the_same_table_again(disk, tmp_path, name, separator):
    disk.save(_table(), tmp_path / name)
    pd.testing.assert_frame_equal(disk.load(tmp_path / name, as_table=True), _table())
    text = disk.load(tmp_path / name)
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))
    assert [row["treatment"] for row in rows] == list(_table()["treatment"])
    assert [float(row["area"]) for row in rows] == list(_table()["area"])


def test_a_table_whose_index_would_be_lost_is_refused(disk, tmp_path):
    with pytest.raises(StorageResolutionError, match=r"a\.csv: .*reset_index\(\)"):
        disk.save(_table().set_index("well"), tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes(b'a,b\n"')
    with pytest.raises(InputDataError, match=r"a\.csv: expected a table"):
        disk.load(tmp_path / "a.csv", as_table=True)


def test_parquet_keeps_dtypes_and_index(disk, tmp_path):
    pytest.importorskip("pyarrow")
    table = _table().astype({"count": "int8", "area": "float32"}).set_index("well")
    disk.save(table, tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(disk.load(tmp_path / "a.parquet"), table)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), table)
    content = (tmp_path / "a.parquet").read_bytes()
    for damaged in (b"", b"PAR1", content[: len(content) // 2]):
        (tmp_path / "a.parquet").write_bytes(damaged)
        with pytest.raises(InputDataError, match=r"a\.parquet: expected a Parquet file"):
            disk.load(tmp_path / "a.parquet")
    with pytest.raises(StorageResolutionError, match="a DataFrame to save, found str"):
        disk.save("text", tmp_path / "b.parquet")
    with pytest.raises(StorageResolutionError, match="that Parquet can hold"):
        disk.save(pd.DataFrame({"a": [1, "x", b"y"]}), tmp_path / "b.parquet")


def test_parquet_without_its_library_says_what_to_install(disk, tmp_path, monkeypatch):
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for call in (
        lambda: disk.save(_table(), tmp_path / "a.parquet"),
        lambda: disk.load(tmp_path / "b.parquet"),
    ):
        with pytest.raises(StorageResolutionError, match=r"openhcs-core\[parquet\]"):
            call()


def test_an_empty_array_is_no_array_to_read(disk, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((0, 3)))
    with pytest.raises(InputDataError, match=r"a\.npy: expected an array, found an empty one"):
        disk.load(tmp_path / "a.npy")


def test_what_a_mask_hides_is_not_written_as_values(disk, tmp_path):
    masked = np.ma.masked_array(np.arange(4), mask=[0, 1, 0, 0])
    with pytest.raises(StorageResolutionError, match="an array without a mask"):
        disk.save(masked, tmp_path / "a.npy")


def test_options_of_chunks_are_for_any_backend_and_others_must_be_known(disk, tmp_path):
    plane = example_plane("uint16")
    files = FileManager(create_storage_registry())
    for backend in ("disk", "memory"):
        path = tmp_path / backend / "B02_s001_w1_z001_t001.tif"
        files.save_batch([plane], [path], backend, chunk_name="B02", zarr_config=None)
        (found,) = files.load_batch([path], backend, chunk_name="B02", zarr_config=None)
        assert_same_array(found, plane)
    with pytest.raises(StorageResolutionError, match=r"a\.npy: no option pixel_size_um here"):
        disk.save(plane, tmp_path / "a.npy", pixel_size_um=1)
    with pytest.raises(StorageResolutionError, match=r"a\.tif: no option level here; known: chunk"):
        disk.load(path.with_name("a.tif"), level=1)


@pytest.mark.parametrize("memory_type", sorted(set(MemoryType) - {MemoryType.UNKNOWN}))
@pytest.mark.parametrize("name", ["B02_s001_w1_z001_t001.tif", "a.npy", "a.ome.tif"])
def test_an_array_of_any_memory_type_goes_in_and_numpy_to_disk(disk, tmp_path, memory_type, name):
    if memory_type in GPU_ONLY_MEMORY_TYPES:
        pytest.skip("needs a GPU")
    if memory_type not in FRAMEWORKS or importlib.util.find_spec(memory_type) is None:
        pytest.skip(f"needs {memory_type}")
    plane = example_plane("float32")
    array = get_framework(memory_type).from_numpy(plane.copy())
    files = FileManager(create_storage_registry())
    files.save_image(array, tmp_path / name, "disk")
    assert_same_array(disk.load(tmp_path / name), plane)
    files.save_image(array, tmp_path / name, "memory")
    kept = files.load_image(
        tmp_path / name, "memory", expected_shape=plane.shape, expected_dtype="float32"
    )
    assert detect_memory_type(kept) == memory_type


def test_what_holds_json_stays_plain(disk, tmp_path):
    disk.save({"µ": [1, None]}, tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"µ": [1, None]}


def test_the_files_of_a_plate_are_written_as_ever(disk, tmp_path):
    """The bytes of a plain TIFF are tifffile's own without any option."""
    plane = example_plane("uint16")
    disk.save(plane, tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", plane, photometric="minisblack")
    assert (tmp_path / "a.tif").read_bytes() == Path(tmp_path / "b.tif").read_bytes()
