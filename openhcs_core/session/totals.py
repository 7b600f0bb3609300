"""What a run is expected to take altogether, and whether its disks have room for it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from openhcs_core.errors import DiskFullError
from openhcs_core.plan import PlatePlan, RunTotals, StepPlan, manifest_path
from openhcs_core.session.compiling import Compilation

GB = 1e9
Counts = Mapping[str, int]
"""Step to how many of its wells are to be done."""


def total(plates: Sequence[tuple[PlatePlan, Counts]], cache_bytes: float) -> RunTotals:
    """Return what doing some wells of some steps takes.

    Parameters
    ----------
    plates : sequence of (PlatePlan, Counts)
        What is to be done.
    cache_bytes : float
        What the cache may take after a run; during it, it takes what it needs.
    """
    jobs = [
        (plate.predictions[step], plate.resources[step], count)
        for plate, counts in plates
        for step, count in counts.items()
        if count
    ]
    hours = [(count * took.cpu_s / 3600, asked.gpu) for took, asked, count in jobs]
    cached = sum(count * took.cached_bytes for took, _, count in jobs)
    kept = sum(count * took.kept_bytes for took, _, count in jobs)
    return RunTotals(
        cpu_h=sum(cpu_h for cpu_h, _ in hours),
        gpu_h=sum(cpu_h * gpu for cpu_h, gpu in hours),
        peak_mb=max((took.peak_mb for took, _, _ in jobs), default=0),
        peak_bytes=cached + kept,
        final_bytes=round(min(cached, cache_bytes)) + kept,
    )


def describe_totals(totals: RunTotals) -> str:
    """Return it in words."""
    gpu = f" and {_hours(totals.gpu_h)} of a GPU" if totals.gpu_h else ""
    return (
        f"predicted {_hours(totals.cpu_h)} of a core{gpu}, up to {totals.peak_mb} MB a job, "
        f"{_size(totals.peak_bytes)} on disk at peak and {_size(totals.final_bytes)} in the end"
    )


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.1f} min"


def _size(size_bytes: float) -> str:
    return f"{size_bytes / GB:.1f} GB" if size_bytes >= GB else f"{size_bytes / 1e6:.0f} MB"


def all_wells(plate: PlatePlan) -> Counts:
    """Return what there is to do of a plate when nothing is done."""
    return {plan.step_name: len(plate.targets(plan)) for plan in plate.steps}


def missing_wells(plate: PlatePlan, folder: Path) -> Counts:
    """Return what of a plate has no manifest.

    Parameters
    ----------
    folder : Path
        ``results/<plate>``.
    """
    return {plan.step_name: _missing(plate, folder, plan) for plan in plate.steps}


def _missing(plate: PlatePlan, folder: Path, plan: StepPlan) -> int:
    place = (folder / manifest_path(plan.step_name, "A01")).parent
    try:
        there = {path.stem for path in place.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        there = set()
    return len({*plate.targets(plan)} - there)


def check_space(compilation: Compilation) -> None:
    """Check that the disks have room for what is not done yet.

    Raises
    ------
    DiskFullError
        They have not, as far as predicted, and ``storage.check_space`` is true.
    """
    storage, results = compilation.config.storage, Path(compilation.compiled.results)
    if not storage.check_space:
        return
    needs: dict[int, tuple[Path, float]] = {}
    for plate in compilation.compiled.plates:
        counts = missing_wells(plate, results / plate.name)
        for step, count in counts.items():
            took = plate.predictions[step]
            for place, size in (
                (results, took.kept_bytes),
                (compilation.cache_root, took.cached_bytes),
            ):
                there = _existing(place)
                before = needs.get(there.stat().st_dev, (there, 0.0))[1]
                needs[there.stat().st_dev] = (there, before + count * size)
    for place, needed in needs.values():
        disk = os.statvfs(place)
        free = disk.f_bavail * disk.f_frsize
        if needed > free:
            raise DiskFullError(
                f"the disk of {place} has {_size(free)} free, and what is not done yet needs "
                f"{_size(needed)} at peak (images of steps that are not kept stay in the cache "
                "until the run ends); make room, choose another disk by results or "
                "storage.cache_dir, work on fewer wells, or set storage.check_space to false"
            )


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
