"""Tables as CSV text: the same text for the same values, on every machine."""

import csv
import io
import math
import sys
from collections.abc import Mapping, Sequence, Sized
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from openhcs_core.errors import StepFunctionError

if TYPE_CHECKING:
    import pandas as pd

Table: TypeAlias = Union[Mapping[str, Sequence[Any]], "pd.DataFrame"]
"""Column name to values, a list or a 1-D array each, all of one length."""


def table_text(columns: Table, fields: Sequence[str] | None = None) -> str:
    r"""Write a table as CSV text: a header, then a line a row.

    Floats are written with as few digits as give the same float64 back, missing
    values (None, NaN) as empty cells, lines end in ``\n``. The index of a
    DataFrame is not written.

    Parameters
    ----------
    columns : mapping of str to sequence, or pandas.DataFrame
        Columns of one length; they may be empty.
    fields : sequence of str, optional
        Columns to write, in order; all of them when absent.

    Returns
    -------
    str
        Without columns and without `fields` an empty text.

    Raises
    ------
    StepFunctionError
        Columns of different lengths, a field that is no column, a column name
        twice, or a cell that is not a single value.
    """
    table = _as_columns(columns) or dict.fromkeys(fields or (), ())
    names = list(table) if fields is None else list(fields)
    missing = [name for name in names if name not in table]
    if missing:
        raise StepFunctionError(
            f"table has no column {missing[0]!r}; it has {', '.join(table)}: "
            "correct the `fields` of its options or the function"
        )
    _row_count(table)
    if not names:
        return ""
    cells = [[_cell(value, name) for value in table[name]] for name in names]
    return "".join(_line(row) for row in [names, *zip(*cells, strict=True)])


def concat_tables(tables: Sequence[Table]) -> dict[str, list[Any]]:
    """Put tables under each other.

    Parameters
    ----------
    tables : sequence of tables
        As for :func:`table_text`. Those with rows have the same columns, in any
        order; those without rows may lack some.

    Returns
    -------
    dict of str to list
        Columns in the order of the first table with rows; where none has rows,
        every column of any, in the order in which they appear.

    Raises
    ------
    StepFunctionError
        Columns of different lengths, or tables with different columns.
    """
    parts = [_as_columns(table) for table in tables]
    filled = [part for part in parts if _row_count(part)]
    if not filled:
        return {name: [] for part in parts for name in part}
    names = list(filled[0])
    for part in filled:
        odd = sorted(set(names) ^ set(part))
        if odd:
            raise StepFunctionError(
                f"tables to be joined differ in column {odd[0]!r}: one has "
                f"{', '.join(names)}, another {', '.join(part)}; "
                "give the same columns for every image"
            )
    return {name: [value for part in filled for value in part[name]] for name in names}


def _as_columns(table: Table) -> dict[str, Sequence[Any]]:
    # A DataFrame exists only where pandas has been imported.
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(table, pandas.DataFrame):
        return _frame_columns(table)
    if not isinstance(table, Mapping):
        raise StepFunctionError(
            f"a table is a mapping of column names to values, got {type(table).__name__}"
        )
    return {str(name): values for name, values in table.items()}


def _frame_columns(frame: "pd.DataFrame") -> dict[str, Sequence[Any]]:
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise StepFunctionError(f"table has a column name twice: {', '.join(names)}")
    columns = [frame.iloc[:, i] for i in range(len(names))]
    return {
        name: [None if empty else value for value, empty in zip(column, column.isna(), strict=True)]
        for name, column in zip(names, columns, strict=True)
    }


def _row_count(table: Mapping[str, Sequence[Any]]) -> int:
    for name, values in table.items():
        if isinstance(values, str) or not isinstance(values, Sized):
            raise StepFunctionError(
                f"column {name!r} is {type(values).__name__}; expected a list or 1-D array"
            )
    lengths = {name: len(values) for name, values in table.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise StepFunctionError(f"columns of a table differ in length: {listed}")
    return next(iter(lengths.values()), 0)


def _line(row: Sequence[str]) -> str:
    # The csv module quotes only its own line end's characters: with \r\n it minds both.
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(row)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: Any, column: str) -> str:
    if isinstance(value, Real) and not isinstance(value, Integral):
        return "" if math.isnan(value) else repr(float(value))
    if isinstance(value, Sized) and not isinstance(value, str):
        raise StepFunctionError(
            f"column {column!r} has a {type(value).__name__} in a cell; expected one value a row"
        )
    return "" if value is None else str(value)
