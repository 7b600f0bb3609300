"""Many plates by one command: each a run of its own where one of all would be too large."""

from openhcs_core.session.facility.checks import CheckedPlate, check_plate, plates_to_run
from openhcs_core.session.facility.outcomes import (
    Outcome,
    broken_outcome,
    exit_code,
    write_outcomes,
)
from openhcs_core.session.facility.runner import (
    FacilityOptions,
    FacilityRun,
    Task,
    cut_tasks,
)

__all__ = [
    "CheckedPlate",
    "FacilityOptions",
    "FacilityRun",
    "Outcome",
    "Task",
    "broken_outcome",
    "check_plate",
    "cut_tasks",
    "exit_code",
    "plates_to_run",
    "write_outcomes",
]
