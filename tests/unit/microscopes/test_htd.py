import pytest

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.imagexpress.htd import read_htd

HEAD = '"HTSInfoFile", Version 1.0\r\n'


@pytest.fixture
def read(tmp_path):
    def read_text(text: str | bytes):
        path = tmp_path / "P.HTD"
        path.write_bytes(text if isinstance(text, bytes) else (HEAD + text).encode("cp1252"))
        return read_htd(path, "P.HTD")

    return read_text


def test_the_real_file_with_bytes_that_are_no_text(demo_plate):
    raw = (demo_plate / "9987.HTD").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        raw.decode()
    htd = read_htd(demo_plate / "9987.HTD", "9987.HTD")
    assert htd.wells == ("B02", "B03")
    assert (htd.sites, htd.grid) == (2, (1, 2))
    assert htd.channels == {"1": "DAPI", "2": "FITC", "3": "Texas Red", "4": "Cy5"}
    assert (htd.z_steps, htd.timepoints, htd.has_projection) == (3, 1, True)


def test_names_keep_commas_quotes_aside_and_letters_of_windows(read):
    htd = read('"NWavelengths", 2\r\n"WaveName1", "405ex, 570-630 ‰ µ"\r\n"WaveName2", ""\r\n')
    assert htd.channels == {"1": "405ex, 570-630 ‰ µ", "2": "w2"}


@pytest.mark.parametrize("name", ['DAPI "405"', '"x"', "{a}, $b's", "細胞 é"])
def test_names_of_waves_are_taken_to_the_letter(tmp_path, name):
    path = tmp_path / "P.HTD"
    text = f'"HTSInfoFile", Version 1.0\n"NWavelengths", 1\n"WaveName1", "{name}"\n'
    path.write_text(text, encoding="utf-8-sig")
    assert read_htd(path, "P.HTD").channels == {"1": name}


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]
)
def test_files_that_an_editor_saved_in_its_own_way(tmp_path, encoding):
    path = tmp_path / "P.HTD"
    text = f'{HEAD}"Description", "10 °C"\r\n"WellsSelection1", FALSE, TRUE\r\n'
    path.write_bytes(f'{text}"NWavelengths", 1\r\n"WaveName1", "Höchst µ"\r\n'.encode(encoding))
    htd = read_htd(path, "P.HTD")
    assert (htd.wells, htd.channels) == (("A02",), {"1": "Höchst µ"})


def test_a_description_over_several_lines_with_a_stray_quote(read):
    htd = read('"Description", "first "line"\r\nsecond, line\r\n"XSites", 3\r\n"YSites", 2\r\n')
    assert (htd.sites, htd.grid) == (6, (2, 3))


def test_sites_left_out_of_the_grid_leave_no_grid_to_stitch_by(read):
    htd = read(
        '"XSites", 2\n"YSites", 2\n"SiteSelection1", TRUE, FALSE\n"SiteSelection2", TRUE, TRUE'
    )
    assert (htd.sites, htd.grid) == (3, None)


def test_waves_that_are_not_stored_keep_their_name_but_are_not_expected(read):
    htd = read('"NWavelengths", 2\n"WaveName1", "A"\n"WaveName2", "B"\n"WaveCollect1", 0\n')
    assert htd.channels == {"1": "A", "2": "B"}
    assert htd.collected == {"2"}


def test_rows_after_z(read):
    assert read('"WellsSelection26", TRUE\n"WellsSelection27", FALSE, TRUE').wells == (
        "Z01",
        "AA02",
    )


def test_silence_is_not_a_declaration(read):
    htd = read("")
    assert (htd.wells, htd.sites, htd.z_steps, htd.timepoints) == (None, None, None, None)
    assert htd.channels == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "HTSInfoFile"),
        (b"\0" * 50, "HTSInfoFile"),
        ('"XSites", many\n"YSites", 1\n', "XSites has 'many'"),
        ('"TimePoints", 99999999999999999999\n', "TimePoints"),
        ('"NWavelengths", -1\n', "NWavelengths"),
        ('"WellsSelection33", TRUE\n', "WellsSelection33"),
        ('"WellsSelection0", TRUE\n', "WellsSelection0"),
        (b" " * ((1 << 20) + 1), "more than"),
    ],
)
def test_nonsense_is_named(read, text, said):
    with pytest.raises(InputDataError, match=said) as caught:
        read(text)
    assert "P.HTD" in str(caught.value)
