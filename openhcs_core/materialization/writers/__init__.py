"""Writers of special outputs: values to file contents, no file system."""

from openhcs_core.materialization.writers.csv_ import concat_tables, table_text
from openhcs_core.materialization.writers.roi import roi_zip_bytes

__all__ = ["concat_tables", "roi_zip_bytes", "table_text"]
