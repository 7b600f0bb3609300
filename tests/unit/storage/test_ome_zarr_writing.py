"""Many jobs write one plate; killing any of them leaves nothing half done under a final name."""

import multiprocessing
import shutil
import subprocess
import sys
import tracemalloc
import weakref
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorstore
import zarr

from openhcs_core.config import ZarrChunkStrategy, ZarrCompressor, ZarrConfig
from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import (
    ChannelMetadata,
    FieldImages,
    ImageMetadata,
    PlateLayout,
    get_backend_instance,
    list_planes,
    read_plane,
    write_plate_metadata,
    write_well,
)
from openhcs_core.storage.ome_zarr.arrays import write_levels
from openhcs_core.storage.ome_zarr.pyramid import MEAN
from openhcs_core.storage.ome_zarr.tensorstore_ import WriteQueue
from openhcs_core.testing.storage import assert_same_array

METADATA = ImageMetadata(
    (ChannelMetadata("1", "DAPI"), ChannelMetadata("2", "GFP")), (1, 2), (1, 2), (1, 2)
)
WELLS = tuple(f"{row}{column:02d}" for row in "ABCD" for column in range(1, 7))


def keys_of(well, site):
    return [PlaneKey(well, site, channel, z, t) for t in (1, 2) for channel in "12" for z in (1, 2)]


def value_of(key):
    return WELLS.index(key.well) * 1000 + key.site * 100 + int(key.channel) * 10 + key.z_index


def fields_of(well, planes=lambda key: np.full((20, 30), value_of(key), "uint16"), order=1):
    return [
        FieldImages(
            site,
            str(site - 1),
            {key: planes(key) for key in keys_of(well, site)[::order]},
            {"cells": {keys_of(well, site)[0]: np.eye(20, 30, dtype="int32")}},
        )
        for site in (1, 2)[::order]
    ]


