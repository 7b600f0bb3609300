import csv
import shutil
from collections import Counter

import numpy as np
import pytest
import tifffile

from openhcs_core.errors import InputDataError
from openhcs_core.planes import PlaneKey


def _expected_planes(inventory):
    """Planes as the inventory's pixels and tags have them, copies counted once."""
    with inventory.open() as file:
        rows = list(csv.DictReader(file))
    planes, projections, copies = set(), 0, 0
    stacks = {row["wave"] for row in rows if row["md_zstep"] and float(row["md_zstep"]) > 1}
    for row in rows:
        z = int(float(row["md_zstep"])) if row["md_zstep"] and row["wave"] in stacks else 1
        if row["identical_pixels_to"]:
            copies += 1
        elif row["wave"] in stacks and row["md_zproj"]:
            projections += 1
        else:
            planes.add(PlaneKey(row["well"], int(row["site"]), row["wave"], z, 1))
    return planes, projections, copies


def test_real_plate_against_its_inventory(demo_plate, data_folder, read_index):
    index = read_index(demo_plate)
    planes, projections, copies = _expected_planes(data_folder / "9987_Plate_3434_inventory.csv")
    assert {image.key for image in index.images} == planes
    assert (len(planes), projections, copies) == (16, 4, 16)
    assert (index.projections, index.copies) == (projections, copies)
    assert index.missing == ()
    assert index.wells == ("B02", "B03")
    assert index.sites == (1, 2)
    assert (index.pixel_size_um, index.z_step_um) == (1.3672, 3.0)
    assert index.grid_dimensions == (1, 2)
    assert [(c.id, c.name, c.dtype, c.shape, c.emission_nm) for c in index.channels] == [
        ("1", "DAPI", "uint16", (256, 256), 452),
        ("2", "FITC", "uint16", (256, 256), 520),
        ("3", "Texas Red", "uint16", (256, 256), 624),
    ]
    assert index.warnings == (
        "9987.HTD declares channel 4 'Cy5' but no well has an image of it",
        "9987.HTD declares z plane 3 but no well has an image of it",
    )


def test_each_plane_of_the_real_plate_has_the_pixels_of_that_plane(
    demo_plate, data_folder, read_index
):
    with (data_folder / "9987_Plate_3434_inventory.csv").open() as file:
        sums = {row["path"]: int(row["pixel_sum"]) for row in csv.DictReader(file)}
    for image in read_index(demo_plate).images:
        pixels = tifffile.imread(demo_plate / image.path)
        assert int(pixels.sum(dtype=np.int64)) == sums[image.path]
        if image.key.channel == "1":
            assert f"ZStep_{image.key.z_index}/" in image.path
        assert image.size_bytes == (demo_plate / image.path).stat().st_size


def test_images_stand_in_plate_order(demo_plate, read_index):
    keys = [image.key for image in read_index(demo_plate).images]
    assert keys == sorted(keys)
    assert keys[:2] == [PlaneKey("B02", 1, "1", 1, 1), PlaneKey("B02", 1, "1", 2, 1)]


@pytest.fixture
def database_plate(tmp_path, data_folder, write_image, metaseries_xml):
    """Names, folders and metadata of a real plate in a MetaXpress database; tiny images."""
    plate = tmp_path / "Projection-Mix"
    with (data_folder / "projection_mix_inventory.csv").open() as file:
        for row in csv.DictReader(file):
            xml = metaseries_xml(
                spatial_calibration_state="on",
                spatial_calibration_units="um",
                spatial_calibration_x=row["pixel_um"],
                spatial_calibration_y=row["pixel_um"],
                z_position=row["z_um"],
                acquisition_time_local=row["acq_time_local"],
                Z_Projection_Method=row["md_zproj"],
                Z_Step=row["md_zstep"],
            )
            write_image(plate / row["path"], xml)
    return plate


