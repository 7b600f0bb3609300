"""Opera Phenix and Operetta: real lists of Harmony against pe2loaddata, and their versions."""

import csv
import shutil
from pathlib import Path

import pytest

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes import choose_handler, load_handler
from openhcs_core.testing.harmony_plates import (
    CHANNELS,
    PIXEL_M,
    list_planes,
    write_images,
    write_list,
)

DATA = Path(__file__).parents[2] / "data/phenix"
ROLES = ("DNA", "AGP", "Mito", "ER", "RNA", "Brightfield", "Actin")


@pytest.fixture
def handler():
    return load_handler("opera_phenix")


def _of_role(row, field, role):
    return row.get(f"Metadata_{field}_Orig{role}", row.get(f"Metadata_{field}"))


def _compare_with_pe2loaddata(index, table, roles):
    """Compare each field of the one site that the table has, role by role."""
    (row,) = csv.DictReader(table.read_text().splitlines())
    keys = {*(image.key for image in index.images), *index.missing}
    paths = {image.key: image.path for image in index.images}
    channels = {channel.id: channel for channel in index.channels}
    assert len(keys) == len(roles)
    for role in roles:
        (key,) = [k for k in keys if k.channel == _of_role(row, "ChannelID", role)]
        assert key.well == row["Metadata_Well"]
        assert key.site == int(row["Metadata_Site"])
        assert key.z_index == int(row["Metadata_PlaneID"])
        assert key.timepoint == 1
        if key in paths:
            assert paths[key] == f"Images/{row[f'FileName_Orig{role}']}"
            channel = channels[key.channel]
            assert channel.name == _of_role(row, "ChannelName", role)
            assert (channel.excitation_nm or 0) == float(
                _of_role(row, "MainExcitationWavelength", role)
            )
            assert (channel.emission_nm or 0) == float(
                _of_role(row, "MainEmissionWavelength", role)
            )
        else:
            name = _of_role(row, "ChannelName", role)
            said = f"channel {key.channel} {name!r}: none of its images is there"
            assert said in index.warnings
        taken = index.acquisitions[key]
        assert taken.acquired == _of_role(row, "AbsTime", role)
        for found, field in (
            (taken.x_um, "PositionX"),
            (taken.y_um, "PositionY"),
            (taken.z_um, "PositionZ"),
            (taken.stage_z_um, "AbsPositionZ"),
        ):
            assert found == pytest.approx(float(_of_role(row, field, role)) * 1e6, abs=1e-6)
    for axis in "XY":
        assert index.pixel_size_um == float(row[f"Metadata_ImageResolution{axis}"]) * 1e6


def test_the_real_plate_is_what_pe2loaddata_made_of_it(handler):
    index = handler.index(DATA / "BR00121482")
    _compare_with_pe2loaddata(index, DATA / "load_data_version1.csv", ROLES[:6])
    assert {(c.shape, c.dtype) for c in index.channels} == {((64, 96), "uint16")}
    assert index.missing == ()
    assert index.warnings == ()
    assert (index.grid_dimensions, index.z_step_um) == ((1, 1), None)


def test_a_real_list_without_its_images_names_each_as_missing(handler):
    index = handler.index(DATA / "v7")
    _compare_with_pe2loaddata(index, DATA / "load_data_version7.csv", ROLES)
    assert index.images == ()
    assert len(index.missing) == 7


@pytest.mark.parametrize("place", ["", "Images", "P__2021-03-29T16_51_44-Measurement 1/Images"])
def test_the_list_is_found_here_and_below(tmp_path, place):
    (tmp_path / "plate").mkdir()
    (tmp_path / "plate" / "Assaylayout.txt").write_text("x")
    shutil.copytree(DATA / "BR00121482/Images", tmp_path / "plate" / place, dirs_exist_ok=True)
    choice = choose_handler("auto", tmp_path / "plate")
    assert choice.handler.name == "opera_phenix"
    assert f"{place}/Index.idx.xml".lstrip("/") in choice.reason
    assert len(choice.handler.index(tmp_path / "plate").images) == 6


