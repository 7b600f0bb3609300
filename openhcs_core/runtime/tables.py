"""Plate tables: the tables of all wells, one below the other, the plate map joined."""

import csv
import io
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.errors import InputDataError, PlanChangedError
from openhcs_core.ground.atomic import replace_file
from openhcs_core.ground.turn import Turn
from openhcs_core.materialization import csv_lines, table_text
from openhcs_core.plan import (
    TablePlan,
    digest_bytes,
    left_out_path,
    partial_table_path,
    table_path,
    table_plan_path,
    well_table_paths,
)
from openhcs_core.put_back import MOST_BYTES
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.leave_shortcut import leave_made_files
from openhcs_core.runtime.manifest import find_failed


@dataclass(frozen=True)
class _PlateMap:
    """Names of its columns in order, and its rows of text by well."""

    columns: tuple[str, ...]
    rows: dict[str, dict[str, str]]


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
    module: importing pandas would take longer than the rest of the job. One row is in memory at a
    time: first the headers of all tables are read, then their rows.
    """
    path = job.plate_dir / table_plan_path(job.step, file)
    with Turn(job.plate_dir, f"{job.step}.{file}") as turn:  # from before the first table is read
        plan = job.read_plan(path, TablePlan)
        read = _digests_of_small(job, plan)
        with replace_file(job.plate_dir / table_path(job.step, file)) as stream:
            stream.writelines(join_tables(job, plan))
            job.read_plan(path, TablePlan)
            turn.check()
        (job.plate_dir / partial_table_path(job.step, file)).unlink(missing_ok=True)
        has_all = not _list_left_out(job, file, plan.wells)
        if has_all and read == _digests_of_small(job, plan):
            leave_made_files(job, plan, file, [table_path(job.step, file)], read)


def _digests_of_small(job: Job, plan: TablePlan) -> dict[str, str] | None:
    """Return the digests of wells' tables by their paths, None where these are large."""
    names = [name for well in plan.wells for name in well_table_paths(plan, well)]
    paths = {name: job.plate_dir / name for name in names}
    try:
        if sum(path.stat().st_size for path in paths.values()) > MOST_BYTES:
            return None
        return {name: digest_bytes(path.read_bytes()) for name, path in paths.items()}
    except FileNotFoundError:  # joining says which
        return None


def _list_left_out(job: Job, file: str, wells: Sequence[str]) -> bool:
    """List beside a plate table the wells that it is without; return whether there are any."""
    path = job.plate_dir / left_out_path(job.step, file)
    failures = find_failed(job.plate_dir, job.step, wells)
    if not failures:
        path.unlink(missing_ok=True)
        return False
    columns = {
        "well": list(failures),
        "step": [failure.step for failure in failures.values()],
        "exit_code": [failure.exit_code for failure in failures.values()],
        "reason": [failure.message for failure in failures.values()],
    }
    with replace_file(path) as stream:
        stream.write(table_text(columns).encode())
    return True


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
    with replace_file(plate_dir / partial_table_path(plan.step_name, plan.file)) as stream:
        stream.writelines(join_tables(job, plan.model_copy(update={"wells": wells})))


def join_tables(job: Job, plan: TablePlan) -> Iterator[bytes]:
    """Yield the lines of a plate table, from its wells' tables, as they are read.

    Columns that a table lacks are empty there.

    Raises
    ------
    InputDataError
        A well's table or the plate map cannot be read.
    PlanChangedError
        A well's table got other columns meanwhile.
    """
    paths = [job.plate_dir / path for well in plan.wells for path in well_table_paths(plan, well)]
    headers = {path: _header(path) for path in paths}
    columns = tuple(dict.fromkeys(name for header in headers.values() for name in header))
    plate_map = _planned_map(plan, job.location.plate_map)
    joined = () if plate_map is None else _joined_columns(columns, plate_map, job)
    if not columns:
        yield b"\n"
        return
    lines = csv_lines(_rows(headers, columns, joined, {} if plate_map is None else plate_map.rows))
    yield from (line.encode() for line in lines)


