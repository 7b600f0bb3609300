"""From a special output's values to the content of a file: the writer follows from the options."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

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
        parts = [replace(entry, value=select(entry.value, options.source)) for entry in entries]
        return _WRITERS[type(options)](parts, options)
    except StepFunctionError as error:
        raise StepFunctionError(f"{who} {error}") from error
    except UnicodeEncodeError as error:
        raise StepFunctionError(
            f"{who} has text that is not Unicode: {error.object[error.start : error.end]!r}"
        ) from error
