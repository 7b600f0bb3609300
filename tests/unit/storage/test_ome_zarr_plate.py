"""Plates are OME-Zarr 0.5 to every other reader, and each plane is where it says it is."""

import itertools
import json

import numpy as np
import pytest
import zarr
from pydantic import ValidationError

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
    read_image_metadata,
    read_plane,
    read_planes,
    write_plate_metadata,
    write_well,
)
from openhcs_core.testing.storage import IMAGE_DTYPES, assert_same_array, example_plane

WELLS = ("B02", "C10")
SITES = (1, 3)
METADATA = ImageMetadata(
    (ChannelMetadata("1", "DAPI"), ChannelMetadata("2", "GFP", "00FF7F")),
    z_indices=(1, 2),
    timepoints=(1,),
    sites=SITES,
    pixel_size_um=0.65,
    z_step_um=2.0,
    time_step_s=30.0,
)
RAGGED = (("1", 1), ("1", 2), ("2", 1))  # channel 2 has no z 2


def planes_of(well, site, dtype="uint16", shape=(32, 48)):
    return {
        PlaneKey(well, site, channel, z, 1): example_plane(dtype, shape, seed=hash_of(site, z))
        for channel, z in RAGGED
    }


def hash_of(*numbers):
    return int("".join(map(str, numbers)))


def labels_of(well, site):
    key = PlaneKey(well, site, "1", 1, 1)
    labels = np.zeros((32, 48), "int32")
    labels[4:9, 5:20], labels[20:25, 7:9] = 1, 70_000
    return {"nuclei": {key: labels}}


def fields_of(well):
    for path, site in enumerate(SITES):
        yield FieldImages(site, str(path), planes_of(well, site), labels_of(well, site))


@pytest.fixture
def store(tmp_path):
    """A plate of 2 wells, 2 fields each, with ragged channels, with labels."""
    store = tmp_path / "clean.ome.zarr"
    for well in WELLS:
        write_well(store, well, fields_of(well), METADATA)
    write_plate_metadata(store, PlateLayout("demo", WELLS[::-1], field_count=2))
    return store


def validate_with_yaozarrs(store):
    import yaozarrs

    yaozarrs.validate_zarr_store(str(store))


def validate_with_ome_zarr_models(store):
    from ome_zarr_models.v05 import HCS

    with_plate = HCS.from_zarr(zarr.open_group(store, mode="r"))
    for well in with_plate.well_groups:
        assert len(list(well.ome_attributes.well.images)) == 2


VALIDATORS = [validate_with_yaozarrs, validate_with_ome_zarr_models]


@pytest.mark.parametrize("validate", VALIDATORS)
def test_plates_are_valid(store, validate):
    validate(store)


@pytest.mark.parametrize("validate", VALIDATORS)
@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("zarr.json", lambda ome: ome["plate"].pop("columns")),
        ("B/02/zarr.json", lambda ome: ome["well"].pop("images")),
        ("B/02/1/zarr.json", lambda ome: ome["multiscales"][0]["datasets"].clear()),
        ("B/02/1/zarr.json", lambda ome: ome["multiscales"][0]["axes"].pop()),
    ],
)
def test_the_validators_reject_broken_plates(store, validate, file, change):
    content = json.loads((store / file).read_text())
    change(content["attributes"]["ome"])
    (store / file).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"."):
        validate(store)


@pytest.mark.parametrize("validate", VALIDATORS)
def test_plates_of_unknown_scale_are_valid_and_claim_no_unit(tmp_path, validate):
    store = tmp_path / "a.ome.zarr"
    metadata = ImageMetadata.of_planes([*planes_of("B02", 1), *planes_of("B02", 3)])
    write_well(store, "B02", fields_of("B02"), metadata)
    write_plate_metadata(store, PlateLayout("demo", ("B02",), 2))
    validate(store)
    ome = json.loads((store / "B/02/0/zarr.json").read_text())["attributes"]["ome"]
    assert not [axis for axis in ome["multiscales"][0]["axes"] if "unit" in axis]
    assert [channel["label"] for channel in ome["omero"]["channels"]] == ["1", "2"]


