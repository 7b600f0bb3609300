"""A plate drawn as its grid of wells: a letter a well, so that it reads without colour."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase

from openhcs_core.planes import row_number, split_well
from openhcs_core.session.progress.view import UnitState

LETTERS: dict[UnitState, str] = {
    "done": "D",
    "running": "R",
    "failed": "F",
    "blocked": ".",
    "waiting": ".",
}
"""State to letter; nothing stands where the run has no well."""
_LABEL_WIDTH = 4
_WIDE, _NARROW = 3, 1


@dataclass(frozen=True)
class Cell:
    """One piece of a line: a well's letter, or a label that has no state."""

    text: str
    state: UnitState | None = None


GridLine = tuple[Cell, ...]


def plate_grid(wells: Mapping[str, UnitState], width: int) -> list[GridLine]:
    """Return the lines of a plate's grid, from A01 to its last row and column.

    Columns stand apart where they fit into `width`, else side by side, their numbers written
    downwards.

    Parameters
    ----------
    wells : dict
        Well to its state.
    width : int
        Letters that a line may have.
    """
    places = {split_well(well): state for well, state in wells.items()}
    if not places:
        return []
    columns = range(1, max(int(column) for _, column in places) + 1)
    last = max(row_number(row) for row, _ in places)
    rows = [*ascii_uppercase, *(f"A{letter}" for letter in ascii_uppercase)][: last + 1]
    cell_width = _WIDE if _LABEL_WIDTH + _WIDE * len(columns) <= width else _NARROW
    lines = _header(columns, cell_width)
    for row in rows:
        states = [places.get((row, f"{column:02d}")) for column in columns]
        cells = (
            Cell((LETTERS[state] if state else "").rjust(cell_width), state) for state in states
        )
        lines.append((Cell(row.ljust(_LABEL_WIDTH)), *cells))
    return lines


def _header(columns: range, cell_width: int) -> list[GridLine]:
    if cell_width == _WIDE:
        return [(Cell(" " * _LABEL_WIDTH + "".join(f"{column:>3}" for column in columns)),)]
    tens = "".join(str(column // 10) if column % 10 == 0 else " " for column in columns)
    units = "".join(str(column % 10) for column in columns)
    return [(Cell(" " * _LABEL_WIDTH + digits),) for digits in (tens, units)]
