"""Writers of special outputs: values to file contents, no file system."""

from openhcs_core.materialization.writers.csv_ import (
    csv_bytes,
    csv_lines,
    table_text,
)
from openhcs_core.materialization.writers.json_ import json_bytes
from openhcs_core.materialization.writers.roi import roi_bytes, roi_zip_bytes
from openhcs_core.materialization.writers.text import text_bytes
from openhcs_core.materialization.writers.tiff import tiff_bytes

__all__ = [
    "csv_bytes",
    "csv_lines",
    "json_bytes",
    "roi_bytes",
    "roi_zip_bytes",
    "table_text",
    "text_bytes",
    "tiff_bytes",
]
