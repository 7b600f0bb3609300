"""Plates told by a pattern of file names: real ones of three sources, and their traps."""

from pathlib import Path

import pytest

from openhcs_core.config import GenericConfig, PlateConfig, compile_pattern
from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.microscopes import choose_handler, load_handler

DATA = Path(__file__).parents[2] / "data/generic"
SBS = "Channel{channel}-{_}-{row}-{column}.tif"
NF1 = r"(?P<well>[A-Z]\d{1,2})_01_[1-3]_(?P<site>[1-4])_(?P<channel>DAPI|GFP|RFP)_001\.tif"
FLY = "01_POS{site}_{channel}.TIF"


def _index(plate, pattern, **settings):
    config = GenericConfig(pattern=pattern, **settings)
    plate_config = PlateConfig(path=str(plate), microscope="generic", generic=config)
    return choose_handler("generic", plate, plate_config).handler.index(plate)


def test_rows_and_columns_in_parts_of_the_name():
    index = _index(
        DATA / "sbs_translocation", SBS, channels={"1": "GFP", "2": "DNA"}, pixel_size_um=0.65
    )
    numbers = {"A01": "01", "A02": "02", "B01": "13", "B12": "24"}
    assert {image.key.filename: image.path for image in index.images} == {
        f"{w}_s001_w{c}_z001_t001.tif": f"Channel{c}-{number}-{w[0]}-{w[1:]}.tif"
        for w, number in numbers.items()
        for c in (1, 2)
    }
    assert [(c.id, c.name, c.dtype, c.shape) for c in index.channels] == [
        ("1", "GFP", "uint8", (48, 64)),
        ("2", "DNA", "uint8", (48, 64)),
    ]
    assert index.pixel_size_um == 0.65
    assert index.missing == ()


def test_channels_by_name_and_columns_of_one_digit_with_a_regular_expression():
    index = _index(DATA / "nf1_cellpainting", NF1)
    assert index.wells == ("B07", "D06", "F07")
    assert [(c.id, c.name, c.dtype) for c in index.channels] == [
        ("1", "DAPI", "uint16"),
        ("2", "GFP", "uint16"),
        ("3", "RFP", "uint16"),
    ]
    paths = {image.key[:3]: image.path for image in index.images}
    assert paths["B07", 3, "2"] == "B7_01_2_3_GFP_001.tif"
    assert paths["D06", 2, "3"] == "D6_01_3_2_RFP_001.tif"
    # the wells have no site in common: what others have is missing, not moved
    assert len(index.missing) == 9
    assert {key.site for key in index.missing if key.well == "B07"} == {2}


def test_names_without_a_well_have_that_of_the_config():
    index = _index(DATA / "examplefly", FLY, well="A01", channels={"D": "DNA", "R": "", "F": "F"})
    assert index.wells == ("A01",)
    assert index.sites == (2, 76)
    assert [(c.id, c.name) for c in index.channels] == [("1", "DNA"), ("2", "R"), ("3", "F")]
    assert {image.path for image in index.images if image.key.channel == "2"} == {
        "01_POS002_R.TIF",
        "01_POS076_R.TIF",
    }


@pytest.mark.parametrize(
    ("name", "pattern", "key"),
    [
        ("b7.tif", "{well}.tif", ("B07", 1, "1", 1, 1)),
        ("af48.tif", "{well}.tif", ("AF48", 1, "1", 1, 1)),
        ("r32c48.tif", "r{row}c{column}.tif", ("AF48", 1, "1", 1, 1)),
        ("P-003_B02_f05_ch2_z0_t00.tiff",
         "P-{_}_{well}_f{site}_ch{channel}_z{z_index}_t{timepoint}.tiff", ("B02", 5, "2", 1, 1)),
        ("B/02/s3/w1.tif", "{row}/{column}/s{site}/w{channel}.tif", ("B02", 3, "1", 1, 1)),
        ("deep/below/B02_007.tif", "{well}_{site}.tif", ("B02", 7, "1", 1, 1)),
        ("x.(1)[B02].tif", "x.(1)[{well}].tif", ("B02", 1, "1", 1, 1)),
    ],
)  # fmt: skip
def test_patterns_of_many_forms(tmp_path, write_image, name, pattern, key):
    write_image(tmp_path / name)
    (image,) = _index(tmp_path, pattern).images
    assert tuple(image.key) == key
    assert image.path == name


