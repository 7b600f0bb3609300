"""Special outputs as files: options, and the writers they choose."""

from openhcs_core.materialization.engine import materialize
from openhcs_core.materialization.files import Overwrite, materialize_to, save_files
from openhcs_core.materialization.sources import (
    COMPONENTS,
    Entry,
    Later,
    as_array,
    describe,
    image_planes,
    select,
)
from openhcs_core.materialization.spec import (
    CsvOptions,
    FileOptions,
    JsonOptions,
    MaterializationSpec,
    ROIOptions,
    TextOptions,
    TiffOptions,
    WriterOptions,
)
from openhcs_core.materialization.writers import csv_lines, table_text

__all__ = [
    "COMPONENTS",
    "CsvOptions",
    "Entry",
    "FileOptions",
    "JsonOptions",
    "Later",
    "MaterializationSpec",
    "Overwrite",
    "ROIOptions",
    "TextOptions",
    "TiffOptions",
    "WriterOptions",
    "as_array",
    "csv_lines",
    "describe",
    "image_planes",
    "materialize",
    "materialize_to",
    "save_files",
    "select",
    "table_text",
]