def is_joined_table(job: Job, plan: TablePlan) -> bool:
    """Return whether a plate table is there and what its wells' tables give.

    Raises
    ------
    InputDataError
        A well's table or the plate map cannot be read.
    """
    path = job.plate_dir / table_path(plan.step_name, plan.file)
    with path.open("rb") if path.exists() else io.BytesIO() as stream:
        is_same = True
        for line in join_tables(job, plan):  # all of it: a later table may be unreadable
            is_same &= stream.read(len(line)) == line
        return is_same and not stream.read(1)


def _rows(
    headers: dict[Path, list[str]],
    columns: tuple[str, ...],
    joined: tuple[str, ...],
    plate_map: dict[str, dict[str, str]],
) -> Iterator[list[str]]:
    """Yield the names of all columns, then the rows of all tables."""
    yield [*columns, *joined]
    for path, header in headers.items():
        at = {name: number for number, name in enumerate(header)}
        order = [at.get(name, len(header)) for name in columns]
        well_at = at.get("well", len(header))
        for row in _rows_of(path, header):
            cells = row + [""] * (len(header) + 1 - len(row))  # the last is for what is lacking
            of_well = plate_map.get(cells[well_at], {})
            yield [cells[number] for number in order] + [of_well.get(name, "") for name in joined]


def _rows_of(path: Path, header: list[str]) -> Iterator[list[str]]:
    with closing(_read(path)) as rows:
        if next(rows, []) != header:
            raise PlanChangedError(
                f"{path} changed while it was read; nothing was written, run snakemake again"
            )
        for row in rows:
            if len(row) > len(header):
                raise InputDataError(
                    f"{path} is not a CSV table: its header has {len(header)} columns, but a row "
                    f"has {len(row)}: {', '.join(row)[:80]}"
                )
            yield row


def _header(path: Path) -> list[str]:
    """Return the names of a table's columns; none where no image had anything to write."""
    with closing(_read(path)) as rows:
        return next(rows, [])


def read_plate_map(plan: TablePlan, plate_map: str | None) -> dict[str, dict[str, str]]:
    """Return the rows of the plate map that a table is joined with, by well; none without one.

    Raises
    ------
    InputDataError
        It is missing, or another one than planned.
    """
    planned = _planned_map(plan, plate_map)
    return {} if planned is None else planned.rows


def _planned_map(plan: TablePlan, plate_map: str | None) -> _PlateMap | None:
    """Return the plate map, None where the table is joined with none."""
    if plan.plate_map is None or plate_map is None:
        return None
    path = Path(plate_map)
    if not path.is_file():
        raise InputDataError(f"plate map {plate_map} is missing; put it back and run again")
    if digest_bytes(path.read_bytes()) != plan.plate_map:
        raise InputDataError(f"{plate_map} changed since it was planned; run snakemake again")
    header = _header(path)
    rows = [dict(zip(header, row, strict=False)) for row in _rows_of(path, header)]
    return _PlateMap(tuple(dict.fromkeys(header)), {row["well"]: row for row in rows})


def _joined_columns(columns: tuple[str, ...], plate_map: _PlateMap, job: Job) -> tuple[str, ...]:
    """Return the plate map's columns that a table of these columns gets."""
    shared = sorted((set(columns) & set(plate_map.columns)) - {"well"})
    if shared:
        raise InputDataError(
            f"plate map {job.location.plate_map} has columns that the table has too: "
            f"{', '.join(shared)}; rename them in the plate map"
        )
    is_joined = "well" in columns  # else it is a table without rows or columns
    return tuple(name for name in plate_map.columns if name != "well") if is_joined else ()


def _read(path: Path) -> Generator[list[str]]:
    """Yield the header of a CSV table, then its rows."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield from filter(None, csv.reader(stream, strict=True))
    except FileNotFoundError as error:
        raise InputDataError(f"{path} is missing; run snakemake, which makes it first") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputDataError(f"{path} is not a CSV table: {error}") from error