FORMS = {
    "an Operetta's": ("Index.idx.xml", "V4", "Operetta"),
    "a Phenix's": ("Index.idx.xml", "V5", "Phenix"),
    "with flat-field images": ("Index.ref.xml", "V5", "Phenix"),
    "a Sonata's of V5": ("Index.idx.xml", "V5", "Sonata"),
    "a Sonata's of V6": ("Index.xml", "V6", "Sonata"),
    "V7": ("Index.xml", "V7", "Phenix"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("first_time", [0, 1])
@pytest.mark.parametrize("bom", [True, False])
def test_every_version_gives_the_same_index(handler, tmp_path, form, first_time, bom):
    listed = list_planes([(1, 1), (16, 24), (32, 48)])
    name, version, instrument = form
    write_list(
        tmp_path / name, version, listed, first_time=first_time, bom=bom, instrument=instrument
    )
    write_images(tmp_path, listed)
    index = handler.index(tmp_path)
    assert index.wells == ("A01", "P24", "AF48")
    assert [image.path for image in index.images if image.key.well == "AF48"][:3] == [
        "r32c48f01p01-ch1sk1fk1fl1.tiff",
        "r32c48f01p01-ch1sk2fk1fl1.tiff",
        "r32c48f01p02-ch1sk1fk1fl1.tiff",
    ]
    assert {image.key.timepoint for image in index.images} == {1, 2}
    assert [(c.name, c.excitation_nm, c.emission_nm) for c in index.channels] == [
        CHANNELS[1],
        CHANNELS[2],
    ]
    assert index.pixel_size_um == PIXEL_M * 1e6
    assert index.z_step_um == 1.5
    # y of the list grows upwards, rows of the grid downwards
    assert index.site_grid == {1: (0, 0), 2: (0, 1), 3: (1, 0)}
    assert index.grid_dimensions is None
    assert index.missing == ()
    assert index.warnings == ()
    key = index.images[-1].key
    assert index.acquisitions[key] == (0.0, 250.0, 5.0, "2021-03-29T16:55:02.987-04:00", 134620.0)


def test_missing_and_surplus_images_are_listed_exactly(handler, tmp_path):
    listed = list_planes([(2, 3), (2, 4)], times=1)
    write_list(tmp_path / "Index.xml", "V7", listed, wells=[(2, 3), (2, 4), (2, 5)])
    write_images(tmp_path, listed)
    gone = listed[5]
    (tmp_path / gone.file_name).rename(tmp_path / "r02c03f01p01-ch7sk1fk1fl1.tiff")
    index = handler.index(tmp_path)
    absent = [key for key in index.missing if key.well != "B05"]
    assert [(key.well, key.site, key.z_index, key.channel) for key in absent] == [
        ("B03", gone.field, gone.plane, str(gone.channel))
    ]
    assert sum(key.well == "B05" for key in index.missing) == len(listed) // 2
    assert index.surplus == ("r02c03f01p01-ch7sk1fk1fl1.tiff",)


@pytest.mark.parametrize("empty", ["<URL />", "<URL/>", "<URL></URL>", "<URL>\r\n</URL>"])
def test_images_that_were_not_recorded_are_missing_and_the_others_are_read(
    handler, tmp_path, empty
):
    listed = list_planes([(2, 3), (2, 4)], times=1)
    path = tmp_path / "Index.idx.xml"
    write_list(path, "V4", listed)
    write_images(tmp_path, listed)
    text = path.read_text(encoding="utf-8")
    gone = [plane for plane in listed if plane.column == 4 and plane.field == 2]
    for plane in gone:
        text = text.replace(f"<URL>{plane.file_name}</URL>", empty)
        (tmp_path / plane.file_name).unlink()
    path.write_text(text, encoding="utf-8")
    index = handler.index(tmp_path)
    assert len(index.images) == len(listed) - len(gone)
    assert {(key.well, key.site) for key in index.missing} == {("B04", 2)}
    assert len(index.missing) == len(gone) == 4
    assert index.warnings == (
        "Index.idx.xml names no file for 4 images: none was recorded; they are missing",
    )


def test_wells_whose_fields_lie_elsewhere_have_no_grid(handler, tmp_path):
    listed = list_planes([(1, 1), (1, 2)], times=1)
    write_list(tmp_path / "Index.xml", "V5", listed)
    write_images(tmp_path, listed)
    text = (tmp_path / "Index.xml").read_text(encoding="utf-8")
    head, _, last = text.rpartition('<PositionX Unit="m">0.0<')
    (tmp_path / "Index.xml").write_text(f'{head}<PositionX Unit="m">0.9<{last}', encoding="utf-8")
    index = handler.index(tmp_path)
    assert index.site_grid == {}
    assert "site 3 lies elsewhere in well A02" in " ".join(index.warnings)


def _edit(change):
    def edit(folder):
        path = folder / "Images/Index.idx.xml"
        raw = path.read_bytes()
        changed = change(raw)
        assert changed != raw
        path.write_bytes(changed)

    return edit


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda raw: raw.replace(b"<URL>r01", b"<URL>../../r01"), "not in the plate's folder"),
        (lambda raw: raw.replace(b"<URL>r01", b"<URL>/etc/r01"), "not in the plate's folder"),
        (lambda raw: raw.replace(b"<Row>1<", b"<Row>33<"), "row 33, column 1 is no well"),
        (lambda raw: raw.replace(b"<Row>1<", b"<Row>one<"), "has Row 'one', Col '1'"),
        (lambda raw: raw.replace(b"<FieldID>1<", b"<FieldID>-1<"), "expected whole numbers"),
        (lambda raw: raw.replace(b"ChannelID>2<", b"ChannelID>1<"), "several images of well A01"),
        (lambda raw: raw.replace(b"ch2sk", b"ch1sk"), "expected one plane a file"),
        (lambda raw: raw[:-3000], "is not whole XML"),
        (lambda raw: raw.replace(b"Images>", b"Pictures>"), "has no <Images>"),
        (
            lambda raw: raw.replace(b"?>", b'?><!DOCTYPE x [<!ENTITY a "b">]>', 1),
            "not to be trusted",
        ),
        (lambda raw: raw.replace(b"<Images>", b"<Images><!-- <Image></Image> -->"), "comments"),
        (lambda raw: raw.replace(b"utf-8", b"iso-8859-1", 1), "expected UTF-8"),
        (
            lambda raw: raw.replace(b"<URL>", b'<URL BufferNo="1">'),
            "pages of one file",
        ),
        (lambda raw: raw.replace(b"<Col>1</Col>", b""), "has no Col"),
    ],
)
def test_lists_that_cannot_be_are_refused(handler, tmp_path, edit, problem):
    plate = shutil.copytree(DATA / "BR00121482", tmp_path / "plate")
    _edit(edit)(plate)
    with pytest.raises(InputDataError, match=problem) as caught:
        handler.index(plate)
    assert "Index.idx.xml" in str(caught.value)


