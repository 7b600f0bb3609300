"""OME-Zarr plates of other software, and what ours tell apart from them."""

import json
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest

from openhcs_core.config import PlateConfig, ZarrPlateConfig
from openhcs_core.errors import InputDataError
from openhcs_core.microscopes import choose_handler, load_handler
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import (
    FieldImages,
    ImageMetadata,
    PlateLayout,
    open_plate_source,
    write_plate_metadata,
    write_well,
)
from openhcs_core.testing.storage import assert_same_array
from openhcs_core.testing.zarr_plates import CHANNELS, write_foreign_plate

VERSIONS = ("0.4", "0.5")


@pytest.fixture
def handler():
    return load_handler("ome_zarr")


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def plate(tmp_path, version):
    write_foreign_plate(tmp_path / "plate.zarr", version)
    return tmp_path / "plate.zarr"


def _edit(folder, change):
    """Change the OME part of a group's attributes."""
    file = folder / "zarr.json" if (folder / "zarr.json").exists() else folder / ".zattrs"
    content = json.loads(file.read_text())
    change(content["attributes"]["ome"] if file.name == "zarr.json" else content)
    file.write_text(json.dumps(content))


def test_names_scales_and_places_are_those_of_the_metadata(handler, plate, version):
    choice = choose_handler("auto", plate)
    assert choice.handler.name == "ome_zarr"
    assert choice.reason.endswith(f"OME-Zarr {version}")
    index = handler.index(plate)
    assert index.wells == ("A01", "B12")
    assert index.sites == (1, 2)
    assert [(c.id, c.name, c.dtype, c.shape) for c in index.channels] == [
        (str(n), name, "uint16", (6, 8)) for n, name in enumerate(CHANNELS, start=1)
    ]
    assert (index.pixel_size_um, index.z_step_um) == (0.325, 1.5)
    paths = {image.key: image.path for image in index.images}
    assert paths[PlaneKey("B12", 2, "1", 3, 1)] == "B/12/1/full/[0,2]"
    assert index.warnings == ()


def test_rows_that_count_from_0_begin_with_row_a(handler, plate):
    """As iohub writes positions of a microscope without a plate."""
    for row, letter in enumerate("AB"):
        (plate / letter).rename(plate / str(row))

    def number(ome):
        ome["plate"]["rows"] = [{"name": "0"}, {"name": "1"}]
        for row, well in enumerate(ome["plate"]["wells"]):
            well["path"] = f"{row}/{well['path'][2:]}"

    _edit(plate, number)
    index = handler.index(plate)
    assert index.wells == ("A01", "B12")
    assert {image.path.split("[")[0][:6] for image in index.images} == {
        "0/1/0/",
        "0/1/1/",
        "1/12/0",
        "1/12/1",
    }


def test_the_last_well_of_1536(handler, plate):
    (plate / "B").rename(plate / "AF")
    (plate / "AF/12").rename(plate / "AF/48")

    def move(ome):
        ome["plate"]["rows"][1]["name"], ome["plate"]["columns"][1]["name"] = "AF", "48"
        ome["plate"]["wells"][1]["path"] = "AF/48"

    _edit(plate, move)
    assert handler.index(plate).wells == ("A01", "AF48")


def _configured(**choice):
    settings = {"path": "p", "microscope": "ome_zarr", "ome_zarr": ZarrPlateConfig(**choice)}
    return load_handler("ome_zarr", PlateConfig(**settings))


def _as_cycles(plate):
    """Make each well's two images one field in two cycles, as multiplexing does."""
    _edit(plate, lambda ome: ome["plate"].update(acquisitions=[{"id": 0}, {"id": 3}]))
    for folder in ("A/1", "B/12"):
        for number, cycle in enumerate((0, 3)):
            _edit(
                plate / folder,
                lambda ome, n=number, c=cycle: ome["well"]["images"][n].update(acquisition=c),
            )


def test_one_of_several_acquisitions_is_taken_by_name_and_none_by_guessing(handler, plate):
    _as_cycles(plate)
    with pytest.raises(
        InputDataError, match=r"has 2 acquisitions, 0, 3; .*acquisition: 0"
    ) as caught:
        choose_handler("auto", plate).handler.index(plate)
    assert str(plate) in str(caught.value)
    index = _configured(acquisition=3).index(plate)
    assert {image.path.split("/")[2] for image in index.images} == {"1"}
    assert (len(index.images), index.sites, index.missing) == (2 * 2 * 3, (2,), ())
    with pytest.raises(InputDataError, match="has no acquisition 1, which is asked for"):
        _configured(acquisition=1).index(plate)