def test_database_plate_with_every_mix_of_stack_and_projection(database_plate, read_index):
    index = read_index(database_plate)
    fields = [(well, site) for well in ("E07", "E08") for site in (1, 2)]
    z_planes = {"1": range(1, 11), "2": range(1, 11), "3": [1], "4": [1]}
    assert [image.key for image in index.images] == [
        PlaneKey(well, site, channel, z, 1)
        for well, site in fields
        for channel, zs in z_planes.items()
        for z in zs
    ]
    assert (index.projections, index.copies, index.missing) == (8, 0, ())
    assert index.pixel_size_um == 1.3668
    assert index.z_step_um == pytest.approx(5, rel=0.02)
    assert [channel.name for channel in index.channels] == ["w1", "w2", "w3", "w4"]
    for image in index.images:
        assert (f"ZStep_{image.key.z_index}/" in image.path) == (image.key.channel != "3")


def test_a_wavelength_that_was_not_set_for_each_channel_is_not_used(
    tmp_path, read_index, write_image, metaseries_xml
):
    for wave, said in enumerate((536, 536, 624, 0), start=1):
        write_image(tmp_path / f"P_A01_w{wave}.tif", metaseries_xml(wavelength=said))
    index = read_index(tmp_path)
    assert [channel.emission_nm for channel in index.channels] == [None, None, 624, None]


def test_two_acquisitions_of_one_plate_are_not_mixed(database_plate, read_index):
    shutil.copytree(database_plate / "2023-02-21" / "1334", database_plate / "2023-03-01" / "1400")
    with pytest.raises(InputDataError, match="both claim to be") as caught:
        read_index(database_plate)
    assert "2023-02-21/1334" in str(caught.value)
    assert "2023-03-01/1400" in str(caught.value)
    alone = read_index(database_plate / "2023-03-01" / "1400")
    assert len(alone.images) == 88


def _remove(plate, pattern):
    for path in plate.rglob(pattern):
        path.unlink()


def test_a_missing_plane_of_one_field(plate_copy, read_index):
    (plate_copy / "TimePoint_1/ZStep_2/9987_B03_s1_w1.TIF").unlink()
    assert read_index(plate_copy).missing == (PlaneKey("B03", 1, "1", 2, 1),)


def test_a_missing_site_of_one_well_lists_all_its_planes(plate_copy, read_index):
    _remove(plate_copy, "9987_B02_s2_w*.TIF")
    index = read_index(plate_copy)
    channels = [("1", 1), ("1", 2), ("2", 1), ("3", 1)]
    assert index.missing == tuple(PlaneKey("B02", 2, c, z, 1) for c, z in channels)
    assert index.sites == (1, 2)


def test_a_declared_site_that_no_well_has_is_missing_everywhere(plate_copy, read_index):
    _remove(plate_copy, "9987_*_s2_w*.TIF")
    assert Counter(key.well for key in read_index(plate_copy).missing) == {"B02": 4, "B03": 4}


def test_a_declared_well_without_any_image_is_missing(plate_copy, read_index):
    _remove(plate_copy, "9987_B03_*.TIF")
    index = read_index(plate_copy)
    assert index.wells == ("B02",)
    assert len(index.missing) == 8
    assert {key.well for key in index.missing} == {"B03"}


def test_a_channel_that_no_well_has_is_a_warning(plate_copy, read_index):
    _remove(plate_copy, "*_w3.TIF")
    index = read_index(plate_copy)
    assert index.missing == ()
    assert "9987.HTD declares channel 3 'Texas Red', 4 'Cy5' but no well has an image of it" in (
        index.warnings
    )


def test_a_copy_that_is_absent_is_not_missing(plate_copy, read_index):
    (plate_copy / "TimePoint_1/ZStep_1/9987_B02_s1_w2.TIF").unlink()
    index = read_index(plate_copy)
    assert index.missing == ()
    assert index.copies == 15
    (path,) = [i.path for i in index.images if i.key == PlaneKey("B02", 1, "2", 1, 1)]
    assert path == "TimePoint_1/ZStep_2/9987_B02_s1_w2.TIF"


