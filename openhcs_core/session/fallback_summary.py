"""What jobs of a run did because memory had run out, in a line a function."""

from collections.abc import Iterator
from pathlib import Path

from openhcs_core.errors import shortened
from openhcs_core.plan import PlatePlan, fallbacks_path
from openhcs_core.planes import well_order
from openhcs_core.runtime import read_fallbacks

_STAGES = {
    "freed_caches": "called again when caches were freed",
    "oom_split": "called with fewer slices at a time (oom_split)",
    "oom_cpu": "called on the CPU (oom_cpu)",
}
"""The later ones cost more."""


def describe_fallbacks(plate: PlatePlan, folder: Path, since: float) -> Iterator[str]:
    """Yield a line for each function and what was done for it at most.

    Parameters
    ----------
    plate : PlatePlan
        Its plan.
    folder : Path
        ``results/<plate>``.
    since : float
        Modification time, in s, that records of the run are not older than.
    """
    found: dict[tuple[str, str, str], set[str]] = {}
    for plan in plate.steps:
        for well in _noted(folder, plan.step_name, since):
            record = read_fallbacks(folder, plan.step_name, well)
            stages: dict[str, set[str]] = {}
            for use in record.uses if record is not None else ():
                stages.setdefault(use.function, set()).add(use.stage)
            for function, used in stages.items():
                most = max(used, key=list(_STAGES).index)
                found.setdefault((plan.step_name, function, most), set()).add(well)
    for (step, function, stage), wells in found.items():
        names = shortened(sorted(wells, key=well_order))
        place = folder / fallbacks_path(step, "*")
        yield (
            f"  memory  ran out in {function}, step {step!r}: {_STAGES[stage]}; "
            f"wells {names}; see {place}"
        )


def _noted(folder: Path, step: str, since: float) -> Iterator[str]:
    for path in (folder / fallbacks_path(step, "x")).parent.glob("*.fallbacks.json"):
        if path.stat().st_mtime >= since:
            yield path.name.partition(".")[0]
