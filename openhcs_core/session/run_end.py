"""What is written and said when a run ends, well or not."""

import csv
import io
from collections.abc import Iterator
from dataclasses import astuple, fields
from pathlib import Path

from openhcs_core.errors import DiskFullError, InputDataError, shortened
from openhcs_core.materialization import CsvOptions
from openhcs_core.plan import (
    OUTPUT_FOLDERS,
    PLATE_TARGET,
    STATUS,
    CompiledPipeline,
    PlatePlan,
    TablePlan,
    image_folder,
    output_files,
    partial_table_path,
    store_path,
    table_path,
)
from openhcs_core.runtime import write_partial_table
from openhcs_core.session.compiling import Compilation
from openhcs_core.session.failed_apart import remember_failed
from openhcs_core.session.fallback_summary import describe_fallbacks
from openhcs_core.session.job_states import JobStatus, LastRun, PlateStatus
from openhcs_core.session.status import read_status
from openhcs_core.storage import replace_file

_SHOWN_FAILURES = 20
_FOLDER_NAMES = {"roi": "ROIs", "json": "JSON", "tiff": "TIFFs", "text": "text"}
"""Writer kind → what its folder is called; tables are listed one by one."""


def end_run(compilation: Compilation, run: LastRun) -> str:
    """Write ``status.csv`` and partial tables; return where results are and what failed.

    Partial tables have the wells that are done. They never stand under a tracked name: the
    next run would take them for whole.
    """
    lines = []
    plates = read_status(compilation, run)
    remember_failed(compilation.compiled.results, dict(_failed_in_batches(plates)))
    for status in plates:
        folder = Path(compilation.compiled.results) / status.plate.name
        lines += [_headline(status, folder), *_describe_failures(status, folder)]
        lines += describe_fallbacks(status.plate, folder, run.started)
        lines += _write_status(status, folder)
        lines += [f"  {kind:<7} {place}" for kind, place in _write_tables(status, folder)]
        lines += [f"  {kind:<7} {place}" for kind, place in _plate_step_tables(status, folder)]
        lines += [f"  {kind:<7} {place}" for kind, place in _other_results(status.plate, folder)]
    if not all(status.is_done for status in plates):
        lines.append("The same command again does what is not done, and repeats nothing else.")
    return "\n".join(lines)


def _failed_in_batches(plates: list[PlateStatus]) -> Iterator[tuple[str, list[str]]]:
    for status in plates:
        wells = {job.well for job in status.failed if job.well} if status.plate.batches else ()
        yield status.plate.name, sorted(wells)


def _write_status(status: PlateStatus, folder: Path) -> list[str]:
    try:
        with replace_file(folder / STATUS) as stream:
            stream.write(status_table(status.jobs).encode())
    except DiskFullError as error:  # what failed is to be said all the same
        return [f"  problem {error}"]
    return []


def forget_last_run(compiled: CompiledPipeline) -> None:
    """Remove what the last run said of itself: it is not true of the one that starts."""
    for plate in compiled.plates:
        folder = Path(compiled.results) / plate.name
        (folder / STATUS).unlink(missing_ok=True)
        for table in plate.tables:
            path = folder / partial_table_path(table.step_name, table.file)
            path.unlink(missing_ok=True)


def status_table(jobs: tuple[JobStatus, ...]) -> str:
    """Return ``status.csv``: a line a well, or one a failed step of it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(JobStatus))
    writer.writerows(astuple(job) for job in jobs)
    return text.getvalue()


def _headline(status: PlateStatus, folder: Path) -> str:
    name, wells = status.plate.name, len(status.plate.wells)
    if status.is_done:
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
        name = table_path(table.step_name, table.file)
        done = tuple(well for well in status.done[table.step_name] if well in table.wells)
        if name in status.tables:
            yield "table", f"{folder}/{name}"
            continue
        if name in status.without:
            yield "table", f"{folder}/{name} {_without(status.without[name])}"
            continue
        if (folder / name).exists():
            yield "old", f"{folder}/{name} is of an earlier run, not of what is done now"
        if done and done != table.wells:
            yield _write_partial(table, done, folder)


def _plate_step_tables(status: PlateStatus, folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the tables that steps over the plate have written."""
    for plan in status.plate.steps:
        for output in output_files(plan) if plan.is_plate_wide else ():
            path = folder / output.path(plan.step_name, PLATE_TARGET)
            if isinstance(output.options, CsvOptions) and path.exists():
                is_done = PLATE_TARGET in status.done[plan.step_name]
                text = f"{path} is of an earlier run, not of what is done now"
                left_out = status.without.get(plan.step_name, ())
                note = f" {_without(left_out)}" if left_out else ""
                yield ("table", f"{path}{note}") if is_done else ("old", text)


def _without(wells: tuple[str, ...]) -> str:
    return f"without {shortened(wells)}, which failed"


def _write_partial(table: TablePlan, wells: tuple[str, ...], folder: Path) -> tuple[str, str]:
    partial = folder / partial_table_path(table.step_name, table.file)
    try:
        write_partial_table(folder, table, wells)
    except (DiskFullError, InputDataError) as error:
        return "problem", f"{partial} could not be written: {error}"
    return "partial", f"{partial} ({len(wells)} of {len(table.wells)} wells)"


def _other_results(plate: PlatePlan, folder: Path) -> Iterator[tuple[str, str]]:
    places = [("images", store_path(store.step_name, store.sub_dir)) for store in plate.stores]
    kept = {store.step_name for store in plate.stores}
    for plan in plate.steps:
        if plan.store is not None and plan.step_name not in kept:
            places.append(("images", image_folder(plan.step_name, "", plan.store.sub_dir)))
        kinds = {
            output.options.kind for own, _ in plate.variants(plan) for output in output_files(own)
        }
        places += [
            (name, f"{OUTPUT_FOLDERS[kind]}/{plan.step_name}/")
            for kind, name in _FOLDER_NAMES.items()
            if kind in kinds
        ]
    for kind, place in places:
        if (folder / place).exists():
            hint = " (open in ImageJ or Fiji)" if kind == "ROIs" else ""
            yield kind, f"{folder}/{place}{hint}"
