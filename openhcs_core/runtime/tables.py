"""Plate tables: the tables of all wells, one below the other, the plate map joined."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.errors import InputDataError
from openhcs_core.materialization import table_text
from openhcs_core.plan import (
    TablePlan,
    digest_bytes,
    left_out_path,
    partial_table_path,
    table_path,
    table_plan_path,
    well_table_paths,
)
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.manifest import find_failed
from openhcs_core.runtime.turn import Turn
from openhcs_core.storage.atomic import replace_file


@dataclass(frozen=True)
class _Table:
    """Names of columns in order, and rows of text; what a row lacks is empty."""

    columns: tuple[str, ...]
    rows: list[dict[str, str]]


def gather_table(job: Job, file: str) -> None:
    """Write one plate table.

    Parameters
    ----------
    job : Job
        Plate and step.
    file : str
        Output and suffix, e.g. ``cell_counts.csv``.

    Raises
    ------
    SupersededError
        Another run started meanwhile.
    InputDataError
        A well's table or the plate map cannot be read.

    Notes
    -----
    Cells are handled as text, so that no number changes its digits on the way, and by the csv
    module: importing pandas would take longer than the rest of the job.
    """
    path = job.plate_dir / table_plan_path(job.step, file)
    with Turn(job.plate_dir, f"{job.step}.{file}") as turn:  # from before the first table is read
        plan = job.read_plan(path, TablePlan)
        text = join_tables(job, plan)
        job.read_plan(path, TablePlan)
        turn.check()
        with replace_file(job.plate_dir / table_path(job.step, file)) as stream:
            stream.write(text.encode())
        (job.plate_dir / partial_table_path(job.step, file)).unlink(missing_ok=True)
        _list_left_out(job, file, plan.wells)


def _list_left_out(job: Job, file: str, wells: Sequence[str]) -> None:
    """List beside a plate table the wells that it is without; remove the list of none."""
    path = job.plate_dir / left_out_path(job.step, file)
    failures = find_failed(job.plate_dir, job.step, wells)
    if not failures:
        path.unlink(missing_ok=True)
        return
    columns = {
        "well": list(failures),
        "step": [failure.step for failure in failures.values()],
        "exit_code": [failure.exit_code for failure in failures.values()],
        "reason": [failure.message for failure in failures.values()],
    }
    with replace_file(path) as stream:
        stream.write(table_text(columns).encode())


def write_partial_table(plate_dir: Path, plan: TablePlan, wells: tuple[str, ...]) -> None:
    """Write the table of some wells under the partial table's name.

    Parameters
    ----------
    plate_dir : Path
        ``results/<plate>``.
    plan : TablePlan
        The whole table.
    wells : tuple of str
        The wells that are done, in plate order.

    Raises
    ------
    InputDataError
        A well's table or the plate map cannot be read.
    """
    job = Job(plate_dir, plan.step_name)
    text = join_tables(job, plan.model_copy(update={"wells": wells}))
    with replace_file(plate_dir / partial_table_path(plan.step_name, plan.file)) as stream:
        stream.write(text.encode())


def join_tables(job: Job, plan: TablePlan) -> str:
    """Return the text of a plate table, from its wells' tables.

    Raises
    ------
    InputDataError
        A well's table or the plate map cannot be read.
    """
    paths = [job.plate_dir / path for well in plan.wells for path in well_table_paths(plan, well)]
    table = _concatenated([_read(path) for path in paths])
    plate_map = job.location.plate_map
    if plan.plate_map is not None and plate_map is not None:
        table = _join_plate_map(table, _read_planned_map(plan, plate_map), plate_map)
    cells = {name: [row.get(name, "") for row in table.rows] for name in table.columns}
    return table_text(cells) or "\n"


def read_plate_map(plan: TablePlan, plate_map: str | None) -> dict[str, dict[str, str]]:
    """Return the rows of the plate map that a table is joined with, by well; none without one.

    Raises
    ------
    InputDataError
        It is missing, or another one than planned.
    """
    if plan.plate_map is None or plate_map is None:
        return {}
    return {row["well"]: row for row in _read_planned_map(plan, plate_map).rows}


def _read_planned_map(plan: TablePlan, plate_map: str) -> _Table:
    if not Path(plate_map).is_file():
        raise InputDataError(f"plate map {plate_map} is missing; put it back and run again")
    if digest_bytes(Path(plate_map).read_bytes()) != plan.plate_map:
        raise InputDataError(f"{plate_map} changed since it was planned; run snakemake again")
    return _read(Path(plate_map))


def _concatenated(tables: Sequence[_Table]) -> _Table:
    """Put tables under each other; a column that one of them lacks is empty there."""
    columns = dict.fromkeys(name for table in tables for name in table.columns)
    return _Table(tuple(columns), [row for table in tables for row in table.rows])


def _join_plate_map(table: _Table, plate_map: _Table, name: str) -> _Table:
    shared = sorted((set(table.columns) & set(plate_map.columns)) - {"well"})
    if shared:
        raise InputDataError(
            f"plate map {name} has columns that the table has too: {', '.join(shared)}; "
            "rename them in the plate map"
        )
    if "well" not in table.columns:  # a table without rows or columns
        return table
    wells = {row["well"]: row for row in plate_map.rows}
    columns = dict.fromkeys((*table.columns, *plate_map.columns))
    return _Table(tuple(columns), [wells.get(row["well"], {}) | row for row in table.rows])


def _read(path: Path) -> _Table:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except FileNotFoundError as error:
        raise InputDataError(f"{path} is missing; run snakemake, which makes it first") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputDataError(f"{path} is not a CSV table: {error}") from error
    if not lines:  # no image of the well had anything to write
        return _Table((), [])
    columns, *rows = lines
    if longer := [row for row in rows if len(row) > len(columns)]:
        raise InputDataError(
            f"{path} is not a CSV table: its header has {len(columns)} columns, but a row has "
            f"{len(longer[0])}: {', '.join(longer[0])[:80]}"
        )
    return _Table(tuple(columns), [dict(zip(columns, row, strict=False)) for row in rows])
