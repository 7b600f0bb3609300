"""Plates listed in a table: ``plates: config/plates.tsv``, a row a plate."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from openhcs_core.config.base import KeyPath
from openhcs_core.config.workflow import PlateConfig
from openhcs_core.config.yaml_ import LocatedDocument, load_yaml, read_scalar
from openhcs_core.errors import ConfigError, located

_NAME = "plate"
_LISTS = frozenset({"wells", "exclude_wells"})
_NESTED = frozenset({"generic", "ome_zarr", "defaults", "storage"})
_COLUMNS = (_NAME, *(name for name in PlateConfig.model_fields if name not in _NESTED))
_MOST_BYTES = 4 * 2**20


def load_config(path: str | Path) -> LocatedDocument:
    """Read a config; plates that it has in a table are as if they stood in it.

    Parameters
    ----------
    path : str or Path
        A YAML file. The path of the table in it is relative to the working directory.

    Raises
    ------
    ConfigError
        A file is absent, or no YAML or table.
    """
    document = load_yaml(path)
    data = document.data
    if not isinstance(data, dict) or not isinstance(data.get("plates"), str):
        return document
    table = _read(data["plates"], document.where(("plates",)))
    return replace(
        document,
        data={**data, "plates": table.plates},
        lines={**document.lines, **table.lines},
        elsewhere={**document.elsewhere, **table.places},
        problems=(*document.problems, *table.problems),
    )


@dataclass
class _Table:
    """What a table says, as :class:`LocatedDocument` has it."""

    path: str
    plates: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    places: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[ConfigError] = field(default_factory=list)

    def add(self, line: int, cells: dict[str, str]) -> None:
        """Add a row."""
        name = cells.pop(_NAME, "")
        if not name:
            self.refuse(line, f"no name stands under {_NAME!r}; each row names its plate")
        elif name in self.plates:
            first = self.lines["plates", name]
            self.refuse(line, f"{name!r} stands twice, first in line {first}; names must differ")
        else:
            plate: dict[str, Any] = {}
            self.plates[name] = plate
            self._note(("plates", name), line, name)
            for column, text in cells.items():
                self._put(plate, ("plates", name), line, column, text)

    def _put(self, plate: dict[str, Any], at: KeyPath, line: int, column: str, text: str) -> None:
        *parents, key = column.split(".")
        for parent in parents:
            plate, at = plate.setdefault(parent, {}), (*at, parent)
            self._note(at, line, column)
        try:
            plate[key] = read_scalar(text) if parents else _value(column, text)
        except ConfigError as error:
            self.refuse(line, f"{column}: {error}")
        self._note((*at, key), line, column)

    def _note(self, at: KeyPath, line: int, what: str) -> None:
        self.lines.setdefault(at, line)
        self.places.setdefault(at, f"{self.path}:{line} {what}")

    def refuse(self, line: int, text: str) -> None:
        """Note what is wrong with a row."""
        error = ConfigError(text)
        located(error, f"{self.path}:{line}")
        self.problems.append(error)


def _value(column: str, text: str) -> str | list[str]:
    if column not in _LISTS or text == "all" or ":" in text:
        return text
    return [part for part in re.split(r"[\s,;]+", text) if part]


def _read(path: str, where: str) -> _Table:
    """Read a table.

    Raises
    ------
    ConfigError
        There is none, or its columns are wrong.
    """
    table = _Table(path)
    rows = _rows(path, where)
    try:
        line, header = next(rows, (1, []))
        columns = [column.strip() for column in header]
        _check_columns(columns, f"{path}:{line}")
        for line, row in rows:
            if len(row) > len(columns):
                table.refuse(line, f"{len(row)} cells for {len(columns)} columns; remove tabs")
            cells = zip(columns, (cell.strip() for cell in row), strict=False)
            table.add(line, {column: cell for column, cell in cells if cell})
    except csv.Error as error:
        raise ConfigError(f"{path}: no table of tab-separated values: {error}") from error
    if not table.plates and not table.problems:
        table.refuse(line, "no plate is listed; at least one is needed")
    return table


def _rows(path: str, where: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield rows that say anything, with their lines."""
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise located(
            ConfigError(
                f"{path}: {reason}; plates are a mapping (name: settings) or the path of a table"
            ),
            where,
        ) from error
    except ValueError as error:  # not UTF-8, or no name of a file
        raise located(ConfigError(f"{path!r}: not UTF-8 text ({error})"), where) from error
    if len(content) > _MOST_BYTES:
        raise located(ConfigError(f"{path}: over {_MOST_BYTES} bytes for a table of plates"), where)
    reader = csv.reader(text.splitlines(), delimiter="\t", strict=True)
    for row in reader:
        if any(cell.strip() for cell in row) and not row[0].startswith("#"):
            yield reader.line_num, row


def _check_columns(columns: Sequence[str], where: str) -> None:
    known = ", ".join(_COLUMNS)
    for column in columns:
        if column not in _COLUMNS and column.split(".")[0] not in _NESTED:
            close = get_close_matches(column, _COLUMNS, n=1)
            remedy = f"did you mean {close[0]!r}?" if close else f"known columns: {known}"
            nested = "; settings of groups have a dot: defaults.keep, storage.zarr.compressor"
            raise located(ConfigError(f"unknown column {column!r}; {remedy}{nested}"), where)
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise located(ConfigError(f"columns stand twice: {', '.join(twice)}; keep one"), where)
    if missing := [column for column in (_NAME, "path") if column not in columns]:
        raise located(
            ConfigError(
                f"no column {missing[0]!r}; the first line names the columns, with tabs between: "
                f"{known}"
            ),
            where,
        )