def test_two_measurements_are_not_taken_for_one_plate(handler, tmp_path):
    for number in (1, 2):
        shutil.copytree(DATA / "BR00121482", tmp_path / f"Measurement {number}")
    with pytest.raises(InputDataError, match=r"several lists .*Measurement 1.*Measurement 2"):
        handler.index(tmp_path)


def test_attributes_that_differ_between_images_are_read(handler, tmp_path):
    plate = shutil.copytree(DATA / "BR00121482", tmp_path / "plate")
    _edit(
        lambda raw: raw.replace(b'<PositionX Unit="m">0<', b'<PositionX Unit="mm">0.5<', 1).replace(
            b"<URL>", b'<URL BufferNo="0">', 3
        )
    )(plate)
    index = handler.index(plate)
    xs = [index.acquisitions[image.key].x_um for image in index.images]
    assert xs == [500.0, 0, 0, 0, 0, 0]
    assert len(index.images) == 6


def test_file_names_say_row_column_field_plane_channel_and_time(handler):
    assert handler.parse_filename("r32c48f12p07-ch5sk3fk1fl1.tiff") == ("AF48", 12, "5", 7, 3)
    for other in ("r33c01f01p01-ch1sk1fk1fl1.tiff", "r01c01f01p01.tiff", "Index.xml"):
        assert handler.parse_filename(other) is None