def test_a_copy_cut_short_is_still_a_copy(plate_copy, read_index):
    path = plate_copy / "TimePoint_1/ZStep_2/9987_B03_s1_w3.TIF"
    path.write_bytes(path.read_bytes()[:50_000])
    index = read_index(plate_copy)
    assert (len(index.images), index.copies) == (16, 16)


def test_planes_among_copies_are_refused_rather_than_dropped(plate_copy, read_index):
    folder = plate_copy / "TimePoint_1"
    shutil.copy(folder / "ZStep_2/9987_B03_s1_w1.TIF", folder / "ZStep_2/9987_B03_s1_w3.TIF")
    with pytest.raises(InputDataError, match=r"channel 3.*ZStep_2/9987_B03_s1_w3\.TIF"):
        read_index(plate_copy)


def test_only_projections_exported(plate_copy, read_index):
    for z in (1, 2):
        shutil.rmtree(plate_copy / f"TimePoint_1/ZStep_{z}")
    index = read_index(plate_copy)
    assert len(index.images) == 12
    assert {image.key.z_index for image in index.images} == {1}
    assert (index.projections, index.copies) == (0, 0)


def test_a_z_folder_without_projections_keeps_the_planes_of_the_stack(plate_copy, read_index):
    shutil.rmtree(plate_copy / "TimePoint_1/ZStep_0")
    index = read_index(plate_copy)
    assert (len(index.images), index.projections, index.copies) == (16, 0, 8)
    assert index.z_step_um == 3.0


def test_zstep_0_that_nothing_calls_a_projection_is_refused(
    tmp_path, read_index, write_image, metaseries_xml
):
    for z in (0, 1, 2):
        xml = metaseries_xml(z_position=z, acquisition_time_local=f"10:00:0{z}")
        write_image(tmp_path / f"ZStep_{z}" / "P_A01_s1_w1.tif", xml)
    with pytest.raises(InputDataError, match=r"ZStep_0/P_A01_s1_w1\.tif.*projection"):
        read_index(tmp_path)


def test_folders_without_metadata_are_planes_and_said_to_be_assumed(
    tmp_path, read_index, write_image
):
    for z in (0, 1, 2):
        write_image(tmp_path / f"ZStep_{z}" / "P_A01_s1_w1.tif")
    index = read_index(tmp_path)
    assert [image.key.z_index for image in index.images] == [1, 2]
    assert index.projections == 1
    assert any("cannot be told from copies" in warning for warning in index.warnings)
    assert any("taken for projections" in warning for warning in index.warnings)


def test_time_points_and_channels_of_their_own_rhythm(tmp_path, read_index, write_image):
    for well in ("A01", "A02"):
        for t in (1, 2, 10):
            write_image(tmp_path / f"TimePoint_{t}" / f"P_{well}_s1_w1.tif")
        write_image(tmp_path / "TimePoint_1" / f"P_{well}_s1_w2.tif")
    (tmp_path / "TimePoint_10" / "P_A02_s1_w1.tif").unlink()
    index = read_index(tmp_path)
    assert index.missing == (PlaneKey("A02", 1, "1", 1, 10),)
    assert [i.key.timepoint for i in index.images if i.key[:3] == ("A01", 1, "1")] == [1, 2, 10]


def test_waves_sort_by_number_and_may_be_huge(tmp_path, read_index, write_image):
    for wave in (2, 10, 123456789012345678901234567890):
        write_image(tmp_path / f"P_A01_s1_w{wave}.tif")
    index = read_index(tmp_path)
    assert [c.id for c in index.channels] == ["2", "10", "123456789012345678901234567890"]


def test_site_numbers_beyond_the_declared_ones_are_expected_as_seen(plate_copy, read_index):
    for path in plate_copy.rglob("9987_*_s2_w*.TIF"):
        path.rename(path.with_name(path.name.replace("_s2_", "_s5_")))
    index = read_index(plate_copy)
    assert index.missing == ()
    assert index.sites == (1, 5)
    assert any("site 5" in warning for warning in index.warnings)