def test_ngio_reads_values_scales_channels_and_labels(store):
    import ngio

    plate = ngio.open_ome_zarr_plate(store)
    assert plate.wells_paths() == ["B/02", "C/10"]
    for well, (path, site) in itertools.product(WELLS, enumerate(SITES)):
        container = plate.get_image(well[0], well[1:], str(path))
        assert container.channel_labels == ["DAPI", "GFP"]
        image = container.get_image()
        size = image.pixel_size
        assert (size.x, size.y, size.z, size.t) == (0.65, 0.65, 2.0, 30.0)
        assert (size.space_unit, size.time_unit) == ("micrometer", "second")
        values = image.get_as_numpy()
        for key, plane in planes_of(well, site).items():
            t, c, z = METADATA.index_of(key)
            assert_same_array(values[t, c, z], plane)
        assert not values[0, 1, 1].any()  # the hole
        labels = container.get_label("nuclei").get_as_numpy()
        assert_same_array(labels[0, 0, 0], next(iter(labels_of(well, site)["nuclei"].values())))


@pytest.mark.parametrize("strategy", list(ZarrChunkStrategy))
@pytest.mark.parametrize("compressor", list(ZarrCompressor))
def test_zarr_python_reads_every_codec(tmp_path, strategy, compressor):
    store = tmp_path / "a.ome.zarr"
    config = ZarrConfig(chunk_strategy=strategy, compressor=compressor, compression_level=3)
    write_well(store, "B02", fields_of("B02"), METADATA, config)
    array = zarr.open_array(store / "B/02/1/0", mode="r", zarr_format=3)
    assert array.shape == (1, 2, 2, 32, 48)
    assert array.metadata.dimension_names == ("t", "c", "z", "y", "x")
    assert array.chunks == (1, 1, 1, 32, 48)
    assert array.shards == (array.shape if strategy is ZarrChunkStrategy.WELL else None)
    for key, plane in planes_of("B02", 3).items():
        assert_same_array(array[METADATA.index_of(key)], plane)
        assert_same_array(read_plane(store, key), plane)
    files = [path for path in (store / "B/02/1/0/c").rglob("*") if path.is_file()]
    assert len(files) == (1 if strategy is ZarrChunkStrategy.WELL else len(RAGGED))


@pytest.mark.parametrize("dtype", [*IMAGE_DTYPES, "bool", "float16", ">u2"])
def test_zarr_python_reads_every_dtype(tmp_path, dtype):
    store = tmp_path / "a.ome.zarr"
    plane = example_plane(dtype) if dtype != "bool" else example_plane("uint8") > 99
    key = PlaneKey("B02", 1, "1", 1, 1)
    metadata = ImageMetadata.of_planes([key])
    write_well(store, "B02", [FieldImages(1, "0", {key: plane})], metadata)
    array = zarr.open_array(store / "B/02/0/0", mode="r", zarr_format=3)
    assert_same_array(array[0, 0, 0], plane)
    assert_same_array(read_plane(store, key), plane)


def test_arrays_that_zarr_python_recoded_are_read_too(store):
    key = PlaneKey("B02", 1, "1", 2, 1)
    path = store / "B/02/0/0"
    values = zarr.open_array(path, mode="r", zarr_format=3)[...]
    zarr.create_array(
        path,
        data=values,
        chunks=(1, 1, 1, 16, 48),
        compressors=zarr.codecs.GzipCodec(),
        overwrite=True,
    )
    assert_same_array(read_plane(store, key), planes_of("B02", 1)[key])


def test_a_ragged_field_says_which_planes_exist(store):
    attributes = json.loads((store / "B/02/1/zarr.json").read_text())["attributes"]
    assert attributes["openhcs"]["planes"] == {
        "B02_s003_w1_z001_t001.tif": [0, 0, 0],
        "B02_s003_w1_z002_t001.tif": [0, 0, 1],
        "B02_s003_w2_z001_t001.tif": [0, 1, 0],
    }
    with pytest.raises(InputDataError, match=r"B02_s003_w2_z002_t001\.tif: there is no such plane"):
        read_plane(store, PlaneKey("B02", 3, "2", 2, 1))


