"""Warm workers: processes that do one ``openhcs-core run-step`` after another."""

from openhcs_core.workers.lines import StepLine, read_step_line, split_plain_line
from openhcs_core.workers.messages import Outcome, Usage
from openhcs_core.workers.pilot_policy import PilotLimits
from openhcs_core.workers.pilot_pool import PilotSettings
from openhcs_core.workers.policy import WorkerLimits
from openhcs_core.workers.pool import PoolSummary
from openhcs_core.workers.run import JobTerms, WarmRun
from openhcs_core.workers.slurm_pilots import SlurmSettings

__all__ = [
    "JobTerms",
    "Outcome",
    "PilotLimits",
    "PilotSettings",
    "PoolSummary",
    "SlurmSettings",
    "StepLine",
    "Usage",
    "WarmRun",
    "WorkerLimits",
    "read_step_line",
    "split_plain_line",
]
