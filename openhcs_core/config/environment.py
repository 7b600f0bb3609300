"""Environment variables that are read; no other module reads any."""

import os

RUN_VARIABLE = "OPENHCS_RUN"
"""Set by a run for its jobs: which run they are of. They outlive it when it is killed."""


def run_of_this_job() -> str | None:
    """Return the run that started this process, None when it was started by hand."""
    return os.environ.get(RUN_VARIABLE) or None
