"""Long XML lists: what is taken apart by a pattern is no less checked than by a parser."""

import random
from xml.etree import ElementTree as ET
from xml.parsers import expat

import pytest

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.cv8000_records import read_records
from openhcs_core.microscopes.harmony_index import read_harmony_index
from openhcs_core.storage import open_plate_source
from openhcs_core.testing.harmony_plates import NAMESPACES, list_planes, write_list

RECORD = (
    '<bts:MeasurementRecord bts:Type="IMG" bts:Time="2023-09-18T13:58:4{0}.438+02:00" '
    'bts:Column="8" bts:Row="4" bts:TimePoint="1" bts:FieldIndex="{0}" bts:ZIndex="1" '
    'bts:X="-567.1" bts:Y="402.9" bts:Z="3.0" bts:Ch="1">P_D08_{0}.tif</bts:MeasurementRecord>\n'
)
RECORDS = (
    '<?xml version="1.0" encoding="utf-8"?>\n<bts:MeasurementData xmlns:bts="urn:x">\n'
    f"{''.join(RECORD.format(number) for number in range(1, 9))}</bts:MeasurementData>"
)
TOKENS = (
    *("<", ">", "&", '"', "'", "/", "]]>", "&amp;", "&lt;", "&undeclared;", "&#65;", "&#0;"),
    *(
        "\0",
        "\x1b",
        "\ufffe",
        "\t",
        "\u2028",
        "<!-- -->",
        "<![CDATA[x]]>",
        "<?x y?>",
        "<!DOCTYPE a>",
    ),
    *("</Image>", "<Image>", "</Images>", "<x/>", "</bts:MeasurementRecord>", "µ", " ", "7", "Row"),
)


def harmony(folder, version="V5"):
    """Return the text of a list of 24 images."""
    write_list(folder / "Index.xml", version, list_planes([(1, 1), (2, 2)], times=1))
    return (folder / "Index.xml").read_text(encoding="utf-8")


def read(folder, text, *, is_harmony=True):
    path = folder / "list.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    source = open_plate_source(folder)
    return read_harmony_index(source, path.name) if is_harmony else read_records(source, path.name)


def damaged(text, count):
    """Yield a text with something put in, taken out or cut off, the same ones every time."""
    numbers = random.Random(8)
    for _ in range(count):
        place = numbers.randrange(len(text))
        kind = numbers.random()
        gone = numbers.randrange(12) if kind < 0.6 else 0
        token = numbers.choice(TOKENS) if kind > 0.2 else ""
        yield text[:place] + token + text[place + gone :] if kind < 0.95 else text[:place]


@pytest.mark.parametrize("is_harmony", [True, False])
def test_whatever_is_read_is_well_formed(tmp_path, is_harmony):
    text = harmony(tmp_path) if is_harmony else RECORDS
    read_count = 0
    for one in damaged(text, 200):
        try:
            read(tmp_path, one, is_harmony=is_harmony)
        except InputDataError:
            continue
        expat.ParserCreate().Parse(one.encode(), True)
        read_count += 1
    assert read_count > 10


@pytest.mark.parametrize("version", NAMESPACES)
def test_images_of_a_known_form_are_read_as_by_a_parser(tmp_path, version):
    text = harmony(tmp_path, version)
    found = read(tmp_path, text).planes
    images = [e for e in ET.fromstring(text.encode()).iter() if e.tag.endswith("}Image")]
    images = [{child.tag.rpartition("}")[2]: child.text for child in one} for one in images]
    assert [plane.path for plane in found] == [one["URL"] for one in images if "URL" in one]
    assert [plane.acquisition.acquired for plane in found] == [
        one["AbsTime"] for one in images if "URL" in one
    ]


@pytest.mark.parametrize(
    "inside",
    ["<!-- -->", "<![CDATA[1]]>", "<?x?>", "&undeclared;", "&#0;", "\x1b", "]]>", "<b>", "\ufffe"],
)
def test_what_a_parser_refuses_is_refused_in_rows_of_a_known_form(tmp_path, inside):
    """The tenth image: its tags have been seen nine times."""
    parts = harmony(tmp_path).split("</URL>")
    text = f"{'</URL>'.join(parts[:10])}{inside}</URL>{'</URL>'.join(parts[10:])}"
    with pytest.raises(InputDataError, match=r"not whole XML|not to be trusted"):
        read(tmp_path, text)
    with pytest.raises(InputDataError, match=r"not whole XML|not to be trusted"):
        read(tmp_path, RECORDS.replace("_7.tif", f"_7.tif{inside}"), is_harmony=False)


def test_names_with_escaped_letters_are_read(tmp_path):
    text = RECORDS.replace("P_D08_7", "P&amp;Q_D08_7").replace("P_D08_8", "P&#81;_D08_8")
    planes, _ = read(tmp_path, text, is_harmony=False)
    assert [plane.path for plane in planes[5:]] == ["P_D08_6.tif", "P&Q_D08_7.tif", "PQ_D08_8.tif"]


def test_rows_behind_the_end_are_refused(tmp_path):
    with pytest.raises(InputDataError, match="not whole XML: junk after document element"):
        read(tmp_path, RECORDS + RECORD.format(9), is_harmony=False)


def test_rows_of_many_forms_are_read_all_the_same(tmp_path):
    text = RECORDS
    for number in range(9, 60):
        row = RECORD.format(number).replace("bts:Type", f'bts:New{number}="x" bts:Type')
        text = text.replace("</bts:MeasurementData>", f"{row}</bts:MeasurementData>")
    planes, errors = read(tmp_path, text, is_harmony=False)
    assert [plane.site for plane in planes] == [*range(1, 60)]
    assert errors == 0


def test_records_without_text_are_counted_as_errors(tmp_path):
    row = RECORD.format(3)
    error = f"{row.partition('>')[0].replace('IMG', 'ERR')}/>\n"
    planes, errors = read(tmp_path, RECORDS.replace(row, error), is_harmony=False)
    assert [plane.site for plane in planes] == [1, 2, 4, 5, 6, 7, 8]
    assert errors == 1


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_encodings_are_refused(tmp_path, encoding):
    text = RECORDS.replace("P_D08_7", "µ_D08_7").encode(encoding)
    with pytest.raises(InputDataError, match="expected UTF-8"):
        read(tmp_path, text, is_harmony=False)


def test_a_row_without_end_is_refused_in_bounded_memory(tmp_path):
    text = RECORDS.partition("_7.tif")[0] + "P" * (1 << 21)
    with pytest.raises(InputDataError, match="a record of more than"):
        read(tmp_path, text, is_harmony=False)