@pytest.mark.parametrize(
    "pattern",
    [
        "{_}_{well}_{channel}.tif",
        r"[^/]+_(?P<well>[A-Z]\d+)_(?P<channel>[^/]+)\.tif",
        "day {timepoint}/{_}_{well}_{channel}.tif",
    ],
)
def test_a_pattern_is_of_names_in_any_folder_and_of_paths_if_it_has_one(
    tmp_path, write_image, pattern
):
    write_image(tmp_path / "day 1" / "x_B02_DAPI.tif")
    (image,) = _index(tmp_path, pattern).images
    assert (image.key.well, image.path) == ("B02", "day 1/x_B02_DAPI.tif")


def test_numbers_from_0_are_counted_from_1_and_others_stay(tmp_path, write_image):
    for z in (0, 1, 3):
        write_image(tmp_path / f"B02_z{z}_t5.tif")
    index = _index(tmp_path, "{well}_z{z_index}_t{timepoint}.tif")
    assert [image.key[3:] for image in index.images] == [(1, 5), (2, 5), (4, 5)]


def test_other_images_are_listed_with_those_of_no_well_and_no_channel(tmp_path, write_image):
    for name in ("B02_DAPI.tif", "B02_DAPI_overlay.png", "ZZ99_DAPI.tif", "B02_GFP.tif", "x.tif"):
        write_image(tmp_path / name)
    (tmp_path / "._B02_DAPI.tif").write_text("macOS")
    index = _index(tmp_path, "{well}_{channel}.tif", channels={"DAPI": "DNA"})
    assert [image.path for image in index.images] == ["B02_DAPI.tif"]
    assert index.surplus == ("B02_GFP.tif", "ZZ99_DAPI.tif", "x.tif")
    assert "3 TIFF files do not fit" in " ".join(index.warnings)


def test_two_files_of_one_plane_are_an_error_that_names_both(tmp_path, write_image):
    write_image(tmp_path / "B02_a.tif")
    write_image(tmp_path / "B2_b.tif")
    with pytest.raises(InputDataError, match=r"B02_a\.tif and B2_b\.tif both say well B02"):
        _index(tmp_path, "{well}_{_}.tif")


def test_a_pattern_that_nothing_fits_names_what_is_there(tmp_path, write_image):
    write_image(tmp_path / "holiday.tif")
    with pytest.raises(InputDataError, match=r"'\{well\}\.tif' .* found 1 others, e\.g\. holiday"):
        _index(tmp_path, "{well}.tif")


def test_without_a_pattern_no_plate_is_claimed_or_read(tmp_path, write_image):
    write_image(tmp_path / "B02.tif")
    handler = load_handler("generic")
    assert handler.detect(tmp_path) is None
    with pytest.raises(ConfigError, match="needs a pattern"):
        handler.index(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("image.tif", "says nothing of an image"),
        ("{well}_{field}.tif", "unknown part 'field'; a name can say well, row"),
        ("{well}_{well}.tif", "{well} stands twice"),
        ("{well}_{row}{column}.tif", "not both"),
        ("{row}.tif", "both row and column"),
        ("(?P<well>[A-Z", "no regular expression"),
        (r"(?P<well>\w+)_(?P<fld>\d+)\.tif", "unknown part 'fld'"),
    ],
)
def test_patterns_that_cannot_be_are_refused(pattern, problem):
    with pytest.raises(ValueError, match=problem.replace("{", r"\{")):
        compile_pattern(pattern)


def test_pattern_and_microscope_go_together():
    with pytest.raises(ValueError, match="go together"):
        PlateConfig(path="x", microscope="generic")
    with pytest.raises(ValueError, match="go together"):
        PlateConfig(path="x", generic=GenericConfig(pattern="{well}.tif"))
    with pytest.raises(ValueError, match="well: A01"):
        GenericConfig(pattern="{site}.tif")
    with pytest.raises(ValueError, match="well: A01"):
        GenericConfig(pattern="{well}.tif", well="A01")
