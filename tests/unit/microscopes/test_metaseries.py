import csv

import pytest

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.imagexpress.metaseries import NO_METADATA, parse_metaseries
from openhcs_core.microscopes.tiff_header import read_tiff_header


def test_every_image_of_the_real_plate_as_in_its_inventory(demo_plate, data_folder):
    with (data_folder / "9987_Plate_3434_inventory.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36
    for row in rows:
        header = read_tiff_header(demo_plate / row["path"])
        metadata = parse_metaseries(header.description, row["path"])
        assert header.shape == (int(row["height"]), int(row["width"]))
        assert metadata.pixel_size_um == float(row["pixel_um"])
        assert metadata.stage_x_um == float(row["stage_x_um"])
        assert metadata.stage_y_um == float(row["stage_y_um"])
        assert metadata.stage_z_um == float(row["z_um"])
        assert (metadata.projection or "") == row["md_zproj"]
        assert metadata.z_step == (float(row["md_zstep"]) if row["md_zstep"] else None)
        assert metadata.acquired.replace(" ", "")[8:] in row["acq_time_local"].replace(" ", "")


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    '<MetaData><prop id="z-position" value="&b;"/></MetaData>'
)


@pytest.mark.parametrize("text", [BOMB, "<MetaData><!DOCTYPE x></MetaData>"])
def test_entities_are_refused(text):
    with pytest.raises(InputDataError, match=r"w1\.tif.*entities"):
        parse_metaseries(text, "w1.tif")


def test_endless_metadata_are_refused():
    with pytest.raises(InputDataError, match="at most"):
        parse_metaseries("<MetaData>" + " " * (1 << 20), "w1.tif")


@pytest.mark.parametrize(
    "text", ["", "ImageJ=1.53", '{"shape": [1, 2]}', "<MetaData><prop id=", "<OME/>"]
)
def test_other_descriptions_and_broken_xml_say_nothing(text):
    assert parse_metaseries(text, "w1.tif") == NO_METADATA


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"state": "on", "units": "um", "x": "0.65", "y": "0.65"}, 0.65),
        ({"state": "on", "units": "µm", "x": "0.65", "y": "0.65"}, 0.65),
        ({"state": "off", "units": "um", "x": "1", "y": "1"}, None),
        ({"state": "on", "units": "pixel", "x": "1", "y": "1"}, None),
        ({"state": "on", "units": "um", "x": "0.65", "y": "1.3"}, None),
        ({"state": "on", "units": "um", "x": "nan", "y": "nan"}, None),
        ({"state": "on", "units": "um", "x": "0", "y": "0"}, None),
    ],
)
def test_pixel_size_only_when_calibrated_square_and_in_micrometres(
    metaseries_xml, properties, expected
):
    xml = metaseries_xml(**{f"spatial_calibration_{key}": v for key, v in properties.items()})
    assert parse_metaseries(xml, "w1.tif").pixel_size_um == expected
