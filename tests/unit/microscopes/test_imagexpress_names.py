import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.microscopes.imagexpress.files import NO_Z_FOLDER, parse_image_name, scan_plate

WELLS = st.builds(
    lambda row, column: f"{row}{column:02d}",
    st.sampled_from([*"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "AA", "AF"]),
    st.integers(1, 48),
)
PREFIXES = st.text(
    st.characters(exclude_characters="/\0\n", exclude_categories=["Cs"]), max_size=12
)
GUIDS = st.uuids().map(lambda value: str(value).upper())
NUMBERS = st.integers(0, 10**30)


@given(PREFIXES, WELLS, st.none() | NUMBERS, st.none() | NUMBERS, st.booleans(), st.none() | GUIDS)
def test_every_part_of_a_written_name_is_read_back(prefix, well, site, wave, is_thumb, guid):
    # A prefix that itself ends in a whole name is as ambiguous to a person.
    name = (
        f"{prefix}-_{well}"
        + (f"_s{site}" if site is not None else "")
        + (f"_w{wave}" if wave is not None else "")
        + ("_thumb" if is_thumb else "")
        + (guid or "")
        + ".tif"
    )
    parsed = parse_image_name(name)
    assert parsed is not None
    assert parsed.well == well
    assert parsed.site == (1 if site is None else site)
    assert parsed.is_thumbnail is is_thumb
    assert parsed.channel == ("1" if wave is None else str(wave))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(name):
    parsed = parse_image_name(name)
    assert parsed is None or name.lower().endswith((".tif", ".tiff"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("9987_B02_s1_w1.TIF", ("B02", 1, "1")),
        ("plate_b2_S3_W04.Tiff", ("B02", 3, "4")),
        ("A01_s12_w2.tif", ("A01", 12, "2")),
        ("P_A01.tif", ("A01", 1, "1")),
        ("P_A01_w2.tif", ("A01", 1, "2")),
        ("P_A01_s2.tif", ("A01", 2, "1")),
        ("my_A1_plate_W1_s2_w3.tif", ("W01", 2, "3")),
        ("P_AF48_s1_w1.tif", ("AF48", 1, "1")),
        # The GUID begins with a digit: wave 1, not 11.
        ("P_E07_s2_w11D01380B-E7DA-4C09-A343-EDA3D235D808.tif", ("E07", 2, "1")),
        ("P_E07_s2_w266923EBB-9960-4952-8955-D1721D112EE2.tif", ("E07", 2, "2")),
        ("P_E07_s1_w12345678901234567890.tif", ("E07", 1, "12345678901234567890")),
    ],
)
def test_names(name, expected):
    parsed = parse_image_name(name)
    assert parsed is not None
    assert (parsed.well, parsed.site, parsed.channel) == expected


@pytest.mark.parametrize(
    "name",
    [
        "P_B02_s1_w1.png",
        "P_B02_s1_w1_labels.tif",
        "P_B00_s1_w1.tif",
        "P_B49_s1_w1.tif",
        "run_w1_s1.tif",
        "P_B02_s1_w1_z001_t001.tif",
        "P_B02_s٣_w1.tif",
        "P_B02_s1_wDAPI.tif",
        "notes.tif",
        ".tif",
    ],
)
def test_names_of_something_else(name):
    assert parse_image_name(name) is None


def test_one_walk_finds_images_htd_files_thumbnails_and_the_rest(tmp_path):
    names = [
        "P.HTD",
        "TimePoint_2/zstep_3/P_A01_s1_w1.TIF",
        "TimePoint_2/P_A01_s1_w2.tif",
        "TimePoint_2/P_A01_s1_w2_thumb.tif",
        "TimePoint_2/P_A01_s1_w2_thumb4BFD4018-E675-475E-B5AB-2E959E6B6DA1.tif",
        "TimePoint_2/._P_A01_s1_w2.tif",
        ".trash/P_A01_s1_w2.tif",
        "overview.tif",
        "readme.txt",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "TimePoint_2" / "back").symlink_to(tmp_path)
    (tmp_path / "P_B01_s1_w1.tif").symlink_to(tmp_path / "gone")
    files = scan_plate(tmp_path)
    assert files.htd_files == ["P.HTD"]
    assert files.thumbnails == 2
    assert files.strays == ["overview.tif"]
    assert files.dangling == ["P_B01_s1_w1.tif"]
    stack, plain = sorted(files.images, key=lambda image: image.channel)
    assert (stack.timepoint, stack.z_folder) == (2, 3)
    assert (plain.timepoint, plain.z_folder) == (2, NO_Z_FOLDER)
    status = (tmp_path / stack.path).stat()
    assert (stack.size_bytes, stack.mtime_ns) == (status.st_size, status.st_mtime_ns)
