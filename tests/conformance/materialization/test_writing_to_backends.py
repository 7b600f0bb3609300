"""Files of special outputs on every backend that holds files: whole, or not at all."""

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

from openhcs_core.errors import StepFunctionError, StorageResolutionError
from openhcs_core.materialization import (
    CsvOptions,
    Entry,
    JsonOptions,
    MaterializationSpec,
    ROIOptions,
    TextOptions,
    TiffOptions,
    materialize_to,
    save_files,
)
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import FileManager, StorageBackend, create_storage_registry
from openhcs_core.storage.backends.memory_ import MemoryStorageBackend

LABELS = np.array([[0, 1, 1, 0], [0, 1, 1, 2]], np.uint16)
VALUE = {"rows": [{"label": 1, "area": 4}], "labels": LABELS, "note": "two cells"}
ENTRIES = [Entry((PlaneKey("B02", 3, "1", 2, 1),), VALUE)]
EVERY = MaterializationSpec(
    CsvOptions(source="rows", filename_suffix="_rows.csv"),
    JsonOptions(source="rows"),
    ROIOptions(source="labels"),
    TiffOptions(source="labels"),
    TextOptions(source="note", filename_suffix=".svg", headings=False),
    primary="roi",
)
ENDS = ["_rows.csv", ".json", ".roi.zip", ".tif", ".svg"]
PAIR = MaterializationSpec(CsvOptions(source="rows"), JsonOptions(source="rows"))
OLD = b"old"


class _OneByOne(MemoryStorageBackend):
    """A backend with the batches that the base class makes of single files."""

    save_batch = StorageBackend.save_batch


@pytest.fixture
def filemanager():
    return FileManager({**create_storage_registry(), "single": _OneByOne()})


@pytest.fixture(params=["memory", "disk", "single"])
def backend(request):
    return request.param


@pytest.fixture
def stem(tmp_path):
    return f"{tmp_path}/out/B02.cells"


def _read(filemanager, path, backend):
    return filemanager.load(path, backend, raw=True)


def _names(filemanager, folder, backend):
    folder = str(folder)
    if not filemanager.exists(folder, backend):
        return []
    return filemanager.list_dir(folder, backend)


def test_every_writer_writes_a_file_that_other_readers_read(filemanager, backend, stem):
    assert materialize_to(EVERY, ENTRIES, stem, filemanager, backend) == f"{stem}.roi.zip"
    table, listed, rois, tiff, text = (_read(filemanager, stem + end, backend) for end in ENDS)
    (row,) = csv.DictReader(io.StringIO(table.decode()))
    assert (row["well"], row["label"], row["area"]) == ("B02", "1", "4")
    assert json.loads(listed)[0]["area"] == 4
    assert len(zipfile.ZipFile(io.BytesIO(rois)).namelist()) == 2
    image = tifffile.imread(io.BytesIO(tiff))
    assert image.dtype == LABELS.dtype
    np.testing.assert_array_equal(image, LABELS)
    assert text == b"two cells\n"


def test_several_backends_get_the_same_bytes(filemanager, stem):
    materialize_to(EVERY, ENTRIES, stem, filemanager, ("memory", "disk", "memory"))
    for end in ENDS:
        in_memory = _read(filemanager, stem + end, "memory")
        assert Path(stem + end).read_bytes() == in_memory


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("B02.cells", "B02.cells"),
        ("B02.cells.roi.zip", "B02.cells"),
        ("B02.cells.zip", "B02.cells"),
        ("B02.cells.csv", "B02.cells"),
        ("B02.cells.tiff", "B02.cells"),
        ("B02.cells.counts.json", "B02.cells.counts"),
        ("B02.cells_rows.csv", "B02.cells"),
        ("B02.cells.svg", "B02.cells"),
        ("B02.cells.csv.json", "B02.cells.csv"),
        (".csv", ".csv"),
    ],
)
def test_a_suffix_of_the_path_makes_way(filemanager, tmp_path, given, written):
    main = materialize_to(EVERY, ENTRIES, tmp_path / given, filemanager, "memory")
    assert main == f"{tmp_path}/{written}.roi.zip"
    assert filemanager.exists(f"{tmp_path}/{written}_rows.csv", "memory")


