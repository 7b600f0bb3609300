"""What people edit, and the jobs that have to run then: the one table behind tests and docs."""

from rerun_edits import plates, settings, steps
from rerun_edits.model import ALL, OTHER, STORE
from rerun_edits.project import INPUTS, write_project

TOPICS = {
    "Settings": settings.PARAMETERS,
    "Functions and libraries": settings.CODE,
    "Plates and wells": plates.WELLS,
    "Images": plates.IMAGES,
    "Steps and kept images": steps.STEPS,
    "Places, and how it is run": settings.PLACES,
    "Deleted results": steps.FILES,
}
EDITS = tuple(edit for edits in TOPICS.values() for edit in edits)
EVERYTHING = sorted(ALL | STORE | OTHER)
"""The jobs of a first run."""

__all__ = ["EDITS", "EVERYTHING", "INPUTS", "TOPICS", "write_project"]
