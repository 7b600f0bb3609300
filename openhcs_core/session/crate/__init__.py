"""A plate's results as a Workflow Run RO-Crate, and a run that is repeated from one."""

from openhcs_core.session.crate.recorded import RecordedCrate, read_crate
from openhcs_core.session.crate.rerun import Comparison, compare, prepare, run
from openhcs_core.session.crate.writing import CrateOptions, WrittenCrate, write_crate

__all__ = [
    "Comparison",
    "CrateOptions",
    "RecordedCrate",
    "WrittenCrate",
    "compare",
    "prepare",
    "read_crate",
    "run",
    "write_crate",
]
