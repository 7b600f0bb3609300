import json
from pathlib import Path

import pytest

from openhcs_core.errors import ConfigError
from openhcs_core.microscopes import ImageFile, PlateIndex, select_wells, well_index
from openhcs_core.planes import PlaneKey


@pytest.fixture
def plate() -> PlateIndex:
    wells = ["A01", "A02", "B01", "B02", "B10", "AA01"]
    images = tuple(ImageFile(PlaneKey(well, 1, "1", 1, 1), f"{well}.tif", 10, 20) for well in wells)
    missing = (PlaneKey("C01", 1, "1", 1, 1),)
    return PlateIndex(Path("plate"), "imagexpress", "parser", images, (), missing)


@pytest.mark.parametrize(
    ("wells", "exclude", "expected"),
    [
        ("all", (), ("A01", "A02", "B01", "B02", "B10", "C01", "AA01")),
        (("B10", "A01"), (), ("A01", "B10")),
        ("A01:B02", (), ("A01", "A02", "B01", "B02")),
        ("B02:A01", (), ("A01", "A02", "B01", "B02")),
        ("A02:B10", (), ("A02", "B02", "B10")),
        ("Z01:AB48", (), ("AA01",)),
        ("all", ("C01", "AA01"), ("A01", "A02", "B01", "B02", "B10")),
        ("all", "A01:B02", ("B10", "C01", "AA01")),
    ],
)
def test_selections_come_in_plate_order(plate, wells, exclude, expected):
    assert select_wells(plate, wells, exclude) == expected


@pytest.mark.parametrize(
    ("wells", "exclude", "said"),
    [
        (("A01", "H12", "G03"), (), r"wells names G03, H12,.*A01, A02"),
        ("all", ("H12",), r"exclude_wells names H12,.*A01, A02"),
        ("G01:H12", (), "G01:H12"),
        ("all", "all", "no well is left"),
        ((), (), "no well is left"),
        (("nonsense",), (), "nonsense"),
    ],
)
def test_unknown_wells_are_listed_with_those_that_exist(plate, wells, exclude, said):
    with pytest.raises(ConfigError, match=said):
        select_wells(plate, wells, exclude)


def test_a_well_of_the_real_plate(demo_plate, read_index):
    index = read_index(demo_plate)
    well = well_index(index, "B03")
    assert (well["schema_version"], well["well"]) == (1, "B03")
    assert len(well["images"]) == 8
    name, path, size_bytes, mtime_ns = well["images"][1]
    assert name == "B03_s001_w1_z002_t001.tif"
    assert path == "TimePoint_1/ZStep_2/9987_B03_s1_w1.TIF"
    status = (demo_plate / path).stat()
    assert (size_bytes, mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert well["channels"]["2"] == {"dtype": "uint16", "shape": [256, 256]}
    assert json.loads(json.dumps(well))["images"][1][0] == name


def test_an_immutable_well_counts_names_only(demo_plate, read_index):
    images = well_index(read_index(demo_plate), "B02", raw="immutable")["images"]
    assert {tuple(record[2:]) for record in images} == {(None, None)}


def test_each_image_is_in_the_index_of_its_well_and_no_other(plate):
    found = [record[1] for well in plate.wells for record in well_index(plate, well)["images"]]
    assert found == [image.path for image in plate.images]
    assert well_index(plate, "C01")["images"] == []
