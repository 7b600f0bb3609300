"""Why a step of a well would run again: read from plans, manifests, files and Snakemake's records.

A room of its own, so that runs do not pay for importing what ``openhcs-core why`` alone needs.
"""

from openhcs_core.session.why.answer import explain_rerun
from openhcs_core.session.why.plan_differences import PlanDifference, find_differences
from openhcs_core.session.why.reasons import (
    DoneTogether,
    EarlierChanged,
    EarlierRuns,
    Failed,
    ImageChange,
    ImagesChanged,
    InputsNewer,
    Interrupted,
    MadeFrom,
    NeverDone,
    OutputsMissing,
    PlanChanged,
    Reason,
    RuleChanged,
    Unfinished,
    Why,
)

__all__ = [
    "DoneTogether",
    "EarlierChanged",
    "EarlierRuns",
    "Failed",
    "ImageChange",
    "ImagesChanged",
    "InputsNewer",
    "Interrupted",
    "MadeFrom",
    "NeverDone",
    "OutputsMissing",
    "PlanChanged",
    "PlanDifference",
    "Reason",
    "RuleChanged",
    "Unfinished",
    "Why",
    "explain_rerun",
    "find_differences",
]