def test_a_well_without_the_first_site_has_no_field_0(tmp_path):
    store = tmp_path / "a.ome.zarr"
    field = FieldImages(3, METADATA.field_path(3), planes_of("B02", 3))
    write_well(store, "B02", [field], METADATA)
    assert sorted(path.name for path in (store / "B/02").iterdir()) == ["1", "zarr.json"]
    well = json.loads((store / "B/02/zarr.json").read_text())["attributes"]["ome"]["well"]
    assert well == {"images": [{"path": "1"}]}
    assert {key.site for key in list_planes(store)} == {3}
    with pytest.raises(InputDataError, match="well B02 has no site 1, only 3"):
        read_plane(store, PlaneKey("B02", 1, "1", 1, 1))


def test_a_field_without_the_first_z_has_a_hole_there(tmp_path):
    store = tmp_path / "a.ome.zarr"
    key = PlaneKey("B02", 1, "2", 2, 1)
    plane = example_plane("uint16")
    write_well(store, "B02", [FieldImages(1, "0", {key: plane})], METADATA)
    array = zarr.open_array(store / "B/02/0/0", mode="r", zarr_format=3)
    assert array.shape[:3] == (1, 2, 2)
    assert_same_array(array[0, 1, 1], plane)


def test_planes_come_back_in_the_order_asked_for(store):
    keys = [
        PlaneKey("C10", 3, "1", 2, 1), PlaneKey("B02", 1, "2", 1, 1), PlaneKey("C10", 3, "1", 1, 1),
    ]  # fmt: skip
    for key, found in zip(keys, read_planes(store, keys), strict=True):
        assert_same_array(found, planes_of(key.well, key.site)[key])
    backend = get_backend_instance("zarr")
    found = backend.load_batch([f"{store}/{key.filename}" for key in keys])
    assert_same_array(found[0], planes_of("C10", 3)[keys[0]])
    label = backend.load(store / keys[1]._replace(channel="1").filename, label="nuclei")
    assert_same_array(label, next(iter(labels_of("B02", 1)["nuclei"].values())))


def test_what_was_written_about_a_well_is_read_back(store):
    assert read_image_metadata(store, "B02") == METADATA
    assert list_planes(store) == [key for w in WELLS for s in SITES for key in planes_of(w, s)]


@pytest.mark.parametrize(
    ("plane", "message"),
    [
        (np.zeros((32, 47), "uint16"), r"expected 32x48 uint16 .* found 32x47 uint16"),
        (np.zeros((32, 48), "float32"), r"expected 32x48 uint16 .* found 32x48 float32"),
        (np.zeros((1, 32, 48), "uint16"), r"expected a numpy array \[Y, X\], found 1x32x48"),
        (np.zeros((32, 0), "uint16"), r"expected a numpy array \[Y, X\], found 32x0"),
        (np.zeros((32, 48), "complex64"), "expected whole or floating numbers, found complex64"),
        ("text", r"expected a numpy array \[Y, X\], found str"),
    ],
)
def test_planes_of_a_field_are_alike(tmp_path, plane, message):
    planes = planes_of("B02", 1)
    planes[PlaneKey("B02", 1, "2", 1, 1)] = plane
    with pytest.raises(InputDataError, match=rf"B02_s001_w2_z001_t001\.tif: {message}"):
        write_well(tmp_path / "a.ome.zarr", "B02", [FieldImages(1, "0", planes)], METADATA)


