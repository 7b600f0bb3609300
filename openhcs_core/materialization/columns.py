"""Tables of any form as columns, and as rows."""

from collections.abc import Mapping, Sequence, Set, Sized
from typing import TYPE_CHECKING, Any, TypeAlias

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization.sources import as_array, as_mapping, describe, is_frame
from openhcs_core.materialization.values import is_single

if TYPE_CHECKING:
    import pandas as pd

Columns: TypeAlias = dict[str, Sequence[Any]]
Table: TypeAlias = Any
"""What :func:`as_columns` takes."""

_NO_COLUMNS = (bytes, Mapping, Set)
TABLE_KINDS = (
    "a dict or dataclass of columns or of single values, a list of those with single values, "
    "a DataFrame or a structured array"
)


def as_columns(table: Table) -> Columns:
    """Return a table of any form as columns of one length.

    Parameters
    ----------
    table : object
        A dict or dataclass of columns (lists or 1-D arrays) or of single values (one row), a
        list or tuple of dicts or dataclasses of single values (a row each, all with the same
        names), a pandas DataFrame (its index is left out) or a structured numpy array.

    Returns
    -------
    dict of str to sequence
        In the given order, that of the first row for a list of rows.

    Raises
    ------
    StepFunctionError
        It is none of these, columns differ in length or rows in their names.
    """
    if is_frame(table):
        return _frame_columns(table)
    array = as_array(table)
    if array is not None and array.dtype.names is not None and array.ndim <= 1:
        return {name: array.reshape(-1)[name].tolist() for name in array.dtype.names}
    mapping = as_mapping(table)
    if mapping is not None:
        return _mapping_columns(mapping)
    if isinstance(table, list | tuple):
        return _row_columns(table)
    raise StepFunctionError(f"is {describe(table)}; a table is {TABLE_KINDS}")


def as_rows(table: Table) -> list[dict[str, Any]] | None:
    """Return the rows of a DataFrame, structured array or list of records; None for all else.

    An empty list has no rows.
    """
    array = as_array(table)
    is_structured = array is not None and array.dtype.names is not None
    if is_frame(table) or is_structured:
        columns = as_columns(table)
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if not isinstance(table, list | tuple):
        return None
    rows = [row for row in map(as_mapping, table) if row is not None]
    return rows if len(rows) == len(table) else None


def row_count(columns: Mapping[str, Sequence[Any]]) -> int:
    """Return the length of columns, 0 without any.

    Raises
    ------
    StepFunctionError
        They differ in length.
    """
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise StepFunctionError(f"columns of a table differ in length: {listed}")
    return next(iter(lengths.values()), 0)


def _mapping_columns(mapping: Mapping[str, Any]) -> Columns:
    singles = [name for name, value in mapping.items() if is_single(value)]
    if len(singles) == len(mapping):
        return {name: [value] for name, value in mapping.items()}
    odd = [name for name, value in mapping.items() if not _is_column(value)]
    for name in sorted(odd, key=lambda name: name in singles):  # a single value may be right
        raise StepFunctionError(
            f"column {name!r} is {describe(mapping[name])}; expected a list or 1-D array for every "
            "column, or single values for one row (`source` chooses a part, JsonOptions write "
            "nested values)"
        )
    columns = {name: _on_host(value) for name, value in mapping.items()}
    row_count(columns)
    return columns


def _is_column(value: Any) -> bool:
    return not is_single(value) and isinstance(value, Sized) and not isinstance(value, _NO_COLUMNS)


def _row_columns(rows: Sequence[Any]) -> Columns:
    records = []
    for row in rows:
        record = as_mapping(row)
        if record is None:
            raise StepFunctionError(f"is {describe(rows)}; a table is {TABLE_KINDS}")
        records.append(record)
    names = list(records[0]) if records else []
    for number, record in enumerate(records):
        odd = sorted(set(names) ^ set(record))
        if odd:
            raise StepFunctionError(
                f"rows of a table differ in column {odd[0]!r}: row 0 has {', '.join(names)}, "
                f"row {number} {', '.join(record)}; give every row the same names"
            )
    return {name: [record[name] for record in records] for name in names}


def _frame_columns(frame: "pd.DataFrame") -> Columns:
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise StepFunctionError(f"table has a column name twice: {', '.join(names)}")
    columns = [frame.iloc[:, i] for i in range(len(names))]
    return {
        name: [None if empty else value for value, empty in zip(column, column.isna(), strict=True)]
        for name, column in zip(names, columns, strict=True)
    }


def _on_host(values: Any) -> Sequence[Any]:
    array = as_array(values)
    if array is not None and array.ndim == 1 and array.dtype.kind in "biuf":
        numbers: list[Any] = array.tolist()  # Python's own, many times faster to go through
        return numbers
    column: Sequence[Any] = values if array is None else array  # type: ignore[assignment]  # iterable, of a length
    return column
