"""Plate tables: the tables of all wells, one below the other, the plate map joined."""

from pathlib import Path
from typing import TYPE_CHECKING

from openhcs_core.errors import InputDataError
from openhcs_core.plan import (
    TablePlan,
    digest_bytes,
    partial_table_path,
    table_path,
    table_plan_path,
    well_table_paths,
)
from openhcs_core.runtime.job import Job
from openhcs_core.storage.atomic import replace_file

if TYPE_CHECKING:
    import pandas as pd


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
    InputDataError
        A well's table or the plate map cannot be read.

    Notes
    -----
    Cells are handled as text, so that no number changes its digits on the way.
    """
    path = job.plate_dir / table_plan_path(job.step, file)
    plan = job.read_plan(path, TablePlan)
    text = join_tables(job, plan)
    job.read_plan(path, TablePlan)
    with replace_file(job.plate_dir / table_path(job.step, file)) as stream:
        stream.write(text.encode())
    (job.plate_dir / partial_table_path(job.step, file)).unlink(missing_ok=True)


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
    import pandas as pd

    paths = [job.plate_dir / path for well in plan.wells for path in well_table_paths(plan, well)]
    table = pd.concat([_read(path) for path in paths], ignore_index=True).fillna("")
    plate_map = job.location.plate_map
    if plan.plate_map is not None and plate_map is not None:
        if not Path(plate_map).is_file():
            raise InputDataError(f"plate map {plate_map} is missing; put it back and run again")
        if digest_bytes(Path(plate_map).read_bytes()) != plan.plate_map:
            raise InputDataError(f"{plate_map} changed since it was planned; run snakemake again")
        table = _join_plate_map(table, _read(Path(plate_map)), plate_map)
    text: str = table.to_csv(index=False, lineterminator="\n")
    return text


def _join_plate_map(table: "pd.DataFrame", plate_map: "pd.DataFrame", name: str) -> "pd.DataFrame":
    shared = sorted((set(table.columns) & set(plate_map.columns)) - {"well"})
    if shared:
        raise InputDataError(
            f"plate map {name} has columns that the table has too: {', '.join(shared)}; "
            "rename them in the plate map"
        )
    if "well" not in table.columns:  # a table without rows or columns
        return table
    return table.merge(plate_map, on="well", how="left", validate="many_to_one").fillna("")


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        if path.stat().st_size == 0:  # no image of the well had anything to write
            return pd.DataFrame()
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputDataError(f"{path} is missing; run snakemake, which makes it first") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputDataError(f"{path} is not a CSV table: {error}") from error
