"""Special outputs as files: options, and the writers they choose."""

from openhcs_core.materialization.engine import materialize
from openhcs_core.materialization.spec import (
    CsvOptions,
    MaterializationSpec,
    ROIOptions,
    WriterOptions,
)

__all__ = ["CsvOptions", "MaterializationSpec", "ROIOptions", "WriterOptions", "materialize"]
