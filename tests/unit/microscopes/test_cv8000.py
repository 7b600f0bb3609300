"""CellVoyager: real metadata of a CV8000 against what faim-ipa reads from them."""

import csv
import itertools
import re
import shutil
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import tifffile

from openhcs_core.config import PlateConfig
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


def test_the_last_well_of_1536(handler, plate):
    path = plate / "plate" / LIST
    old, new = 'bts:Column="8" bts:Row="6"', 'bts:Column="48" bts:Row="32"'
    path.write_text(path.read_text().replace(old, new))
    settings = plate / "plate/Minimal-3C3W2S-FP2-stack.mes"
    text = settings.read_text(encoding="utf-8-sig")
    settings.write_text(text.replace(old, new))
    index = handler.index(plate)
    assert (index.wells, index.missing) == (("D08", "E03", "AF48"), ())
    assert handler.parse_filename("p_AF48_T0001F004L01A02Z04C02.tif").well == "AF48"


def test_wells_of_another_timeline_need_not_have_its_planes(handler, plate):
    """A second timeline takes one channel, two planes and two fields of well F08 alone."""
    folder = plate / "plate"
    settings = folder / "Minimal-3C3W2S-FP2-stack.mes"
    text = settings.read_text(encoding="utf-8-sig")
    well = '<bts:TargetWell bts:Column="8" bts:Row="6">true</bts:TargetWell>'
    begin, end = text.index("<bts:Timeline "), text.index("</bts:Timelapse>")
    second = text[begin:end].replace(
        'TargetWell bts:Column="8" bts:Row="4"', 'TargetWell bts:Column="8" bts:Row="6"'
    )
    second = second.replace('<bts:TargetWell bts:Column="3" bts:Row="5">true</bts:TargetWell>', "")
    settings.write_text(text[:begin] + text[begin:end].replace(well, "") + second + text[end:])
    path = folder / LIST
    kept, gone = [], []
    for line in path.read_text().splitlines(keepends=True):
        other = "_F08_T" in line and re.search("F00[34]|Z0[34]|C02", line)
        (gone if other else kept).append(line)
    path.write_text("".join(kept))
    assert len(gone) == 32 - 4
    index = handler.index(plate)
    assert index.missing == ()
    assert sum(image.key.well == "F08" for image in index.images) == 4
    (folder / next(i.path for i in index.images if i.key.well == "F08").rpartition("/")[2]).unlink()
    path.write_text("".join(line for line in kept if "_E03_T0001F004L01A02Z04" not in line))
    missing = [tuple(key) for key in handler.index(plate).missing]
    assert missing == [("E03", 4, "2", 4, 1), ("F08", 1, "1", 1, 1)]


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


def test_one_of_several_actions_of_a_channel_is_read_by_a_pattern(handler, plate):
    """A second action took channel 1 again, in one plane: what the refusal says to do works."""
    path = plate / "plate" / LIST
    text = path.read_text()
    twice = re.findall(r"<bts:M[^<]*Z01C01.tif</bts:MeasurementRecord>\n", text)
    again = [line.replace("A01Z01C01", "A09Z01C01") for line in twice]
    path.write_text(
        text.replace("</bts:MeasurementData>", "".join(again) + "</bts:MeasurementData>")
    )
    for line in again:
        name = line.partition(">")[2].partition("<")[0]
        shutil.copy(plate / "plate" / name.replace("A09", "A01"), plate / "plate" / name)
    with pytest.raises(InputDataError, match="several images of well D08") as caught:
        handler.index(plate)
    pattern = re.search(r"\{_\}_\S+\.tif", str(caught.value))[0]
    settings = {"path": str(plate), "microscope": "generic"}
    for action, count in (("A01", 48), ("A09", 12)):
        generic = {"pattern": pattern.replace("A01", action)}
        config = PlateConfig(**settings, generic=generic)
        index = load_handler("generic", config).index(plate)
        assert len(index.images) == count
        assert (index.wells, index.sites) == (("D08", "E03", "F08"), (1, 2, 3, 4))


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
