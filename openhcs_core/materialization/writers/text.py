"""Plain text."""

from collections.abc import Sequence
from typing import Any

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization.sources import Entry, as_array, describe
from openhcs_core.materialization.spec import TextOptions
from openhcs_core.materialization.values import is_single, single


def text_bytes(entries: Sequence[Entry], options: TextOptions) -> bytes:
    """Return texts under each other, each ended by a line end, in UTF-8.

    Parameters
    ----------
    entries : sequence of Entry
        Texts, numbers, or lists and 1-D arrays of these, a line each.
    options : TextOptions
        Whether each begins with the name of its image.

    Raises
    ------
    StepFunctionError
        Something else.
    """
    parts = []
    for entry in entries:
        heading = f"# {entry.name}\n" if options.headings else ""
        parts.append(heading + "".join(map(_ended, _lines(entry.value))))
    return "".join(parts).encode()


def _lines(value: Any) -> list[str]:
    array = as_array(value)
    items = value if array is None or array.ndim != 1 else list(array)
    if not isinstance(items, list | tuple):
        items = [items]
    if any(item is None or not is_single(item) for item in items):
        raise StepFunctionError(
            f"is {describe(value)}; text takes text, numbers and lists of these (CsvOptions write "
            "tables, JsonOptions dicts and dataclasses)"
        )
    # missing numbers are written out: an empty line would say nothing
    return [str(plain) if (plain := single(item)) is not None else "nan" for item in items]


def _ended(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
