"""Values between steps as files: what is read back is what was written, and nothing is pickled."""

import io
import tempfile
import tracemalloc
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from openhcs_core.errors import InputDataError, StepFunctionError
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.special_io import encode_values, read_values

KEYS = (PlaneKey("B02", 1, "1", 1, 1), PlaneKey("B02", 2, "1", 1, 1))
WHO = "step 's', well B02: output 'x'"

SINGLES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ARRAYS = hnp.arrays(
    hnp.scalar_dtypes() | hnp.array_dtypes(), hnp.array_shapes(min_dims=0, min_side=0, max_side=3)
)
PLAIN = st.recursive(
    SINGLES | ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(SINGLES | st.tuples(st.integers(), st.text()), inner, max_size=3)
    ),
    max_leaves=8,
)


def _round_trip(value):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "values.zip")
        path.write_bytes(encode_values([(KEYS, value)], WHO))
        (stored,) = read_values(path)
        assert stored.keys == KEYS
        return stored.make()


def _same(left, right):
    """Compare values and types; NaN is NaN, -0.0 is not 0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray | np.generic):
        return (
            left.dtype == right.dtype and left.shape == right.shape
        ) and left.tobytes() == right.tobytes()
    if isinstance(left, float):
        return repr(left) == repr(right)
    if isinstance(left, dict):
        return _same(list(left.items()), list(right.items()))
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    return left == right


@given(PLAIN)
def test_reading_gives_what_was_written(value):
    assert _same(_round_trip(value), value)


@given(
    st.lists(
        st.sampled_from(["i1", "u2", ">i4", "f4", "f8", "?", "c16", "M8[ns]", "m8[s]"]), max_size=3
    ),
    st.integers(0, 4),
    st.lists(st.text() | st.none() | st.integers() | st.floats(), min_size=4, max_size=4),
)
def test_tables_keep_dtypes_labels_and_index(dtypes, rows, mixed):
    table = pd.DataFrame(
        {number: np.arange(rows).astype(dtype) for number, dtype in enumerate(dtypes)}
        | {"mixed": pd.Series(mixed[:rows], dtype=object)}
    )
    found = _round_trip(table)
    pd.testing.assert_frame_equal(found, table, check_exact=True, check_column_type="exact")
    assert list(map(type, found["mixed"])) == list(map(type, table["mixed"]))


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(),
        pd.DataFrame({"x": [1.5, np.nan, np.inf]}, index=pd.Index([5, 3, 3], name="label")),
        pd.DataFrame([[1, 2]], columns=["same", "same"]),
        pd.DataFrame({"name": pd.array(["a", None], dtype="string")}),
        pd.DataFrame({"points": [[(1, 2)], None]}, index=pd.RangeIndex(4, 0, -2)),
        pd.DataFrame(np.eye(2), columns=pd.Index([2, 1], name="c")),
    ],
)
def test_odd_tables(table):
    table.attrs["unit"] = "um"
    found = _round_trip(table)
    pd.testing.assert_frame_equal(
        found, table, check_exact=True, check_index_type="exact", check_column_type="exact"
    )
    assert found.attrs == {"unit": "um"}


def test_order_in_memory_and_byte_order_stay():
    array = np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))
    found = _round_trip(array)
    assert found.dtype == array.dtype
    assert found.flags.f_contiguous


def test_equal_values_give_equal_bytes_without_dates_or_compression():
    def make():
        return encode_values(
            [(KEYS[:1], {"a": np.arange(3)}), (KEYS[1:], {"a": np.arange(2)})], WHO
        )

    assert make() == make()
    members = zipfile.ZipFile(io.BytesIO(make())).infolist()
    assert [member.filename for member in members] == ["values.json", "0.npy", "1.npy"]
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}


def test_memory_is_that_of_one_file_when_written_and_of_one_value_when_read(tmp_path):
    array = np.zeros(2**17)
    values = [(KEYS, array)] * 9
    encode_values(values[:1], WHO)
    tracemalloc.start()
    content = encode_values(values, WHO)
    assert tracemalloc.get_traced_memory()[1] < 1.5 * len(content)
    tracemalloc.stop()
    (tmp_path / "values.zip").write_bytes(content)
    tracemalloc.start()
    for stored in read_values(tmp_path / "values.zip"):
        np.testing.assert_array_equal(stored.make()[:9], 0)
    assert tracemalloc.get_traced_memory()[1] < 3.5 * array.nbytes
    tracemalloc.stop()


def test_a_file_that_is_altered_while_it_is_in_use_is_named(tmp_path):
    path = tmp_path / "values.zip"
    path.write_bytes(encode_values([(KEYS, np.arange(90_000))], WHO))
    (stored,) = read_values(path)
    content = path.read_bytes()
    with path.open("r+b") as stream:
        stream.write(content[:-9_000] + b"\1" * 4_000 + content[-5_000:])
    with pytest.raises(InputDataError, match=r"values\.zip was altered while a job read it"):
        stored.make()


def test_each_use_has_its_own_copy(tmp_path):
    (tmp_path / "values.zip").write_bytes(encode_values([(KEYS, np.zeros(2))], WHO))
    (stored,) = read_values(tmp_path / "values.zip")
    stored.make()[:] = 1
    np.testing.assert_array_equal(stored.make(), 0)


@dataclass
class _Positions:
    x: int = 1


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (_Positions(), "value 1 is _Positions"),
        ({"a": [1, {2}]}, r"value 1\['a'\]\[1\] is set"),
        (np.array([None]), r"value 1 is ndarray object \[1\]"),
        (np.ma.masked_array([1]), "value 1 is MaskedArray"),
        (OrderedDict(a=1), "value 1 is OrderedDict"),
        (PlaneKey("B02", 1, "1", 1, 1), "value 1 is PlaneKey"),
        (10**4000, "value 1 is int"),
        (np.str_("a\0"), "value 1 is str_"),
        (
            pd.DataFrame({"x": pd.array([1], dtype="Int64")}),
            "value 1 column 'x' is a column of Int",
        ),
        (pd.DataFrame({"x": pd.Categorical(["a"])}), "value 1 column 'x' is a column of category"),
        (pd.DataFrame({"x": [1]}, index=[pd.Timestamp(0)]), "value 1 index is DatetimeIndex"),
        (b"raw", "value 1 is bytes"),
    ],
)
def test_what_cannot_travel_is_named_with_what_can(value, found):
    with pytest.raises(StepFunctionError, match=found) as caught:
        encode_values([(KEYS, value)], WHO)
    assert str(caught.value).startswith(f"{WHO}: value 1")
    assert "what travels: None, bool, int, float, str, and lists, tuples and dicts" in str(
        caught.value
    )


def test_a_value_that_holds_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(StepFunctionError, match="nested deeper than 100"):
        encode_values([(KEYS, value)], WHO)
