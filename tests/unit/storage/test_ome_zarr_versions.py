"""Version 0.4 on request, files of bounded size, batches read into one piece of memory."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from pydantic import ValidationError

from openhcs_core.config import ZarrChunkStrategy, ZarrCompressor, ZarrConfig
from openhcs_core.errors import InputDataError
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import (
    ChannelMetadata,
    FieldImages,
    ImageMetadata,
    PlateLayout,
    get_backend_instance,
    list_planes,
    read_batch,
    read_plane,
    write_plate_metadata,
    write_well,
)
from openhcs_core.storage.ome_zarr.layout import ArrayLayout, Block, choose_block
from openhcs_core.testing.storage import IMAGE_DTYPES, assert_same_array, example_plane

OLD = ZarrConfig(ome_zarr_version="0.4", pyramid_levels=2)
METADATA = ImageMetadata(
    (ChannelMetadata("1", "DAPI"), ChannelMetadata("2", "GFP", "00FF7F")),
    z_indices=(1, 2, 3),
    timepoints=(1, 2),
    sites=(1, 2),
    pixel_size_um=0.65,
    z_step_um=2.0,
)
SHAPE = (40, 30)


def keys_of(well="B02", site=1):
    return [PlaneKey(well, site, c, z, t) for t in (1, 2) for c in "12" for z in (1, 2, 3)]


def plane_of(key):
    seed = key.site * 1000 + int(key.channel) * 100 + key.z_index * 10 + key.timepoint
    return np.random.default_rng(seed).poisson(300, SHAPE).astype("uint16")


def labels_of(key):
    return (plane_of(key) // 100).astype("int32")


def write_plate(store, config):
    for well in ("B02", "C10"):
        fields = [
            FieldImages(
                site,
                str(site - 1),
                {key: plane_of(key) for key in keys_of(well, site)},
                {"cells": {keys_of(well, site)[0]: labels_of(keys_of(well, site)[0])}},
            )
            for site in (1, 2)
        ]
        write_well(store, well, fields, METADATA, config)
    layout = PlateLayout("demo", ("B02", "C10"), 2, config.ome_zarr_version)
    write_plate_metadata(store, layout)


@pytest.fixture
def old(tmp_path):
    store = tmp_path / "a.ome.zarr"
    write_plate(store, OLD)
    return store


def validate_with_yaozarrs(store):
    import yaozarrs

    yaozarrs.validate_zarr_store(str(store))


# In a process of its own: ome-zarr-models finds every 0.4 plate wrong where ngio is imported.
MODELS = """
import sys
import zarr
from ome_zarr_models.v04 import HCS
for store in sys.argv[1:]:
    try:
        plate = HCS.from_zarr(zarr.open_group(store, mode="r", zarr_format=2))
        print(sum(len(list(well.attributes.well.images)) for well in plate.well_groups))
    except ValueError as error:
        print("invalid", type(error).__name__)