def test_thumbnails_strays_and_hidden_files_are_no_images(plate_copy, read_index):
    folder = plate_copy / "TimePoint_1" / "ZStep_1"
    for name in ("9987_B02_s1_w1_thumb.TIF", "._9987_B02_s1_w1.TIF", "overview.tif"):
        (folder / name).write_bytes(b"not an image")
    index = read_index(plate_copy)
    assert len(index.images) == 16
    assert any("overview.tif" in warning for warning in index.warnings)


def test_a_read_only_plate_is_only_read(plate_copy, read_index):
    before = {path: path.stat().st_mtime_ns for path in plate_copy.rglob("*")}
    folders = [plate_copy, *(path for path in plate_copy.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert len(read_index(plate_copy).images) == 16
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in plate_copy.rglob("*")} == before


def test_a_damaged_sample_is_passed_over_and_named(plate_copy, read_index):
    path = plate_copy / "TimePoint_1/ZStep_1/9987_B02_s1_w1.TIF"
    path.write_bytes(b"")
    index = read_index(plate_copy)
    assert len(index.images) == 16
    assert any(f"{path} is empty" in warning for warning in index.warnings)


def test_a_channel_without_one_readable_sample_is_an_error_that_names_them(plate_copy, read_index):
    for path in plate_copy.rglob("*_w3.TIF"):
        path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(InputDataError, match=r"9987_B02_s1_w3\.TIF.*git lfs pull"):
        read_index(plate_copy)


def test_the_usual_form_wins_and_the_odd_image_is_named(tmp_path, read_index, write_image):
    for well in ("A01", "A02", "A03"):
        write_image(tmp_path / f"P_{well}_s1_w1.tif", shape=(4, 5))
    write_image(tmp_path / "P_A03_s1_w1.tif", shape=(9, 9), dtype="float32")
    index = read_index(tmp_path)
    assert (index.channels[0].shape, index.channels[0].dtype) == ((4, 5), "uint16")
    assert any("P_A03_s1_w1.tif has 9 x 9 px float32" in warning for warning in index.warnings)


def test_images_without_a_usual_form_are_refused(tmp_path, read_index, write_image):
    write_image(tmp_path / "P_A01_s1_w1.tif", shape=(4, 5))
    write_image(tmp_path / "P_A02_s1_w1.tif", shape=(4, 6))
    with pytest.raises(InputDataError, match=r"channel 1.*4 x 5 px.*4 x 6 px"):
        read_index(tmp_path)


def test_files_of_several_pages_are_refused_by_name(tmp_path, read_index):
    tifffile.imwrite(
        tmp_path / "P_A01_s1_w1.tif", np.zeros((3, 4, 5), "u2"), photometric="minisblack"
    )
    with pytest.raises(InputDataError, match=r"P_A01_s1_w1\.tif has several pages"):
        read_index(tmp_path)


def test_images_with_an_entity_bomb_are_refused(tmp_path, read_index, write_image):
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]><MetaData><prop id="x" value="&b;"/></MetaData>'
    write_image(tmp_path / "P_A01_s1_w1.tif", bomb)
    with pytest.raises(InputDataError, match=r"P_A01_s1_w1\.tif.*entities"):
        read_index(tmp_path)


def test_two_names_for_one_plane_are_refused(tmp_path, read_index, write_image):
    write_image(tmp_path / "P_A01_s1_w1.tif")
    write_image(tmp_path / "P_A01_s01_w1.tif")
    with pytest.raises(InputDataError, match=r"P_A01_s01_w1\.tif and P_A01_s1_w1\.tif both claim"):
        read_index(tmp_path)


def test_different_htd_files_in_one_folder_are_refused(plate_copy, read_index):
    (plate_copy / "other.HTD").write_text('"HTSInfoFile", Version 1.0\n')
    with pytest.raises(InputDataError, match=r"9987\.HTD and other\.HTD"):
        read_index(plate_copy)


def test_different_pixel_sizes_are_not_averaged(tmp_path, read_index, write_image, metaseries_xml):
    for wave, size in ((1, 0.65), (2, 1.3)):
        xml = metaseries_xml(
            spatial_calibration_state="on",
            spatial_calibration_units="um",
            spatial_calibration_x=size,
            spatial_calibration_y=size,
        )
        write_image(tmp_path / f"P_A01_s1_w{wave}.tif", xml)
    index = read_index(tmp_path)
    assert index.pixel_size_um is None
    assert any("0.65, 1.3" in warning for warning in index.warnings)


