"""How far a run is: from what a workflow engine tells of its jobs to what people are shown.

Knows no engine and no terminal: a logger plugin tells a :class:`RunReporter` of jobs that
start and end, and shows what it says.
"""

from openhcs_core.session.progress.displays import Display, open_display
from openhcs_core.session.progress.panel import draw_grid
from openhcs_core.session.progress.planned import NeededJob, PlannedPlate, PlannedRun, plan_run
from openhcs_core.session.progress.reporter import RunReporter
from openhcs_core.session.progress.view import PlateView, RunView, StepView, UnitState

__all__ = [
    "Display",
    "NeededJob",
    "PlannedPlate",
    "PlannedRun",
    "PlateView",
    "RunReporter",
    "RunView",
    "StepView",
    "UnitState",
    "draw_grid",
    "open_display",
    "plan_run",
]
