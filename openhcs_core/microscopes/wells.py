"""Wells by the numbers that instruments give."""

LAST_ROW, LAST_COLUMN = 32, 48
"""Those of a plate of 1536 wells."""


def well_name(row: int, column: int) -> str:
    """Return a well by row and column, both from 1: ``(2, 3)`` is ``"B03"``, ``(32, 48)`` AF48.

    Raises
    ------
    ValueError
        No plate has such a well.
    """
    if not (1 <= row <= LAST_ROW and 1 <= column <= LAST_COLUMN):
        raise ValueError(
            f"row {row}, column {column} is no well; the largest plate has {LAST_ROW} rows and "
            f"{LAST_COLUMN} columns"
        )
    return f"{row_letters(row)}{column:02d}"


def row_letters(number: int) -> str:
    """Return the letters of a plate row, from 1: 1 is A, 26 Z, 27 AA."""
    return chr(ord("A") + number - 1) if number <= 26 else f"A{chr(ord('A') + number - 27)}"
