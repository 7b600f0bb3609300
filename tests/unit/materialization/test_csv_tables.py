"""Tables: what is written is what a reader gets back."""

import csv
import io
import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization import CsvOptions, Entry, materialize
from openhcs_core.materialization.writers import table_text
from openhcs_core.planes import PlaneKey

CELLS = st.one_of(
    st.floats(), st.integers(), st.text(st.characters(exclude_categories=["Cs"], min_codepoint=1))
)


@given(st.lists(st.floats(allow_nan=True), max_size=20))
def test_floats_come_back_exactly(values):
    rows = list(csv.reader(io.StringIO(table_text({"x": values, "n": range(len(values))}))))
    for text, value in zip((row[0] for row in rows[1:]), values, strict=True):
        assert (text == "") if math.isnan(value) else (float(text) == value)


@given(st.lists(st.tuples(CELLS, CELLS), max_size=8))
def test_any_text_and_number_survives_quoting(rows):
    columns = {"a,b": [row[0] for row in rows], 'q"': [row[1] for row in rows]}
    text = table_text(columns)
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read[0] == ["a,b", 'q"']
    assert len(read) == len(rows) + 1
    for given_row, read_row in zip(rows, read[1:], strict=True):
        for value, cell in zip(given_row, read_row, strict=True):
            if isinstance(value, str):
                assert cell == value


def test_numpy_and_python_values_are_written_alike():
    text = table_text(
        {
            "i": np.array([1, 2], np.uint8),
            "f": np.array([0.1, np.nan]),
            "s": np.array(["a", "b"]),
            "b": [np.True_, False],
            "g": [None, np.float64(2)],
        }
    )
    assert text == "i,f,s,b,g\n1,0.1,a,True,\n2,,b,False,2.0\n"


def test_a_float32_is_written_as_the_number_it_is():
    value = np.float32(0.1)
    assert float(table_text({"x": [value]}).split()[1]) == float(value)


def test_pandas_reads_back_what_was_written():
    frame = pd.DataFrame({"w": ["B02", None], "n": [3, 4], "x": [1 / 3, np.nan]})
    frame["opt"] = pd.array([None, 7], dtype="Int64")
    text = table_text(frame)
    assert text == f"w,n,x,opt\nB02,3,{1 / 3!r},\n,4,,7\n"
    read = pd.read_csv(io.StringIO(text), float_precision="round_trip")
    assert read["x"].tolist()[0] == 1 / 3


def test_fields_choose_and_order_columns():
    assert table_text({"a": [1], "b": [2], "c": [3]}, ("c", "a")) == "c,a\n3,1\n"
    assert table_text({"a": [], "b": []}) == "a,b\n"
    assert table_text({}, ("a", "b")) == "a,b\n"
    assert table_text({}) == ""


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1, 2], "b": [1]}, "differ in length: a 2, b 1"),
        ({"a": "text", "b": [1]}, "column 'a' is str; expected a list"),
        ({"a": 5, "b": [1]}, "column 'a' is int; expected a list"),
        ({"a": 5, "b": {"c": 1}}, "column 'b' is dict with c; .*`source` chooses a part"),
        ({"a": {1, 2}}, "column 'a' is set"),
        ({"a": np.zeros((2, 2))}, r"column 'a' has a cell that is ndarray float64 \[2\]"),
        ({"a": [object()]}, "column 'a' has a cell that is object"),
        ({1: [1], "1": [2]}, "two keys that read the same: 1, 1"),
        ([1, 2], "is list of 2, the first int; a table is a dict"),
        ([{"a": 1}, {"a": 1, "b": 2}], "row 0 has a, row 1 a, b"),
        (np.zeros((2, 2)), r"is ndarray float64 \[2, 2\]; a table is"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "twice"),
    ],
)
def test_what_is_no_table_is_refused(columns, message):
    with pytest.raises(StepFunctionError, match=message):
        table_text(columns)


def test_a_field_that_is_no_column_is_refused():
    with pytest.raises(StepFunctionError, match="no column 'z'; it has a, b"):
        table_text({"a": [1], "b": [2]}, ("a", "z"))


def _joined(tables, **options):
    entries = [
        Entry((PlaneKey("A01", site, "1", 1, 1),), table) for site, table in enumerate(tables, 1)
    ]
    return materialize(CsvOptions(**options), entries).decode()


@given(
    st.lists(st.lists(st.tuples(CELLS, CELLS), max_size=3), min_size=1, max_size=4), st.booleans()
)
def test_tables_of_calls_are_joined_as_one_table_of_all_rows(tables, is_turned):
    first = next((number for number, rows in enumerate(tables) if rows), 0)
    names = ["a,b", "c"]
    given_tables = []
    for number, rows in enumerate(tables):
        columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
        is_other = is_turned and number != first
        given_tables.append(dict(reversed(columns.items())) if is_other else columns)
    rows = [("A01", site, "1", 1, 1, *row) for site, table in enumerate(tables, 1) for row in table]
    header = ["well", "site", "channel", "z_index", "timepoint", *names]
    if rows or not is_turned:  # without rows columns are in the order in which they appear
        whole = {name: [row[at] for row in rows] for at, name in enumerate(header)}
        assert _joined(given_tables) == table_text(whole)


def test_tables_are_joined_by_column_name_in_the_first_ones_order():
    text = _joined([{"a": [], "z": []}, {"b": [1], "a": [2]}, {"a": np.array([3]), "b": [4]}])
    front = "well,site,channel,z_index,timepoint"
    assert text == f"{front},b,a\nA01,2,1,1,1,1,2\nA01,3,1,1,1,4,3\n"
    assert _joined([{"a": []}, {"a": [], "b": []}]) == f"{front},a,b\n"
    assert _joined([]) == ""
    assert _joined([], fields=("b",)) == f"{front},b\n"


def test_tables_with_different_columns_are_not_joined():
    with pytest.raises(StepFunctionError, match="differ in column 'b'"):
        _joined([{"a": [1]}, {"a": [1], "b": [2]}])


def test_the_rows_of_one_call_are_in_memory_as_objects():
    more = []
    for calls in (2, 20):
        tables = [{"area": np.arange(2000) * 1.1}] * calls
        tracemalloc.start()
        text = _joined(tables)
        more.append(tracemalloc.get_traced_memory()[1] - 3 * len(text))
        tracemalloc.stop()
    assert more[1] - more[0] < 200_000