def _put_old(filemanager, backend, stem):
    save_files({f"{stem}.json": OLD}, filemanager, backend)


def test_replace_is_what_happens_unless_told(filemanager, backend, stem):
    _put_old(filemanager, backend, stem)
    materialize_to(PAIR, ENTRIES, stem, filemanager, backend)
    assert json.loads(_read(filemanager, f"{stem}.json", backend))[0]["label"] == 1


def test_keep_writes_only_what_is_not_there(filemanager, backend, stem):
    _put_old(filemanager, backend, stem)
    assert materialize_to(PAIR, ENTRIES, stem, filemanager, backend, "keep") == f"{stem}.csv"
    assert _read(filemanager, f"{stem}.json", backend) == OLD
    assert _read(filemanager, f"{stem}.csv", backend).startswith(b"well,")


def test_error_refuses_before_any_backend_is_written_to(filemanager, backend, stem):
    _put_old(filemanager, backend, stem)
    other = "memory" if backend != "memory" else "disk"
    with pytest.raises(
        StorageResolutionError, match=rf"B02\.cells\.json is in storage backend '{backend}' already"
    ):
        materialize_to(PAIR, ENTRIES, stem, filemanager, (other, backend), "error")
    assert not filemanager.exists(f"{stem}.csv", other)
    assert _names(filemanager, stem.rpartition("/")[0], backend) == ["B02.cells.json"]
    materialize_to(PAIR, ENTRIES, f"{stem}2", filemanager, (other, backend), "error")


@pytest.mark.parametrize(
    ("backends", "message"),
    [
        (("disk", "tape"), r"no storage backend 'tape'; known: disk, memory, single, zarr"),
        (
            ("disk", "zarr"),
            "storage backend 'zarr' cannot hold files; use one that can: disk, memory",
        ),
    ],
)
def test_a_backend_that_cannot_is_refused_before_anything_is_written(
    filemanager, tmp_path, stem, backends, message
):
    with pytest.raises(StorageResolutionError, match=message):
        materialize_to(PAIR, ENTRIES, stem, filemanager, backends)
    assert list(tmp_path.iterdir()) == []


def test_wrong_arguments_are_named(filemanager, tmp_path, stem):
    with pytest.raises(ValueError, match="'append' is none of replace, error, keep"):
        materialize_to(PAIR, ENTRIES, stem, filemanager, overwrite="append")
    with pytest.raises(ValueError, match="no storage backend to write to"):
        materialize_to(PAIR, ENTRIES, stem, filemanager, ())
    clash = MaterializationSpec(CsvOptions(source="rows"), TextOptions(filename_suffix=".csv"))
    with pytest.raises(StorageResolutionError, match=r"two options would write .*B02\.cells\.csv"):
        materialize_to(clash, ENTRIES, stem, filemanager)
    assert list(tmp_path.iterdir()) == []


def test_a_value_that_one_writer_refuses_leaves_no_file(filemanager, backend, tmp_path, stem):
    spec = MaterializationSpec(CsvOptions(source="rows"), TiffOptions(source="note"))
    with pytest.raises(StepFunctionError, match="cells of B02 is str"):
        materialize_to(spec, ENTRIES, stem, filemanager, backend, who="cells of B02")
    assert _names(filemanager, tmp_path, backend) == []


def test_a_file_that_cannot_be_written_leaves_no_new_one(filemanager, backend, stem):
    filemanager.ensure_directory(f"{stem}.json", backend)  # a folder where a file should go
    with pytest.raises(StorageResolutionError, match=r"B02\.cells\.json: is a folder"):
        materialize_to(PAIR, ENTRIES, stem, filemanager, backend)
    assert _names(filemanager, stem.rpartition("/")[0], backend) == ["B02.cells.json"]


@pytest.mark.parametrize("backend", ["memory", "disk"])
def test_what_was_there_is_there_still_when_a_batch_fails(filemanager, backend, stem):
    save_files({f"{stem}.csv": OLD}, filemanager, backend)
    filemanager.ensure_directory(f"{stem}.json", backend)
    with pytest.raises(StorageResolutionError):
        materialize_to(PAIR, ENTRIES, stem, filemanager, backend)
    assert _read(filemanager, f"{stem}.csv", backend) == OLD