def test_a_field_and_what_was_made_of_it_are_not_two_fields(handler, plate):
    for folder in ("A/1", "B/12"):
        (plate / folder / "1").rename(plate / folder / "0_registered")
        _edit(plate / folder, lambda ome: ome["well"]["images"][1].update(path="0_registered"))
    with pytest.raises(InputDataError, match=r"images 0 and 0_registered, which look like one"):
        handler.index(plate)
    index = _configured(images=["0_registered"]).index(plate)
    assert {image.path.split("/")[2] for image in index.images} == {"0_registered"}
    assert (index.sites, index.missing) == ((1,), ())
    with pytest.raises(InputDataError, match="has an image that is asked for"):
        _configured(images=["no such"]).index(plate)


def test_the_choice_of_images_is_of_ome_zarr_plates_alone():
    with pytest.raises(ValueError, match="it goes with microscope: ome_zarr"):
        PlateConfig(path="p", microscope="imagexpress", ome_zarr={"acquisition": 0})


def test_the_folder_that_holds_the_store_is_the_plate_too(handler, plate):
    index = handler.index(plate.parent)
    assert index.images[0].path == "plate.zarr/A/1/0/full/[0,0]"
    pixels = handler.initialize_workspace(plate.parent).load(
        f"images/{index.images[0].key.filename}"
    )
    assert pixels.any()
    shutil.copytree(plate, plate.parent / "second.zarr")
    with pytest.raises(InputDataError, match=r"several OME-Zarr plates: plate\.zarr, second\.zarr"):
        handler.index(plate.parent)


def test_a_field_or_well_that_is_listed_and_not_there_is_missing(handler, plate):
    shutil.rmtree(plate / "A/1/1")
    missing = handler.index(plate).missing
    assert {key[:2] for key in missing} == {("A01", 2)}
    assert len(missing) == 6
    shutil.rmtree(plate / "B/12")
    assert {key[:2] for key in handler.index(plate).missing} == {("A01", 2), ("B12", 1), ("B12", 2)}


def test_a_changed_chunk_is_noticed_without_opening_it(handler, plate):
    before = handler.index(plate)
    metadata = {"zarr.json", ".zarray", ".zattrs"}
    files = (file for file in sorted((plate / "A/1/0/full").rglob("*")) if file.is_file())
    chunk = next(file for file in files if file.name not in metadata)
    chunk.write_bytes(chunk.read_bytes() + b"\0")
    after = handler.index(plate)
    changed = {
        old.path.rpartition("/")[0]
        for old, new in zip(before.images, after.images, strict=True)
        if old != new
    }
    assert changed == {"A/1/0/full"}


def test_chunks_that_others_leave_out_are_zeros_and_ours_are_lost(handler, tmp_path, plate):
    shutil.rmtree(plate / "A/1/0/full/c", ignore_errors=True)
    for chunk in (plate / "A/1/0/full").glob("[0-9]*"):
        chunk.unlink()
    name = "images/A01_s001_w1_z001_t001.tif"
    assert not handler.initialize_workspace(plate).load(name).any()

    key = PlaneKey("A01", 1, "1", 1, 1)
    metadata = ImageMetadata.of_planes([key])
    store = tmp_path / "kept.ome.zarr"
    write_plate_metadata(store, PlateLayout("kept", ("A01",), 1))
    write_well(store, "A01", [FieldImages(1, "0", {key: np.ones((6, 8), np.uint8)})], metadata)
    shutil.rmtree(store / "A/01/0/0/c")
    with pytest.raises(InputDataError, match="missing or damaged"):
        load_handler("openhcs").initialize_workspace(store).load(name)


def test_our_own_plates_are_claimed_once_and_readable_as_any(handler, tmp_path):
    keys = [PlaneKey("B02", site, "2", 1, 1) for site in (1, 3)]
    store = tmp_path / "kept.ome.zarr"
    write_plate_metadata(store, PlateLayout("kept", ("B02",), 2))
    fields = [
        FieldImages(key.site, str(n), {key: np.full((4, 4), key.site, np.uint8)})
        for n, key in enumerate(keys)
    ]
    write_well(store, "B02", fields, ImageMetadata.of_planes(keys))
    assert choose_handler("auto", store).handler.name == "openhcs"
    ours = load_handler("openhcs").index(store)
    assert [image.key for image in ours.images] == keys
    assert [image.key for image in handler.index(store).images] == [
        PlaneKey("B02", site, "1", 1, 1) for site in (1, 3)
    ]


