"""What is written and said when a run ends, well or not."""

import csv
import io
from collections.abc import Iterator
from dataclasses import astuple, fields
from pathlib import Path

from openhcs_core.errors import InputDataError
from openhcs_core.materialization import ROIOptions
from openhcs_core.plan import (
    STATUS,
    PlatePlan,
    StepPlan,
    TablePlan,
    image_folder,
    output_files,
    partial_table_path,
    store_path,
    table_path,
)
from openhcs_core.runtime import write_partial_table
from openhcs_core.session.status import JobStatus, PlateStatus
from openhcs_core.storage import replace_file

_SHOWN_FAILURES = 20


def end_run(results: str, plates: list[PlateStatus]) -> str:
    """Write ``status.csv`` and partial tables; return where results are and what failed.

    Partial tables have the wells that are done. They never stand under a tracked name: the
    next run would take them for whole.
    """
    lines = []
    for status in plates:
        folder = Path(results) / status.plate.name
        with replace_file(folder / STATUS) as stream:
            stream.write(status_table(status.jobs).encode())
        lines += [_headline(status, folder), *_describe_failures(status, folder)]
        lines += [f"  {kind:<7} {place}" for kind, place in _write_tables(status, folder)]
        lines += [f"  {kind:<7} {place}" for kind, place in _other_results(status.plate, folder)]
    if any(status.failed for status in plates):
        lines.append("The same command again tries what failed, and repeats nothing else.")
    return "\n".join(lines)


def status_table(jobs: tuple[JobStatus, ...]) -> str:
    """Return ``status.csv``: a line a well, or one a failed step of it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(JobStatus))
    writer.writerows(astuple(job) for job in jobs)
    return text.getvalue()


def _headline(status: PlateStatus, folder: Path) -> str:
    name, wells = status.plate.name, len(status.plate.wells)
    if status.count("done") == wells and not status.failed:
        return f"Results of plate {name!r} ({wells} wells) in {folder}/"
    counts = [f"{status.count('done')} of {wells} wells done"]
    counts += [
        f"{status.count(state)} {state}" for state in ("failed", "not run") if status.count(state)
    ]
    return f"Plate {name!r}: {', '.join(counts)}; see {folder / STATUS}"


def _describe_failures(status: PlateStatus, folder: Path) -> Iterator[str]:
    for job in status.failed[:_SHOWN_FAILURES]:
        yield f"  failed  {job.well or 'plate'}, step {job.step!r}: {job.reason}"
        yield f"          log {folder / job.log}"
    if len(status.failed) > _SHOWN_FAILURES:
        yield f"  failed  {len(status.failed) - _SHOWN_FAILURES} more"


def _write_tables(status: PlateStatus, folder: Path) -> Iterator[tuple[str, str]]:
    """Write partial tables where wells are missing; yield what there is."""
    for table in status.plate.tables:
        path = folder / table_path(table.step_name, table.file)
        partial = folder / partial_table_path(table.step_name, table.file)
        done = status.done[table.step_name]
        partial.unlink(missing_ok=True)
        if done == table.wells:
            if path.exists():
                yield "table", str(path)
            continue
        if path.exists():
            yield "old", f"{path} is of an earlier run: not all its wells could be made again"
        if done:
            yield _write_partial(table, done, folder, partial)


def _write_partial(
    table: TablePlan, wells: tuple[str, ...], folder: Path, partial: Path
) -> tuple[str, str]:
    try:
        write_partial_table(folder, table, wells)
    except InputDataError as error:
        return "problem", f"{partial} could not be written: {error}"
    return "partial", f"{partial} ({len(wells)} of {len(table.wells)} wells)"


def _other_results(plate: PlatePlan, folder: Path) -> Iterator[tuple[str, str]]:
    places = [("images", store_path(store.step_name)) for store in plate.stores]
    kept = {store.step_name for store in plate.stores}
    for plan in plate.steps:
        if plan.store is not None and plan.step_name not in kept:
            places.append(("images", image_folder(plan.step_name, "")))
        if _has_rois(plan):
            places.append(("ROIs", f"rois/{plan.step_name}/"))
    for kind, place in places:
        if (folder / place).exists():
            hint = " (open in ImageJ or Fiji)" if kind == "ROIs" else ""
            yield kind, f"{folder}/{place}{hint}"


def _has_rois(plan: StepPlan) -> bool:
    return any(isinstance(output.options, ROIOptions) for output in output_files(plan))