def test_sites_stand_where_the_stage_was(
    demo_plate, data_folder, tmp_path, read_index, write_image, metaseries_xml
):
    assert read_index(demo_plate).site_grid == {1: (0, 0), 2: (0, 1)}
    index = read_index(data_folder.parent / "projection_mix/Projection-Mix")  # no HTD file
    assert index.site_grid == {1: (0, 0), 2: (0, 1)}
    assert index.grid_dimensions == (1, 2)
    cross = {1: (0, -1), 2: (-1, 0), 3: (0, 0), 4: (1, 0), 5: (0, 1)}
    for site, (x, y) in cross.items():
        xml = metaseries_xml(stage_position_x=8e4 + 315.2 * x, stage_position_y=4e4 + 314.9 * y)
        write_image(tmp_path / f"P_B02_s{site}_w1.tif", xml)
    write_image(tmp_path / "P_A01_s3_w1.tif")  # a well with fewer sites is not asked
    index = read_index(tmp_path)
    assert index.site_grid == {1: (0, 1), 2: (1, 0), 3: (1, 1), 4: (1, 2), 5: (2, 1)}
    assert index.grid_dimensions is None


def test_a_stage_that_was_elsewhere_than_declared_is_said(plate_copy, read_index):
    htd = plate_copy / "9987.HTD"
    raw = htd.read_bytes()
    changed = raw.replace(b'"XSites", 2', b'"XSites", 1').replace(b'"YSites", 1', b'"YSites", 2')
    changed = changed.replace(
        b'"SiteSelection1", TRUE, TRUE', b'"SiteSelection1", TRUE\r\n"SiteSelection2", TRUE'
    )
    assert changed != raw
    htd.write_bytes(changed)
    index = read_index(plate_copy)
    assert index.grid_dimensions == (2, 1)
    assert index.site_grid == {1: (0, 0), 2: (0, 1)}
    assert any("declares 2 x 1 sites but in well B02" in text for text in index.warnings)


def test_names_without_site_and_wave_are_site_1_and_wave_1(tmp_path, read_index, write_image):
    guid = "E94C24BD-45E4-450A-9919-257C714278F7"
    write_image(tmp_path / "Plate_B02.tif")
    write_image(tmp_path / f"Plate_AF48{guid}.tif")
    write_image(tmp_path / "sub" / "Plate_C03_w2.TIF")
    write_image(tmp_path / "sub" / f"Plate_C03_w2_thumb{guid}.TIF")
    index = read_index(tmp_path)
    assert [image.key.filename for image in index.images] == [
        "B02_s001_w1_z001_t001.tif",
        "C03_s001_w2_z001_t001.tif",
        "AF48_s001_w1_z001_t001.tif",
    ]
    assert index.surplus == ()


def test_planes_are_numbered_not_sorted_as_text(tmp_path, read_index, write_image, metaseries_xml):
    for z in (1, 2, 10):
        xml = metaseries_xml(
            z_position=9000 + 2 * z,
            acquisition_time_local=f"20240709 13:13:{z:02d}.000",
            _IllumSetting_="FITC_05",
        )
        for wave in (1, 2):
            write_image(tmp_path / f"TimePoint_2/ZStep_{z}/P_B02_s1_w{wave}.TIF", xml)
    index = read_index(tmp_path)
    planes = [(image.key.z_index, image.path) for image in index.images if image.key.channel == "1"]
    assert planes == [(z, f"TimePoint_2/ZStep_{z}/P_B02_s1_w1.TIF") for z in (1, 2, 10)]
    assert {image.key.timepoint for image in index.images} == {2}
    assert index.z_step_um == 2.0
    # the setting's name is that of one wave in all of them: it names none
    assert [channel.name for channel in index.channels] == ["w1", "w2"]