"""


def test_plates_of_version_0_4_are_valid(old):
    validate_with_yaozarrs(old)
    assert not list(old.rglob("zarr.json"))


CHANGES = [
    (".zattrs", lambda ome: ome["plate"].pop("columns")),
    ("B/02/.zattrs", lambda ome: ome["well"].pop("images")),
    ("B/02/1/.zattrs", lambda ome: ome["multiscales"][0]["datasets"].clear()),
    ("B/02/1/.zattrs", lambda ome: ome["multiscales"][0]["axes"].pop()),
]


def damage(store, file, change):
    content = json.loads((store / file).read_text())
    change(content)
    (store / file).write_text(json.dumps(content))


@pytest.mark.parametrize(("file", "change"), CHANGES)
def test_the_validator_rejects_broken_plates_of_version_0_4(old, file, change):
    damage(old, file, change)
    with pytest.raises(ValueError, match=r"."):
        validate_with_yaozarrs(old)


def test_a_second_validator_tells_whole_from_broken_plates_too(old, tmp_path):
    stores = [old]
    for number, (file, change) in enumerate(CHANGES):
        stores.append(tmp_path / f"{number}.ome.zarr")
        shutil.copytree(old, stores[-1])
        damage(stores[-1], file, change)
    command = [sys.executable, "-c", MODELS, *map(str, stores)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found = run.stdout.splitlines()
    assert found[0] == "4"
    assert all(line.startswith("invalid") for line in found[1:])
    assert len(found) == len(stores)


def test_ngio_reads_version_0_4(old):
    import ngio

    plate = ngio.open_ome_zarr_plate(old, mode="r")
    assert plate.wells_paths() == ["B/02", "C/10"]
    container = plate.get_image("C", "10", "1")
    assert container.channel_labels == ["DAPI", "GFP"]
    image = container.get_image()
    assert (image.pixel_size.x, image.pixel_size.z) == (0.65, 2.0)
    values = image.get_as_numpy()
    for key in keys_of("C10", 2):
        assert_same_array(values[METADATA.index_of(key)], plane_of(key))
    labels = container.get_label("cells").get_as_numpy()
    assert_same_array(labels[0, 0, 0], labels_of(keys_of("C10", 2)[0]))


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_ome_zarr_py_reads_plates(tmp_path, version):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    store = tmp_path / "a.ome.zarr"
    write_plate(store, ZarrConfig(ome_zarr_version=version, pyramid_levels=2))
    (image,) = list(Reader(parse_url(store / "B/02/1"))())[:1]
    assert [level.shape[-2:] for level in image.data] == [SHAPE, (20, 15)]
    values = np.asarray(image.data[0])
    for key in keys_of("B02", 2):
        assert_same_array(values[METADATA.index_of(key)], plane_of(key))
    assert image.metadata["channel_names"] == ["DAPI", "GFP"]


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_javascript_reads_plates(tmp_path, version):
    scripts = Path(__file__).parents[2] / "javascript"
    if shutil.which("node") is None:
        pytest.skip("needs node")
    if not (scripts / "node_modules").is_dir():
        pytest.skip("needs 'npm ci' in tests/javascript")
    store = tmp_path / "a.ome.zarr"
    write_plate(store, ZarrConfig(ome_zarr_version=version, pyramid_levels=2))
    command = ["node", str(scripts / "read_plate.mjs"), str(store)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    images = json.loads(run.stdout)
    assert [image["path"] for image in images] == ["B/02/0", "B/02/1", "C/10/0", "C/10/1"]
    for image in images:
        well, site = image["path"][0] + image["path"][2:4], int(image["path"][-1]) + 1
        keys = keys_of(well, site)
        whole, half = image["levels"]
        assert (whole["shape"], whole["dtype"]) == ([2, 2, 3, *SHAPE], "uint16")
        assert whole["sum"] == sum(int(plane_of(key).sum()) for key in keys)
        assert whole["last"] == plane_of(keys[-1]).ravel().tolist()
        assert half["shape"] == image["smallest"] == [2, 2, 3, 20, 15]
        assert image["channels"] == ["DAPI", "GFP"]
        assert image["axes"] == ["t", "c", "z micrometer", "y micrometer", "x micrometer"]
        (labels,) = image["labels"]
        assert labels["levels"][0]["sum"] == int(labels_of(keys[0]).sum())


@pytest.mark.parametrize("version", ["0.5", "0.4"])
@pytest.mark.parametrize("strategy", list(ZarrChunkStrategy))
@pytest.mark.parametrize("compressor", list(ZarrCompressor))
def test_other_libraries_read_every_layout(tmp_path, version, strategy, compressor):
    store = tmp_path / "a.ome.zarr"
    config = ZarrConfig(
        chunk_strategy=strategy, compressor=compressor, ome_zarr_version=version, pyramid_levels=1
    )
    write_plate(store, config)
    array = zarr.open_array(store / "B/02/1/0", mode="r")
    assert array.metadata.zarr_format == (3 if version == "0.5" else 2)
    for key in keys_of("B02", 2):
        assert_same_array(array[METADATA.index_of(key)], plane_of(key))
        assert_same_array(read_plane(store, key), plane_of(key))
    planes = sum(path.is_file() for path in (store / "B/02/1/0").rglob("*")) - 1
    assert planes == (1 if strategy is ZarrChunkStrategy.WELL else 12)


@pytest.mark.parametrize("dtype", [*IMAGE_DTYPES, "bool", "float16", ">u2"])
def test_version_0_4_keeps_every_dtype(tmp_path, dtype):
    store = tmp_path / "a.ome.zarr"
    plane = example_plane(dtype) if dtype != "bool" else example_plane("uint8") > 99
    key = PlaneKey("B02", 1, "1", 1, 1)
    write_well(
        store, "B02", [FieldImages(1, "0", {key: plane})], ImageMetadata.of_planes([key]), OLD
    )
    assert_same_array(zarr.open_array(store / "B/02/0/0", mode="r")[0, 0, 0], plane)
    assert_same_array(read_plane(store, key), plane)


def test_a_well_written_in_the_other_version_has_no_files_of_the_first(old):
    write_plate(old, ZarrConfig(pyramid_levels=2))
    assert not [path for path in old.rglob(".z*") if ".tmp-" not in str(path)]
    validate_with_yaozarrs(old)
    write_plate(old, OLD)
    assert not list(old.rglob("zarr.json"))
    validate_with_yaozarrs(old)


def test_adding_and_deleting_planes_keeps_how_a_well_is_stored(old):
    backend = get_backend_instance("zarr")
    key = keys_of("B02", 1)[0]
    backend.save(plane_of(key), old / key._replace(timepoint=3).filename)
    backend.delete(old / key._replace(timepoint=3).filename)
    assert not list((old / "B").rglob("zarr.json"))
    assert (old / "B/02/0/1/.zarray").is_file()
    assert list_planes(old) == [
        key for well in ("B02", "C10") for s in (1, 2) for key in sorted(keys_of(well, s))
    ]


OUTER = (2, 4, 5)


@pytest.mark.parametrize(
    ("plane_mb", "planes"),
    [
        (3.2, (2, 4, 5)),  # 128 MB a field
        (3.3, (1, 4, 5)),
        (6.5, (1, 1, 5)),
        (25.7, (1, 1, 1)),
        (300, (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_a_file_is_as_large_as_its_limit_allows(plane_mb, planes, version):
    config = ZarrConfig(ome_zarr_version=version)
    block = choose_block(OUTER, int(plane_mb * 1e6), config)
    assert block == Block(planes, is_shard=version == "0.5" and planes != (1, 1, 1))


def test_larger_fields_have_several_files_and_the_same_planes(tmp_path):
    key = keys_of()[0]
    plane = np.random.default_rng(0).integers(0, 9, (400, 500), "uint16")
    planes = {one: plane + number for number, one in enumerate(keys_of())}
    for version, files in (("0.5", "c/{}/{}/0/0/0"), ("0.4", "{}/{}/0/0/0")):
        store = tmp_path / f"{version}.ome.zarr"
        config = ZarrConfig(max_shard_mb=1, ome_zarr_version=version, pyramid_levels=2)
        write_well(store, "B02", [FieldImages(1, "0", planes)], METADATA, config)
        for level in ("0", "1"):
            found = {
                path.relative_to(store / "B/02/0" / level).as_posix()
                for path in (store / "B/02/0" / level).rglob("*")
                if path.name not in ("zarr.json", ".zarray") and path.is_file()
            }
            each = [(t, c, z) for t in (0, 1) for c in (0, 1) for z in (0, 1, 2)]
            assert found == {
                files.replace("/0/0/0", "").format(t, c) + f"/{z}/0/0" for t, c, z in each
            } or found == {files.format(t, c) for t in (0, 1) for c in (0, 1)}
        assert_same_array(read_plane(store, key), planes[key])
        array = zarr.open_array(store / "B/02/0/0", mode="r")
        for one, expected in planes.items():
            assert_same_array(array[METADATA.index_of(one)], expected)


def test_a_plane_that_blosc_cannot_take_is_refused():
    layout = ArrayLayout((1, 1, 1, 40_000, 30_000), "uint16", Block((1, 1, 1), True), ZarrConfig())
    with pytest.raises(InputDataError, match=r"a\.tif: expected an image below 2 GiB.*NONE"):
        layout.check("a.tif")
    raw = ZarrConfig(compressor=ZarrCompressor.NONE)
    ArrayLayout((1, 1, 1, 40_000, 30_000), "uint16", Block((1, 1, 1), True), raw).check("a.tif")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("max_shard_mb", 0), ("max_shard_mb", 2001), ("pyramid_levels", 0), ("ome_zarr_version", "1")],
)
def test_settings_that_cannot_be_are_refused(setting, value):
    with pytest.raises(ValidationError, match="Input should be"):
        ZarrConfig(**{setting: value})


@pytest.mark.parametrize("config", [ZarrConfig(), OLD], ids=["0.5", "0.4"])
def test_a_batch_is_read_into_one_piece_of_memory(tmp_path, config):
    store = tmp_path / "a.ome.zarr"
    write_plate(store, config)
    keys = [*keys_of("C10", 2)[::-1], *keys_of("B02", 1)]
    found = read_batch([(store, key) for key in keys])
    for number, (key, plane) in enumerate(zip(keys, found, strict=True)):
        assert_same_array(plane, plane_of(key))
        assert np.shares_memory(plane, plane.base[number])
    stack = np.zeros((len(keys), *SHAPE), "uint16")
    paths = [store / key.filename for key in keys]
    found = get_backend_instance("zarr").load_batch(paths, out=stack)
    assert all(np.shares_memory(plane, stack) for plane in found)
    assert_same_array(stack, np.stack([plane_of(key) for key in keys]))


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((2, 40, 30), "int16"),
        np.zeros((2, 30, 40), "uint16"),
        np.zeros((3, 40, 30), "uint16"),
        np.zeros((2, 40, 60), "uint16")[:, :, ::2],
    ],
)
def test_memory_of_another_form_is_refused(old, out):
    keys = keys_of()[:2]
    with pytest.raises(InputDataError, match=r"expected contiguous memory \(2, 40, 30\) uint16"):
        read_batch([(old, key) for key in keys], out=out)


def test_a_damaged_plane_of_a_batch_is_named(old):
    chunk = old / "B/02/0/0/0/0/0/0/0"
    chunk.write_bytes(chunk.read_bytes()[:-5])
    with pytest.raises(InputDataError, match=r"B/02/0/0: plane .* missing or damaged"):
        read_batch([(old, key) for key in keys_of()])
