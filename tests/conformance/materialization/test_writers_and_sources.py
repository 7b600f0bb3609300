"""Every writer with every kind of value: other readers find what went in, or it is refused."""

import csv
import dataclasses
import io
import json
import math
import zipfile

import numpy as np
import pandas as pd
import pytest
import roifile
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.errors import EXIT_FUNCTION, StepFunctionError
from openhcs_core.materialization import (
    CsvOptions,
    Entry,
    JsonOptions,
    ROIOptions,
    TextOptions,
    TiffOptions,
    materialize,
)
from openhcs_core.planes import PlaneKey

KEY = PlaneKey("B02", 3, "1", 2, 1)
COMPONENTS = {"well": "B02", "site": 3, "channel": "1", "z_index": 2, "timepoint": 1}
CELLS = {name: str(value) for name, value in COMPONENTS.items()}
NAME = "s003_w1_z002_t001"


@dataclasses.dataclass
class Cell:
    label: int
    area: float


LABELS = np.array([[0, 1, 1, 0], [0, 1, 1, 2]], np.uint16)
SQUARE = [[0, 0], [0, 2], [2, 2], [2, 0]]
ROWS = [{"label": 1, "area": 0.1}, {"label": 2, "area": 2.5}]
SOURCES = {
    "dataclass": Cell(1, 0.1),
    "dataclasses": [Cell(1, 0.1), Cell(2, 2.5)],
    "columns": {"label": np.array([1, 2], np.int32), "area": [0.1, 2.5]},
    "scalars": {"label": np.uint8(1), "area": np.float64(0.1)},
    "dicts": ROWS,
    "frame": pd.DataFrame(ROWS, index=[7, 8]),
    "structured": np.array([(1, 0.1), (2, 2.5)], [("label", "i4"), ("area", "f8")]),
    "label image": LABELS,
    "label stack": LABELS[None],
    "polygons": [SQUARE],
    "rois": [roifile.ImagejRoi.frompoints(np.array([[0, 0], [2, 0], [2, 2]]), name="edge")],
    "text": "two cells",
    "number": np.float32(0.5),
    "numbers": [1, 2.5],
    "nothing found": [],
    "none": None,
}


def _make(options, *values):
    keys = [KEY._replace(site=KEY.site + number) for number in range(len(values))]
    entries = [Entry((key,), value) for key, value in zip(keys, values, strict=True)]
    return materialize(options, entries, "step 'count', well B02: output 'cells'")


