"""From a special output's values to the content of a file: the writer follows from the options."""

from collections.abc import Callable, Mapping
from typing import Any

from openhcs_core.materialization.spec import CsvOptions, ROIOptions
from openhcs_core.materialization.writers.csv_ import concat_tables, table_text
from openhcs_core.materialization.writers.roi import roi_zip_bytes


def _csv(tables: Any, options: CsvOptions) -> bytes:
    return table_text(concat_tables(tables), options.fields).encode()


def _roi(labels: Any, options: ROIOptions) -> bytes:
    return roi_zip_bytes(labels)


_WRITERS: Mapping[type, Callable[[Any, Any], bytes]] = {CsvOptions: _csv, ROIOptions: _roi}


def materialize(options: CsvOptions | ROIOptions, values: Any) -> bytes:
    """Return the content of one file of a special output.

    Parameters
    ----------
    options : CsvOptions or ROIOptions
        Their type chooses the writer.
    values : list
        For `CsvOptions` tables, to be put under each other; for `ROIOptions`
        ``(prefix, labels [Y, X])`` pairs.

    Raises
    ------
    StepFunctionError
        The values are not what the writer takes.
    """
    return _WRITERS[type(options)](values, options)
