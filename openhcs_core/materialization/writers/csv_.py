"""Tables as CSV text: the same text for the same values, on every machine."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization.columns import Columns, Table, as_columns, row_count
from openhcs_core.materialization.sources import COMPONENTS, Entry, describe
from openhcs_core.materialization.spec import CsvOptions
from openhcs_core.materialization.values import is_single, single


def csv_bytes(entries: Sequence[Entry], options: CsvOptions) -> bytes:
    """Return tables under each other, well, site, channel, z and time in front of every row.

    A column of the function that is named like one of these takes its place. Tables with rows
    have the same columns, in any order; those without may lack some. Columns are in the order
    of the first table with rows; where none has rows every column of any is in the header.

    Raises
    ------
    StepFunctionError
        No tables, columns of different lengths, or tables with different columns.
    """
    text = io.BytesIO()  # a well may have a million rows: those of one call are here as objects
    for line in csv_lines(_joined_rows(entries, options.fields)):
        text.write(line.encode())
    return text.getvalue()


def _joined_rows(entries: Sequence[Entry], chosen: Sequence[str] | None) -> Iterator[Sequence[str]]:
    """Yield the header, if there is any, and the rows of one entry after the other."""
    first: Columns | None = None
    empty: Columns = {}
    fields: list[str] = []
    for entry in entries:
        columns = _with_components(entry)
        if not row_count(columns):
            empty |= dict.fromkeys(columns, ())
            continue
        if first is None:
            first = dict.fromkeys(columns, ())
            fields = _fields(first, entries, chosen)
            yield fields
        _check_alike(list(first), columns)
        yield from zip(*(_cells(columns[name], name) for name in fields), strict=True)
    if first is None and (fields := _fields(empty, entries, chosen)):
        yield fields


def _fields(columns: Columns, entries: Sequence[Entry], chosen: Sequence[str] | None) -> list[str]:
    """Return the columns to write, in order."""
    if chosen is None:
        return list(columns)
    names = tuple(entries[0].components) if entries else COMPONENTS
    fields = [*names, *(name for name in chosen if name not in names)]
    # nothing found anywhere: the header is known all the same
    return _checked_fields(fields, columns if set(columns) - set(COMPONENTS) else fields)


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
    names = list(table) if fields is None else _checked_fields(list(fields), table)
    row_count(table)
    if not names:
        return ""
    cells = [_cells(table[name], name) for name in names]
    return "".join(csv_lines([names, *zip(*cells, strict=True)]))


def _check_alike(names: Sequence[str], part: Columns) -> None:
    odd = sorted(set(names) ^ set(part))
    if odd:
        raise StepFunctionError(
            f"tables to be joined differ in column {odd[0]!r}: one has "
            f"{', '.join(names)}, another {', '.join(part)}; "
            "give the same columns for every image"
        )


def _checked_fields(fields: list[str], columns: Iterable[str]) -> list[str]:
    known = list(columns)
    missing = [name for name in fields if name not in known]
    if missing:
        raise StepFunctionError(
            f"table has no column {missing[0]!r}; it has {', '.join(known)}: "
            "correct the `fields` of its options or the function"
        )
    return fields


def _with_components(entry: Entry) -> dict[str, Sequence[Any]]:
    columns = as_columns(entry.value)
    rows = row_count(columns)
    return {**{name: [part] * rows for name, part in entry.components.items()}, **columns}


def csv_lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    r"""Yield each row of cells as a line of CSV text that ends in ``\n``."""
    lines: list[str] = []
    # The csv module quotes only its own line end's characters: with \r\n it minds both.
    writer = csv.writer(_Lines(lines), lineterminator="\r\n")
    for row in rows:
        writer.writerow(row)
        yield lines.pop().removesuffix("\r\n") + "\n"


@dataclass(frozen=True)
class _Lines:
    """What a csv writer writes into: it writes a row at once."""

    lines: list[str]

    def write(self, text: str) -> None:
        self.lines.append(text)


def _cells(values: Sequence[Any], column: str) -> list[str]:
    return [_cell(value, column) for value in values]


def _cell(value: Any, column: str) -> str:
    if not is_single(value):
        raise StepFunctionError(
            f"column {column!r} has a cell that is {describe(value)}; expected a number or text "
            "in every cell (JsonOptions write nested values)"
        )
    plain = single(value)
    return "" if plain is None else str(plain)
