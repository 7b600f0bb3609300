"""Manifests that jobs of a dead run left behind: they count as absent."""

from collections.abc import Iterator
from pathlib import Path

from openhcs_core.plan import CompiledPipeline, PlatePlan, manifest_path, plan_digest, plan_path
from openhcs_core.runtime import manifest_digest


def remove_orphaned_manifests(compiled: CompiledPipeline) -> list[Path]:
    """Remove manifests of another plan than today's that are newer than today's plan file.

    A manifest older than its plan file is left alone: snakemake sees by itself that it is out
    of date, and when the edit is undone it is valid again.

    Returns
    -------
    list of Path
        What was removed.
    """
    removed = []
    for plate in compiled.plates:
        for manifest, plan_file, digest in _expected(plate, Path(compiled.results) / plate.name):
            if manifest_digest(manifest) not in (None, digest) and _is_newer(manifest, plan_file):
                manifest.unlink()
                removed.append(manifest)
    return removed


def _expected(plate: PlatePlan, folder: Path) -> Iterator[tuple[Path, Path, str]]:
    """Yield manifest, plan file and plan digest of every step and well."""
    for plan in plate.steps:
        step, with_own = plan.step_name, plate.well_steps.get(plan.step_name, {})
        for own, wells in plate.variants(plan):
            digest = plan_digest(own)
            for well in wells:
                plan_file = folder / plan_path(step, well if well in with_own else None)
                yield folder / manifest_path(step, well), plan_file, digest


def _is_newer(path: Path, than: Path) -> bool:
    return path.stat().st_mtime_ns >= than.stat().st_mtime_ns
