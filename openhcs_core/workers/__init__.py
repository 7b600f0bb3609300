"""Warm workers: processes that do one ``openhcs-core run-step`` after another."""

from openhcs_core.workers.lines import StepLine, read_step_line, split_plain_line
from openhcs_core.workers.messages import Outcome, Usage
from openhcs_core.workers.policy import WorkerLimits
from openhcs_core.workers.pool import PoolSummary
from openhcs_core.workers.run import JobTerms, WarmRun

__all__ = [
    "JobTerms",
    "Outcome",
    "PoolSummary",
    "StepLine",
    "Usage",
    "WarmRun",
    "WorkerLimits",
    "read_step_line",
    "split_plain_line",
]