def _read_csv(content):
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def _read_rois(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {
            name: roifile.ImagejRoi.frombytes(archive.read(name)) for name in archive.namelist()
        }


def _rows(*found):
    return [{**CELLS, **row} for row in found]


def _entries(*found):
    return [{**COMPONENTS, **entry} for entry in found]


FIRST, SECOND = {"label": "1", "area": "0.1"}, {"label": "2", "area": "2.5"}
WRITTEN = {
    ("csv", "dataclass"): _rows(FIRST),
    ("csv", "dataclasses"): _rows(FIRST, SECOND),
    ("csv", "columns"): _rows(FIRST, SECOND),
    ("csv", "scalars"): _rows(FIRST),
    ("csv", "dicts"): _rows(FIRST, SECOND),
    ("csv", "frame"): _rows(FIRST, SECOND),
    ("csv", "structured"): _rows(FIRST, SECOND),
    ("csv", "nothing found"): [],
    ("json", "dataclass"): _entries(ROWS[0]),
    ("json", "dataclasses"): _entries(*ROWS),
    ("json", "columns"): _entries({"label": [1, 2], "area": [0.1, 2.5]}),
    ("json", "scalars"): _entries(ROWS[0]),
    ("json", "dicts"): _entries(*ROWS),
    ("json", "frame"): _entries(*ROWS),
    ("json", "structured"): _entries(*ROWS),
    ("json", "polygons"): _entries({"value": [SQUARE]}),
    ("json", "text"): _entries({"value": "two cells"}),
    ("json", "number"): _entries({"value": 0.5}),
    ("json", "numbers"): _entries({"value": [1, 2.5]}),
    ("json", "nothing found"): [],
    ("json", "none"): _entries({"value": None}),
    ("text", "text"): f"# {NAME}\ntwo cells\n",
    ("text", "number"): f"# {NAME}\n0.5\n",
    ("text", "numbers"): f"# {NAME}\n1\n2.5\n",
    ("text", "nothing found"): f"# {NAME}\n",
    ("tiff", "label image"): [(NAME, LABELS.tolist())],
    ("tiff", "label stack"): [(NAME, LABELS.tolist())],
    ("roi", "label image"): [f"{NAME}-0001.roi", f"{NAME}-0002.roi"],
    ("roi", "label stack"): [f"{NAME}-0001.roi", f"{NAME}-0002.roi"],
    ("roi", "polygons"): [f"{NAME}-0001.roi"],
    ("roi", "rois"): [f"{NAME}-edge.roi"],
    ("roi", "nothing found"): [],
}


def _read_tiff(content):
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        return [(page.description, page.asarray().tolist()) for page in tiff.pages]


READERS = {
    "csv": (CsvOptions(), _read_csv),
    "json": (JsonOptions(), json.loads),
    "text": (TextOptions(), bytes.decode),
    "tiff": (TiffOptions(), _read_tiff),
    "roi": (ROIOptions(), lambda content: list(_read_rois(content))),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("writer", READERS)
def test_a_value_is_written_or_refused_by_name(writer, source):
    options, read = READERS[writer]
    value = SOURCES[source]
    if (writer, source) in WRITTEN:
        content = _make(options, value)
        assert read(content) == WRITTEN[writer, source]
        assert _make(options, value) == content
        return
    with pytest.raises(StepFunctionError) as caught:
        _make(options, value)
    message = str(caught.value)
    assert caught.value.exit_code == EXIT_FUNCTION
    assert message.startswith("step 'count', well B02: output 'cells' ")
    found = value[0] if isinstance(value, list) and value else value
    assert type(found).__name__ in message


@pytest.mark.parametrize("writer", READERS)
def test_a_well_without_calls_has_a_file_that_reads_as_empty(writer, recwarn):
    options, read = READERS[writer]
    if writer == "tiff":
        assert _make(options) == b"II*\0\0\0\0\0"
    else:
        assert len(read(_make(options))) == 0


@pytest.mark.parametrize("writer", ["csv", "json"])
def test_what_several_calls_gave_stands_in_call_order_each_with_its_components(writer):
    options, read = READERS[writer]
    found = read(_make(options, [Cell(2, 1.0), Cell(1, 1.0)], [], [Cell(9, 1.0)]))
    assert [(str(row["site"]), str(row["label"])) for row in found] == [
        ("3", "2"), ("3", "1"), ("5", "9"),
    ]  # fmt: skip


def test_texts_of_several_calls_are_told_apart_and_can_be_left_plain():
    assert _make(TextOptions(), "a", "b\n") == (b"# s003_w1_z002_t001\na\n# s004_w1_z002_t001\nb\n")
    plain = TextOptions(filename_suffix=".svg", headings=False)
    assert _make(plain, "<svg>µ</svg>") == "<svg>µ</svg>\n".encode()


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", ">u2", "i4", "u8", "f2", "f4", "f8"])
def test_images_keep_dtype_and_values(dtype):
    small, large = np.ones((2, 3), dtype), np.zeros((4, 5), dtype)
    with tifffile.TiffFile(io.BytesIO(_make(TiffOptions(), small, large))) as tiff:
        pages = [page.asarray() for page in tiff.pages]
    for page, image in zip(pages, (small, large), strict=True):
        np.testing.assert_array_equal(page, image)
        assert page.dtype == image.dtype.newbyteorder("=")


def test_a_stack_has_a_page_an_image_and_says_which():
    keys = tuple(KEY._replace(site=site) for site in (1, 3))
    stack = np.arange(12, dtype="f4").reshape(2, 2, 3)
    content = materialize(TiffOptions(), [Entry(keys, stack)])
    assert [name for name, _ in _read_tiff(content)] == ["s001_w1_z002_t001", NAME]
    with pytest.raises(StepFunctionError, match="has 3 slices for 2 images"):
        materialize(TiffOptions(), [Entry(keys, np.zeros((3, 2, 2)))])
    with pytest.raises(StepFunctionError, match="takes images of real numbers"):
        _make(TiffOptions(), np.zeros((2, 2), complex))


def test_polygons_keep_their_points_whole_or_in_fractions():
    whole, fractions = np.array([[1, 5], [1, 7], [4, 5]]), np.array([[0.5, 9], [3.25, 9], [1, 2]])
    found = list(_read_rois(_make(ROIOptions(), [whole, fractions])).values())
    for roi, points in zip(found, (whole, fractions), strict=True):
        np.testing.assert_array_equal(roi.coordinates()[:, ::-1], points)
        assert roi.roitype == roifile.ROI_TYPE.POLYGON
    for wrong, message in [
        (np.zeros((2, 2)), "for ROI 1 of a list"),
        ([[1, 2], [3]], "for ROI 1 of a list"),
        (np.full((3, 2), np.nan), "not finite"),
        (np.full((3, 2), 40000), "beyond 32767"),
    ]:
        with pytest.raises(StepFunctionError, match=message):
            _make(ROIOptions(), [wrong])


def test_rois_keep_all_but_their_names_which_differ_from_image_to_image():
    roi = roifile.ImagejRoi.frompoints(np.array([[0.5, 0], [2, 0], [2, 2]]), name="a")
    roi.roitype = roifile.ROI_TYPE.POLYLINE
    found = _read_rois(_make(ROIOptions(), [roi], [roi]))
    assert list(found) == ["s003_w1_z002_t001-a.roi", "s004_w1_z002_t001-a.roi"]
    for name, read in found.items():
        assert read.name == name.removesuffix(".roi")
        assert read.roitype == roifile.ROI_TYPE.POLYLINE
        np.testing.assert_array_equal(read.coordinates(), roi.coordinates())
    assert roi.name == "a"
    with pytest.raises(StepFunctionError, match="two ROIs named 's003_w1_z002_t001-a'"):
        _make(ROIOptions(), [roi, roi])


RESULT = {
    "summary": {"count": 2, "mean_area": 1.3},
    "details": [Cell(1, 0.1), Cell(2, 2.5)],
    "a.b": {"c": 1},
    "images": (LABELS, None),
}


def test_source_leads_to_a_part_of_a_dict_a_dataclass_or_a_list():
    def rows(source, value=RESULT):
        return json.loads(_make(JsonOptions(source=source, fields=None), value))

    assert rows("summary") == _entries({"count": 2, "mean_area": 1.3})
    assert rows("details") == _entries(*ROWS)
    assert rows("details.1") == _entries(ROWS[1])
    assert rows("details.1.area") == _entries({"value": 2.5})
    assert rows("a.b") == _entries({"c": 1})
    assert rows("a.b.c".removesuffix(".c")) == rows("a.b")
    assert rows("area", Cell(1, 0.1)) == _entries({"value": 0.1})
    assert _read_tiff(_make(TiffOptions(source="images.0"), RESULT)) == [(NAME, LABELS.tolist())]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("totals", "source 'totals': no 'totals' in summary, details, a.b, images"),
        ("details.7", "source 'details.7': no '7' in 0, 1"),
        ("summary.count.x", "source 'summary.count.x': nothing can be chosen from int"),
    ],
)
def test_a_source_that_is_not_there_names_what_is(source, message):
    with pytest.raises(StepFunctionError, match=f"output 'cells' {message}"):
        _make(CsvOptions(source=source), RESULT)


