"""From a special output's values to the content of a file: the writer follows from the options."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization.sources import Entry, select
from openhcs_core.materialization.spec import (
    CsvOptions,
    JsonOptions,
    ROIOptions,
    TextOptions,
    TiffOptions,
    WriterOptions,
)
from openhcs_core.materialization.writers.csv_ import csv_bytes
from openhcs_core.materialization.writers.json_ import json_bytes
from openhcs_core.materialization.writers.roi import roi_bytes
from openhcs_core.materialization.writers.text import text_bytes
from openhcs_core.materialization.writers.tiff import tiff_bytes

_WRITERS: Mapping[type, Callable[[Sequence[Entry], Any], bytes]] = {
    CsvOptions: csv_bytes,
    JsonOptions: json_bytes,
    ROIOptions: lambda entries, _: roi_bytes(entries),
    TextOptions: text_bytes,
    TiffOptions: lambda entries, _: tiff_bytes(entries),
}


def materialize(options: WriterOptions, entries: Sequence[Entry], who: str = "output") -> bytes:
    """Return the content of one file of a special output, the same for the same values.

    Parameters
    ----------
    options : CsvOptions, JsonOptions, ROIOptions, TiffOptions or TextOptions
        Their type chooses the writer, their `source` the part of each value.
    entries : sequence of Entry
        What each call gave, in call order, which is the order in the file.
    who : str
        Step, well and output, for messages.

    Raises
    ------
    StepFunctionError
        The values are not what the writer takes.
    """
    try:
        return _WRITERS[type(options)](_Parts(entries, options.source), options)
    except StepFunctionError as error:
        raise StepFunctionError(f"{who} {error}") from error
    except UnicodeEncodeError as error:
        raise StepFunctionError(
            f"{who} has text that is not Unicode: {error.object[error.start : error.end]!r}"
        ) from error


@dataclass(frozen=True)
class _Parts(Sequence[Entry]):
    """Entries with the part of their values to be written; each is read when it is its turn."""

    entries: Sequence[Entry]
    source: str | None

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, number: int) -> Entry: ...

    @overload
    def __getitem__(self, number: slice) -> "_Parts": ...

    def __getitem__(self, number: int | slice) -> "Entry | _Parts":
        if isinstance(number, slice):
            return _Parts(self.entries[number], self.source)
        entry = self.entries[number]
        return replace(entry, value=select(entry.value, self.source))
