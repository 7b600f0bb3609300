"""Tables as CSV text: the same text for the same values, on every machine."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization.columns import Table, as_columns, row_count
from openhcs_core.materialization.sources import COMPONENTS, Entry, describe
from openhcs_core.materialization.spec import CsvOptions
from openhcs_core.materialization.values import is_single, single


def csv_bytes(entries: Sequence[Entry], options: CsvOptions) -> bytes:
    """Return tables under each other, well, site, channel, z and time in front of every row.

    A column of the function that is named like one of these takes its place.
    """
    joined = concat_tables([_with_components(entry) for entry in entries])
    if options.fields is None:
        return table_text(joined).encode()
    names = tuple(entries[0].components) if entries else COMPONENTS
    if not set(joined) - set(
        COMPONENTS
    ):  # nothing found anywhere: the header is known all the same
        joined |= {name: [] for name in (*names, *options.fields) if name not in joined}
    chosen = [name for name in options.fields if name not in names]
    return table_text(joined, [*names, *chosen]).encode()


def table_text(columns: Table, fields: Sequence[str] | None = None) -> str:
    r"""Write a table as CSV text: a header, then a line a row.

    Floats are written with as few digits as give the same float64 back, missing
    values (None, NaN) as empty cells, lines end in ``\n``. The index of a
    DataFrame is not written.

    Parameters
    ----------
    columns : object
        See :func:`~openhcs_core.materialization.columns.as_columns`.
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
    table = as_columns(columns) or dict.fromkeys(fields or (), ())
    names = list(table) if fields is None else list(fields)
    missing = [name for name in names if name not in table]
    if missing:
        raise StepFunctionError(
            f"table has no column {missing[0]!r}; it has {', '.join(table)}: "
            "correct the `fields` of its options or the function"
        )
    row_count(table)
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
    parts = [as_columns(table) for table in tables]
    filled = [part for part in parts if row_count(part)]
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


def _with_components(entry: Entry) -> dict[str, Sequence[Any]]:
    columns = as_columns(entry.value)
    rows = row_count(columns)
    return {**{name: [part] * rows for name, part in entry.components.items()}, **columns}


def _line(row: Sequence[str]) -> str:
    # The csv module quotes only its own line end's characters: with \r\n it minds both.
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(row)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: Any, column: str) -> str:
    if not is_single(value):
        raise StepFunctionError(
            f"column {column!r} has a cell that is {describe(value)}; expected a number or text "
            "in every cell (JsonOptions write nested values)"
        )
    plain = single(value)
    return "" if plain is None else str(plain)