def test_fields_are_kept_in_their_order_after_the_components():
    text = _make(CsvOptions(fields=("area", "site")), [Cell(1, 0.1)]).decode()
    assert text == "well,site,channel,z_index,timepoint,area\nB02,3,1,2,1,0.1\n"
    (entry,) = json.loads(_make(JsonOptions(fields=("area", "label")), Cell(1, 0.1)))
    assert list(entry) == [*COMPONENTS, "area", "label"]
    header = b"well,site,channel,z_index,timepoint,area\n"
    assert _make(CsvOptions(fields=("area",)), []) == header
    assert _make(CsvOptions(fields=("area",))) == header


@pytest.mark.parametrize("options", [CsvOptions(fields=("aera",)), JsonOptions(fields=("aera",))])
def test_an_unknown_field_names_those_there_are(options):
    with pytest.raises(StepFunctionError, match=r"no (column|key) 'aera'; it has .*label, area"):
        _make(options, [Cell(1, 0.1)])


def test_what_a_function_itself_says_of_its_place_counts():
    row = {"site": 9, "n": 1}
    (found,) = _read_csv(_make(CsvOptions(), row))
    (entry,) = json.loads(_make(JsonOptions(fields=("n",)), row))
    assert (found["site"], entry["site"], list(entry)) == ("9", 9, [*COMPONENTS, "n"])


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_infinity=False),
    st.floats(width=32, allow_infinity=False).map(np.float32),
    st.integers(-128, 127).map(np.int8),
    st.text(st.characters(exclude_categories=["Cs"], min_codepoint=1)),
)


