"""CellVoyager: real metadata of a CV8000 against what faim-ipa reads from them."""

import csv
import itertools
import shutil
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes import choose_handler, load_handler

DATA = Path(__file__).parents[2] / "data/cv8000"
FAIM = list(csv.DictReader((DATA / "faim_files.csv").read_text().splitlines()))
"""Of one well."""

LIST = "MeasurementData.mlf"
BTS = "{http://www.yokogawa.co.jp/BTS/BTSSchema/1.0}"
RECORDS = [
    {name.removeprefix(BTS): value for name, value in record.attrib.items()} | {"path": record.text}
    for record in ET.parse(DATA / LIST).getroot()
]
"""Of all wells, read plainly."""


@pytest.fixture
def handler():
    return load_handler("cv8000")


@pytest.fixture
def plate(tmp_path):
    """The measurement with images of 6 x 8 px, and its calibration images."""
    folder = tmp_path / "plate_20230918_135839" / "plate"
    shutil.copytree(DATA, folder, ignore=shutil.ignore_patterns("*.csv", "LICENSE"))
    detail = folder / "MeasurementDetail.mrf"
    text = detail.read_text(encoding="utf-8-sig")
    text = text.replace('bts:HorizontalPixels="2000"', 'bts:HorizontalPixels="8"')
    detail.write_text(text.replace('bts:VerticalPixels="2000"', 'bts:VerticalPixels="6"'))
    image = BytesIO()
    tifffile.imwrite(image, np.ones((6, 8), np.uint16), compression="deflate")
    calibration = ("DC_DCAM#1_CAM3.tif", "SC_BP445-45_20x v2_M01_CH01.tif")
    for name in (*(row["path"] for row in RECORDS), *calibration):
        (folder / name).write_bytes(image.getvalue())
    return tmp_path / "plate_20230918_135839"


def test_the_real_list_is_what_faim_ipa_reads(handler, plate):
    index = handler.index(plate)
    rows = [
        row | {"well": f"{' ABCDEF'[int(row['Row'])]}{int(row['Column']):02d}"} for row in RECORDS
    ]
    expected = {
        (
            row["well"],
            int(row["FieldIndex"]),
            row["Ch"],
            int(row["ZIndex"]),
            int(row["TimePoint"]),
        ): row
        for row in [*rows, *FAIM]
    }
    assert len(index.images) == len(expected) == 96
    assert {tuple(image.key) for image in index.images} == expected.keys()
    for image in index.images:
        row = expected[tuple(image.key)]
        assert image.path == f"plate/{Path(row['path']).name}"
        taken = index.acquisitions[image.key]
        assert (taken.x_um, taken.y_um, taken.z_um) == (
            float(row["X"]),
            -float(row["Y"]),
            float(row["Z"]),
        )
        assert taken.acquired == row["Time"]
    assert index.missing == ()
    assert index.surplus == ()  # dark and shading images are the instrument's
    assert index.warnings == ()


def test_channels_pixel_size_and_grid_are_those_of_the_settings(handler, plate):
    index = handler.index(plate)
    assert [
        (c.id, c.name, c.excitation_nm, c.emission_nm, c.shape, c.dtype) for c in index.channels
    ] == [
        ("1", "BP445/45", 405, 445, (6, 8), "uint16"),
        ("2", "BP525/50", 488, 525, (6, 8), "uint16"),
    ]
    assert (index.pixel_size_um, index.z_step_um) == (0.325, 3.0)
    assert index.grid_dimensions == (2, 2)
    assert index.site_grid == {1: (0, 0), 2: (0, 1), 3: (1, 0), 4: (1, 1)}


def test_auto_says_what_it_found(plate):
    choice = choose_handler("auto", plate)
    assert choice.handler.name == "cv8000"
    assert f"plate/{LIST}" in choice.reason


def test_missing_wells_and_images_and_surplus_ones_are_listed_exactly(handler, plate):
    folder = plate / "plate"
    gone = folder / Path(FAIM[7]["path"]).name
    gone.rename(folder / "x_D08_T0001F009L01A02Z04C02.tif")
    path = folder / LIST
    records = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in records if "_F08_T" not in line))
    index = handler.index(plate)
    assert [tuple(key) for key in index.missing if key.well != "F08"] == [("D08", 1, "2", 4, 1)]
    assert sum(key.well == "F08" for key in index.missing) == 32  # selected in the settings
    assert len(index.surplus) == 33
    assert "plate/x_D08_T0001F009L01A02Z04C02.tif" in index.surplus


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("MeasurementDetail.mrf", "channels have no names, and the pixel size is unknown"),
        ("Minimal-3C3W2S-FP2-stack.mes", "names the settings 'Minimal-3C3W2S-FP2-stack.mes'"),
    ],
)
def test_without_the_other_files_the_images_are_read_all_the_same(handler, plate, name, warning):
    (plate / "plate" / name).unlink()
    index = handler.index(plate)
    assert len(index.images) == 96
    assert any(warning in text for text in index.warnings)


def test_errors_of_the_measurement_and_declared_planes_that_no_well_has_are_said(handler, plate):
    path = plate / "plate" / LIST
    error = '<bts:MeasurementRecord bts:Type="ERR" bts:Time="x" bts:Row="4">no focus</bts:M'
    path.write_text(path.read_text().replace("<bts:M", f"{error}easurementRecord>\n<bts:M", 2))
    path.write_text(path.read_text().replace(f"{error}easurementRecord>\n<bts:MeasurementData ",
                                             "<bts:MeasurementData "))  # fmt: skip
    detail = plate / "plate" / "MeasurementDetail.mrf"
    detail.write_text(detail.read_text().replace('bts:ZCount="4"', 'bts:ZCount="5"'))
    warnings = handler.index(plate).warnings
    assert any("has 1 records of errors" in text for text in warnings)
    assert any("declares z plane 5 but no well has an image of it" in text for text in warnings)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('>CV8000', '>../CV8000', "not in the plate's folder"),
        ('bts:Row="4"', 'bts:Row="40"', "row 40, column 8 is no well"),
        ('bts:Row="4"', 'bts:Row="x"', "Row 'x'"),
        ('bts:ZIndex="2"', 'bts:ZIndex="1"', "several images of well D08 field 1"),
        ("Z02C01.tif", "Z01C01.tif", "twice"),
        ('?>', '?><!DOCTYPE x SYSTEM "http://example.org/x">', "not to be trusted"),
        ("</bts:MeasurementData>", "", "is not whole XML"),
        ("MeasurementData", "Data", "no list of images"),
    ],
)  # fmt: skip
def test_lists_that_cannot_be_are_refused(handler, plate, old, new, problem):
    path = plate / "plate" / LIST
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputDataError, match=problem) as caught:
        handler.index(plate)
    assert LIST in str(caught.value)


def test_file_names_say_well_time_field_plane_and_channel(handler):
    for row in itertools.islice(FAIM, 0, None, 7):
        parts = handler.parse_filename(Path(row["path"]).name)
        assert tuple(map(str, parts)) == (
            row["well"], row["FieldIndex"], row["Ch"], row["ZIndex"], row["TimePoint"],
        )  # fmt: skip
    for other in (
        "DC_DCAM#1_CAM3.tif",
        "SC_BP445-45_20x v2_M01_CH01.tif",
        "x_D99_T1F1L1A1Z1C1.tif",
    ):
        assert handler.parse_filename(other) is None
