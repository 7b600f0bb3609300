"""Wells that ever had a plan of their own keep one, so that its removal is noticed."""

from pathlib import Path

from openhcs_core.plan import (
    CompiledPipeline,
    PlatePlan,
    StepPlan,
    plan_digest,
    plan_path,
)
from openhcs_core.runtime import manifest_digest
from openhcs_core.session.file_times import FileTimes
from openhcs_core.session.manifests import manifest_place


def with_lasting_plans(plate: PlatePlan, results: str) -> PlatePlan:
    """Give wells that have results of a plan of their own one again, equal to the step's.

    A plan file that no job has read since it appeared (an override that was looked at with
    ``-n`` and undone) does not count: the rule would get another input than it had.
    """
    well_steps = {step: dict(wells) for step, wells in plate.well_steps.items()}
    times: FileTimes | None = None
    for step in plate.steps:
        if step.is_plate_wide:
            continue
        mine: dict[str, StepPlan] = {}
        for path in _well_plans(plate, step.step_name, results):
            times = times or FileTimes(results)
            manifest = manifest_place(Path(results, plate.name), step.step_name, path.stem)
            if not _is_unused(path, step, manifest, times):
                mine[path.stem] = step
        if mine:
            well_steps[step.step_name] = mine | well_steps.get(step.step_name, {})
    return plate.model_copy(update={"well_steps": well_steps})


def remove_unused_plans(compiled: CompiledPipeline, times: FileTimes) -> None:
    """Remove plan files of wells that have no plan of their own."""
    for plate in compiled.plates:
        for step in plate.steps:
            own = plate.well_steps.get(step.step_name, {})
            files = _well_plans(plate, step.step_name, compiled.results)
            unused = [path for path in files if path.stem not in own]
            times.forget(unused)
            for path in unused:
                path.unlink()


def _well_plans(plate: PlatePlan, step: str, results: str) -> list[Path]:
    folder = Path(results, plate.name, plan_path(step)).with_suffix("")
    return [path for path in sorted(folder.glob("*.json")) if path.stem in plate.wells]


def _is_unused(path: Path, step: StepPlan, manifest: Path, times: FileTimes) -> bool:
    """Return whether a well's results are the step's and older than its own plan file."""
    appeared = times.first(path)
    return (
        appeared is not None
        and manifest_digest(manifest) == plan_digest(step)
        and manifest.stat().st_mtime_ns < appeared
    )