@pytest.mark.parametrize("number", ["None", "-0.0", "01"])
def test_fields_of_our_own_plates_have_numbers(tmp_path, number):
    keys = [PlaneKey("B02", site, "1", 1, 1) for site in (1, 3)]
    store = tmp_path / "kept.ome.zarr"
    write_plate_metadata(store, PlateLayout("kept", ("B02",), 2))
    fields = [
        FieldImages(key.site, str(n), {key: np.zeros((4, 4), np.uint8)})
        for n, key in enumerate(keys)
    ]
    write_well(store, "B02", fields, ImageMetadata.of_planes(keys))
    well = store / "B/02/zarr.json"
    written = well.read_text("utf-8")
    assert '"3": "1"' in written
    well.write_text(written.replace('"3": "1"', f'"{number}": "1"'))
    with pytest.raises(
        InputDataError, match=f"a number of its own for each field, found .*{number}"
    ):
        load_handler("openhcs").index(store)


def test_a_plate_of_an_object_store_reads_the_same(tmp_path, version):
    truth = write_foreign_plate(tmp_path / "plate.zarr", version)
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "plate.zarr"), f"/{tmp_path.name}/plate.zarr", recursive=True)
    source = open_plate_source(f"memory://{tmp_path.name}/plate.zarr")
    handler = choose_handler("auto", source).handler
    assert handler.name == "ome_zarr"
    workspace = handler.initialize_workspace(source)
    for name, pixels in truth.items():
        assert_same_array(workspace.load(f"images/{name}"), pixels)


@pytest.mark.parametrize(
    ("folder", "change", "problem"),
    [
        ("", lambda ome: ome["plate"]["wells"][0].update(path="../../etc"), "not in the plate"),
        ("", lambda ome: ome["plate"]["rows"][0].update(name="AG"), "no well"),
        ("", lambda ome: ome["plate"].pop("wells"), "expected rows, columns and wells"),
        ("", lambda ome: ome["plate"].update(acquisitions=[{}, {}]), "2 acquisitions"),
        ("A/1", lambda ome: ome["well"]["images"][0].update(path="/etc"), "not in the plate"),
        ("A/1", lambda ome: ome.pop("well"), "expected images of a well"),
        ("A/1/0", lambda ome: ome.pop("multiscales"), "expected the multiscales"),
        (
            "A/1/0",
            lambda ome: ome["multiscales"][0]["axes"].reverse(),
            "expected y and x last",
        ),
        (
            "A/1/0",
            lambda ome: ome["multiscales"][0]["datasets"][0].update(path="../../../x"),
            "not in the plate",
        ),
    ],
)
def test_plates_that_cannot_be_are_refused(handler, plate, folder, change, problem):
    _edit(plate / folder, change)
    with pytest.raises(InputDataError, match=problem) as caught:
        handler.index(plate)
    assert str(plate / folder) in str(caught.value)


def test_arrays_that_are_no_images_are_refused(handler, plate):
    name = "zarr.json" if (plate / "zarr.json").exists() else ".zarray"
    path = plate / "A/1/0/full" / name
    metadata = json.loads(path.read_text())
    metadata |= {"data_type": "complex64"} if name == "zarr.json" else {"dtype": "<c8"}
    path.write_text(json.dumps(metadata))
    with pytest.raises(InputDataError, match="expected metadata of an array of images"):
        handler.index(plate)


def test_fields_of_two_sizes_in_a_channel_are_refused_by_name(handler, tmp_path, version):
    write_foreign_plate(tmp_path / "plate.zarr", version)
    name = "zarr.json" if version == "0.5" else ".zarray"
    path = tmp_path / "plate.zarr/B/12/1/full" / name
    metadata = json.loads(path.read_text())
    metadata["shape"][-1] = 7
    path.write_text(json.dumps(metadata))
    with pytest.raises(InputDataError, match=r"differ in form: A/1/0/full has 6 x 8 .*B/12/1/full"):
        handler.index(tmp_path / "plate.zarr")


def test_results_that_were_moved_away_from_their_plate_name_what_is_missing(tmp_path):
    shutil.copy(Path(__file__).parents[2] / "data/openhcs_plate/openhcs_metadata_disk.json",
                tmp_path / "openhcs_metadata.json")  # fmt: skip
    index = load_handler("openhcs").index(tmp_path)
    assert index.images == ()
    assert len(index.missing) == 8
