"""One run on one results folder: compile a config under the lock, then guard the folder.

Reads configs and plates, writes plans and rules: the I/O around the pure compiler.
"""

from openhcs_core.session.compiling import Compilation, compile_workflow
from openhcs_core.session.files import write_files
from openhcs_core.session.job_states import PlateStatus
from openhcs_core.session.plates import open_orchestrator
from openhcs_core.session.run_session import DEFAULT_CONFIG, RunSession, session_for
from openhcs_core.session.snakemake_entry import (
    cluster_name,
    compile_for_snakemake,
    read_plan_index,
)

__all__ = [
    "DEFAULT_CONFIG",
    "Compilation",
    "PlateStatus",
    "RunSession",
    "cluster_name",
    "compile_for_snakemake",
    "compile_workflow",
    "open_orchestrator",
    "read_plan_index",
    "session_for",
    "write_files",
]