@given(st.lists(st.tuples(VALUES, VALUES), max_size=6))
def test_table_values_come_back_from_csv_and_json(rows):
    records = [{"a": a, 'q", µ\n': b} for a, b in rows]
    as_csv = _read_csv(_make(CsvOptions(), records))
    as_json = json.loads(_make(JsonOptions(), records), parse_constant=pytest.fail)
    assert len(as_csv) == len(as_json) == len(records)
    for record, cells, entry in zip(records, as_csv, as_json, strict=True):
        for name, value in record.items():
            if value is None or (not isinstance(value, str) and math.isnan(value)):
                assert (cells[name], entry[name]) == ("", None)
            elif isinstance(value, str):
                assert cells[name] == entry[name] == value
            elif isinstance(value, bool):
                assert (cells[name], entry[name]) == (str(value), value)
            else:
                assert type(value)(cells[name]) == value
                assert entry[name] == value


def test_json_has_no_infinity_and_says_where_it_was_met():
    with pytest.raises(StepFunctionError, match=r"'fit\.1\.snr' is inf, which JSON has no"):
        _make(JsonOptions(), {"fit": [{"snr": 1.0}, {"snr": math.inf}]})
    assert _read_csv(_make(CsvOptions(), {"snr": math.inf}))[0]["snr"] == "inf"


def test_json_nests_what_tables_cannot_hold():
    value = {"cells": [Cell(1, math.nan)], "matrix": np.eye(2), "at": {1: np.int8(2)}, "x": pd.NA}
    (entry,) = json.loads(_make(JsonOptions(), value))
    assert {name: entry[name] for name in value} == {
        "cells": [{"label": 1, "area": None}],
        "matrix": [[1.0, 0.0], [0.0, 1.0]],
        "at": {"1": 2},
        "x": None,
    }
    with pytest.raises(StepFunctionError, match="'cells' is set; JSON takes"):
        _make(JsonOptions(), {"cells": {1, 2}})
    with pytest.raises(StepFunctionError, match="two keys that read the same"):
        _make(JsonOptions(), {"cells": {1: 0, "1": 0}})


def test_text_that_no_file_can_hold_is_the_functions_fault():
    with pytest.raises(StepFunctionError, match=r"not Unicode: '\\ud800'"):
        _make(TextOptions(), "\ud800")