@pytest.mark.parametrize("version", ["0.5", "0.4"])
@pytest.mark.parametrize("strategy", ZarrChunkStrategy)
def test_files_are_the_same_bytes_however_threads_go(tmp_path, strategy, version):
    images = np.random.default_rng(0).poisson(300, (6, 700, 700)).astype("uint16")
    config = ZarrConfig(chunk_strategy=strategy, ome_zarr_version=version)
    trees = []
    for number in range(5):
        folder = tmp_path / str(number)
        planes = [("plane", (0, at // 3, at % 3), image) for at, image in enumerate(images)]
        with WriteQueue(1_000_000) as queue:
            write_levels(folder, planes, (1, 2, 3), config, MEAN, queue)
        trees.append(tree(folder))
    assert all(found == trees[0] for found in trees)


GAPS = {"none": set(), "amid": {(0, 1, 1), (1, 0, 0)}, "ends": {(0, 0, 0), (1, 1, 2)}}


@pytest.mark.parametrize("gaps", GAPS)
@pytest.mark.parametrize("dtype", ["uint16", ">u2", "bool", "float32"])
@pytest.mark.parametrize("compressor", ZarrCompressor)
def test_a_shard_written_plane_by_plane_is_the_one_tensorstore_writes_whole(
    tmp_path, compressor, dtype, gaps
):
    image = np.random.default_rng(0).integers(0, 2, (2, 2, 3, 33, 70)).astype(dtype)
    for place in GAPS[gaps]:
        image[place] = 0
    places = [place for place in np.ndindex(2, 2, 3) if place not in GAPS[gaps]]
    config = ZarrConfig(compressor=compressor, pyramid_levels=1)
    with WriteQueue(1000) as queue:
        planes = [("plane", place, image[place]) for place in places]
        write_levels(tmp_path / "ours", planes, (2, 2, 3), config, MEAN, queue)
    (tmp_path / "whole/0").mkdir(parents=True)
    shutil.copy(tmp_path / "ours/0/zarr.json", tmp_path / "whole/0")
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": f"{tmp_path}/whole/0/"},
        "store_data_equal_to_fill_value": True,
    }
    tensorstore.open(spec, write=True).result().write(image.astype(dtype)).result()
    assert tree(tmp_path / "ours") == tree(tmp_path / "whole")
    read = zarr.open_array(tmp_path / "ours/0", mode="r")[:]
    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize("strategy", ZarrChunkStrategy)
def test_memory_does_not_grow_with_the_planes_of_a_field(tmp_path, strategy):
    plane_bytes, peaks = 256 * 256 * 2, []
    for count in (4, 40):
        planes = (
            ("plane", (0, 0, z), partial(np.full, (256, 256), z, "uint16")) for z in range(count)
        )
        tracemalloc.start()
        with WriteQueue(plane_bytes) as queue:
            config = ZarrConfig(chunk_strategy=strategy)
            write_levels(tmp_path / str(count), planes, (1, 1, count), config, MEAN, queue)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 2 * plane_bytes


def test_a_shard_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    planes = [("plane", (0, 0, z), np.zeros((8, 8), "uint16")) for z in range(3)]
    (tmp_path / "0").mkdir()
    (tmp_path / "0/c").write_text("in the way")
    queue = WriteQueue(10**6)
    with pytest.raises(NotADirectoryError), queue:
        write_levels(tmp_path, planes, (1, 1, 3), ZarrConfig(), MEAN, queue)


def write_one(store, well):
    write_well(Path(store), well, fields_of(well), METADATA)


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_wells_written_at_once_are_all_there(tmp_path):
    store = tmp_path / "a.ome.zarr"
    layout = PlateLayout("demo", WELLS, 2)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        jobs = [pool.submit(write_one, str(store), well) for well in WELLS[:12]]
        jobs += [pool.submit(write_plate_metadata, store, layout) for _ in range(4)]
        jobs += [pool.submit(write_one, str(store), well) for well in WELLS[12:]]
        for job in jobs:
            job.result()
    plate = zarr.open_group(store, mode="r", zarr_format=3)
    wells = [well["path"] for well in plate.attrs["ome"]["plate"]["wells"]]
    assert wells == [f"{well[0]}/{well[1:]}" for well in WELLS]
    for well in WELLS:
        group = plate[f"{well[0]}/{well[1:]}"]
        assert [image["path"] for image in group.attrs["ome"]["well"]["images"]] == ["0", "1"]
        assert group["1/0"][1, 1, 0, 5, 5] == value_of(PlaneKey(well, 2, "2", 1, 2))
    assert len(list_planes(store)) == 24 * 16


def test_a_plate_metadata_file_is_written_after_its_rows(tmp_path):
    store = tmp_path / "a.ome.zarr"
    write_plate_metadata(store, PlateLayout("demo", WELLS, 2))
    root = (store / "zarr.json").stat().st_mtime_ns
    assert all((store / row / "zarr.json").stat().st_mtime_ns <= root for row in "ABCD")


# In a process of its own, because zarr-python, imported here, switches blosc's threads off.
TWICE = """
import sys
from pathlib import Path
import numpy as np
from openhcs_core.config import ZarrConfig
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import FieldImages, ImageMetadata, write_well

noise = np.random.default_rng(0)
planes = {
    PlaneKey("A01", 1, channel, z, 1): noise.poisson(50, (1000, 1000)).astype("uint16")
    for channel in "12" for z in (1, 2)
}
labels = {name: {key: planes[key] // 60} for name, key in zip("ba", planes)}
metadata, config = ImageMetadata.of_planes(planes), ZarrConfig(chunk_strategy=sys.argv[2])
backwards = dict(list(planes.items())[::-1])
for name, given in (("a", planes), ("b", backwards)):
    drawn = labels if name == "a" else dict(list(labels.items())[::-1])
    field = FieldImages(1, "0", given, drawn)
    write_well(Path(sys.argv[1]) / name, "A01", [field], metadata, config)
"""


@pytest.mark.parametrize("strategy", list(ZarrChunkStrategy))
def test_equal_input_gives_equal_bytes_in_any_order(tmp_path, strategy):
    subprocess.run([sys.executable, "-c", TWICE, str(tmp_path), strategy], check=True)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert len(tree(tmp_path / "a")) == (23 if strategy is ZarrChunkStrategy.WELL else 32)


def test_planes_are_loaded_once_in_order_and_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("openhcs_core.storage.ome_zarr.writer._PENDING_BYTES", 20 * 30 * 2)
    loaded, alive, most = [], set(), 0

    def load(key):
        nonlocal most
        loaded.append(key)
        array = np.full((20, 30), value_of(key), "uint16")
        alive.add(key)
        weakref.finalize(array, alive.discard, key)
        most = max(most, len(alive))
        return array

    keys = keys_of("A01", 1)
    planes = {key: partial(load, key) for key in keys[::-1]}
    write_well(tmp_path / "a.ome.zarr", "A01", [FieldImages(1, "0", planes)], METADATA)
    assert loaded == keys
    assert most <= 4  # one on its way, those being encoded and made, and the next, of eight


def test_an_error_leaves_the_well_as_it_was(tmp_path):
    store = tmp_path / "a.ome.zarr"
    write_one(store, "A01")
    before = tree(store)

    def broken():
        raise InputDataError("the image is gone")

    fields = fields_of("A01")
    last = keys_of("A01", 2)[-1]
    fields[1] = FieldImages(2, "1", {**fields[1].planes, last: broken})
    with pytest.raises(InputDataError, match="the image is gone"):
        write_well(store, "A01", fields, METADATA)
    assert tree(store) == before


def test_a_writer_that_is_not_confirmed_changes_nothing(tmp_path):
    store = tmp_path / "a.ome.zarr"
    write_one(store, "A01")
    before = tree(store)

    def refuse():
        assert list((store / "A/01").glob(".tmp-*/0/zarr.json"))
        raise InputDataError("the plan has changed")

    with pytest.raises(InputDataError, match="the plan has changed"):
        write_well(store, "A01", fields_of("A01")[:1], METADATA, confirm=refuse)
    assert tree(store) == before


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import FieldImages, ImageMetadata, write_well

def die():
    os._exit(9)

store = Path(sys.argv[1])
(store / "A/01").mkdir(parents=True)
one, two = PlaneKey("A01", 1, "1", 1, 1), PlaneKey("A01", 2, "1", 1, 1)
fields = [FieldImages(1, "0", {one: np.zeros((4, 4))}), FieldImages(2, "1", {two: die})]
write_well(store, "A01", fields, ImageMetadata.of_planes([one, two]))
"""


def test_a_killed_writer_leaves_no_well_and_the_next_cleans_up(tmp_path):
    store = tmp_path / "a.ome.zarr"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(store)], check=False)
    assert killed.returncode == 9
    assert not (store / "A/01/zarr.json").exists()
    assert all(path.name.startswith(".tmp-") for path in (store / "A/01").iterdir())
    assert list_planes(store) == []
    write_one(store, "A01")
    assert sorted(path.name for path in (store / "A/01").iterdir()) == ["0", "1", "zarr.json"]


def test_killed_between_renames_there_is_no_well(tmp_path):
    store = tmp_path / "a.ome.zarr"
    write_one(store, "A01")
    (store / "A/01/zarr.json").unlink()  # what comes first once all fields are built
    assert list_planes(store) == []
    with pytest.raises(InputDataError, match="well A01 is not there"):
        read_plane(store, keys_of("A01", 1)[0])


def test_writing_again_removes_fields_and_labels_that_are_gone(tmp_path):
    store = tmp_path / "a.ome.zarr"
    write_one(store, "A01")
    keys = keys_of("A01", 1)[:1]
    write_well(store, "A01", [FieldImages(1, "0", {keys[0]: np.ones((4, 5))})], METADATA)
    assert sorted(path.name for path in (store / "A/01").iterdir()) == ["0", "zarr.json"]
    assert not (store / "A/01/0/labels").exists()
    assert list_planes(store) == keys


def test_a_well_without_images_is_a_well(tmp_path):
    store = tmp_path / "a.ome.zarr"
    write_well(store, "A01", [], METADATA)
    assert zarr.open_group(store / "A/01", mode="r").attrs["ome"]["well"] == {"images": []}
    assert list_planes(store) == []


def test_only_the_wells_own_folder_is_touched(tmp_path):
    store = tmp_path / "a.ome.zarr"
    write_one(store, "A02")
    before = tree(store)
    write_one(store, "A01")
    shutil.rmtree(store / "A/01")
    assert tree(store) == before
    assert sorted(path.name for path in store.iterdir()) == ["A"]


def test_one_site_is_given_once(tmp_path):
    fields = [fields_of("A01")[0], fields_of("A01")[0]]
    with pytest.raises(StorageResolutionError, match="site 1 or field '0' is given twice"):
        write_well(tmp_path / "a.ome.zarr", "A01", fields, METADATA)


def batch_of(well, sites=(1, 2)):
    keys = [key for site in sites for key in keys_of(well, site)]
    return [np.full((20, 30), value_of(key), "uint16") for key in keys], keys


def test_a_batch_named_as_a_well_is_the_whole_well(tmp_path):
    store, zarr_ = tmp_path / "a.ome.zarr", get_backend_instance("zarr")
    config = ZarrConfig(chunk_strategy=ZarrChunkStrategy.FILE)
    for sites in ((1, 2), (2,)):
        images, keys = batch_of("A01", sites)
        paths = [store / key.filename for key in keys]
        zarr_.save_batch(
            images, paths, chunk_name="A01", zarr_config=config, image_metadata=METADATA
        )
    assert zarr_.list_files(store) == [str(store / key.filename) for key in sorted(keys)]
    assert sorted(path.name for path in (store / "A/01").iterdir()) == ["1", "zarr.json"]
    with pytest.raises(StorageResolutionError, match="'A02': expected planes of this well only"):
        zarr_.save_batch(images, paths, chunk_name="A02")


def test_adding_a_plane_keeps_planes_labels_and_names(tmp_path):
    store, zarr_ = tmp_path / "a.ome.zarr", get_backend_instance("zarr")
    write_one(store, "A01")
    new = PlaneKey("A01", 7, "3", 1, 1)
    zarr_.save(np.full((6, 8), 3.5, "float32"), store / new.filename)
    assert_same_array(zarr_.load(store / new.filename), np.full((6, 8), 3.5, "float32"))
    for key in keys_of("A01", 2):
        assert (read_plane(store, key) == value_of(key)).all()
    assert_same_array(
        read_plane(store, keys_of("A01", 1)[0], "cells"), np.eye(20, 30, dtype="int32")
    )
    channels = zarr.open_group(store / "A/01/0", mode="r").attrs["ome"]["omero"]["channels"]
    assert [channel["label"] for channel in channels] == ["DAPI", "GFP", "3"]
    assert [path.name for path in store.iterdir()] == ["A"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("plain/B02_s001_w1_z001_t001.tif", r"expects <name>\.ome\.zarr/<plane>"),
        ("a.ome.zarr/sub/B02_s001_w1_z001_t001.tif", "not the name of an image plane"),
        ("a.ome.zarr/image.tif", "not the name of an image plane"),
    ],
)
def test_paths_that_name_no_plane_are_refused(tmp_path, path, message):
    with pytest.raises((StorageResolutionError, InputDataError), match=message):
        get_backend_instance("zarr").save(np.zeros((2, 2)), tmp_path / path)


def test_unknown_options_are_refused(tmp_path):
    with pytest.raises(StorageResolutionError, match="no option chunks"):
        get_backend_instance("zarr").save(
            np.zeros((2, 2)), tmp_path / "a.ome.zarr/A01_s001_w1_z001_t001.tif", chunks=1
        )