KEY = PlaneKey("B02", 1, "1", 1, 1)
PLANE = np.zeros((32, 48), "uint16")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (FieldImages(1, "../0", {KEY: PLANE}), "letters and digits only"),
        (FieldImages(1, "0", {}), "'image' has no planes"),
        (FieldImages(2, "0", {KEY: PLANE}), "expected planes of B02, site 2"),
        (FieldImages(1, "0", {KEY._replace(well="B03"): PLANE}), "expected planes of B02, site 1"),
        (
            FieldImages(1, "0", {KEY._replace(z_index=9): PLANE}),
            "not on the plate's axes; .*z 1, 2",
        ),
        (FieldImages(1, "0", {KEY: PLANE}, {"../x": {KEY: PLANE}}), r"label name '\.\./x'"),
        (
            FieldImages(
                1, "0", {KEY: PLANE}, {"x": {KEY: PLANE, KEY._replace(channel="2"): PLANE}}
            ),
            "planes of channels 1, 2",
        ),
    ],
)
def test_what_does_not_belong_is_refused(tmp_path, images, message):
    with pytest.raises(StorageResolutionError, match=message):
        write_well(tmp_path / "a.ome.zarr", "B02", [images], METADATA)
    assert not (tmp_path / "a.ome.zarr/B/02/zarr.json").exists()


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (np.zeros((32, 48), "float32"), "expected whole numbers, found float32"),
        (np.zeros((16, 48), "int32"), r"expected the shape of its image \(32, 48\)"),
    ],
)
def test_labels_are_numbers_of_objects_of_their_image(tmp_path, label, message):
    images = FieldImages(1, "0", {KEY: PLANE}, {"nuclei": {KEY: label}})
    with pytest.raises(InputDataError, match=rf"label image 'nuclei' {message}"):
        write_well(tmp_path / "a.ome.zarr", "B02", [images], METADATA)


def test_a_level_the_codec_lacks_is_refused():
    with pytest.raises(ValidationError, match="less than or equal to 9"):
        ZarrConfig(compression_level=15)


def test_display_ranges_span_the_finite_values(tmp_path):
    store = tmp_path / "a.ome.zarr"
    planes = {
        KEY: np.array([[np.nan, 2.0], [-np.inf, 5.5]], "float32"),
        KEY._replace(channel="2"): np.full((2, 2), 3, "float32"),
    }
    write_well(store, "B02", [FieldImages(1, "0", planes)], METADATA)
    ome = json.loads((store / "B/02/0/zarr.json").read_text())["attributes"]["ome"]
    windows = [channel["window"] for channel in ome["omero"]["channels"]]
    assert windows[0] == {"min": 2.0, "max": 5.5, "start": 2.0, "end": 5.5}
    assert windows[1] == {"min": 3.0, "max": 4.0, "start": 3.0, "end": 4.0}


def test_damage_to_a_shard_is_named(store):
    shard = store / "B/02/0/0/c/0/0/0/0/0"
    content = shard.read_bytes()
    for damaged in (content[:-30], content[:-20] + b"x" + content[-19:], b""):
        shard.write_bytes(damaged)
        with pytest.raises(InputDataError, match=r"B/02/0/0.* (damaged|cannot be read)"):
            read_plane(store, KEY)
    shard.write_bytes(bytes(40) + content[40:])
    with pytest.raises(InputDataError, match="missing or damaged"):
        read_plane(store, KEY)


def test_a_plate_of_other_software_is_refused_with_a_remedy(store):
    file = store / "B/02/zarr.json"
    content = json.loads(file.read_text())
    del content["attributes"]["openhcs"]
    file.write_text(json.dumps(content))
    with pytest.raises(
        InputDataError, match=r"B/02/zarr\.json: expected attribute openhcs\.fields"
    ):
        read_plane(store, KEY)


@pytest.mark.parametrize("path", ["../03/0", "/etc", ".."])
def test_metadata_cannot_lead_out_of_the_well(store, path):
    file = store / "B/02/zarr.json"
    content = json.loads(file.read_text())
    content["attributes"]["openhcs"]["fields"] = {"1": path}
    file.write_text(json.dumps(content))
    with pytest.raises(InputDataError, match=r"expected attribute openhcs\.fields"):
        read_plane(store, KEY)
    with pytest.raises(InputDataError, match=r"no label image '\.\./\.\./1'"):
        read_plane(store, KEY._replace(well="C10"), label="../../1")


def test_a_well_that_is_not_there_is_named(store):
    with pytest.raises(InputDataError, match=r"clean\.ome\.zarr: well D03 is not there"):
        read_plane(store, KEY._replace(well="D03"))


def test_a_plate_needs_wells():
    with pytest.raises(StorageResolutionError, match="at least one well"):
        PlateLayout("demo", (), 1)
