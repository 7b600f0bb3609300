"""``openhcs-core run-step``: the thin executor that every generated rule calls."""

import logging
from functools import partial
from pathlib import Path

import click

from openhcs_core.errors import OpenHCSError, WellsFailedError
from openhcs_core.plan import PLATE_TARGET, JobScope, log_path
from openhcs_core.registry import RegistryService
from openhcs_core.runtime import (
    Job,
    RecentStacks,
    check_plate,
    compute_images,
    execute_or_leave_out,
    execute_plate_step,
    execute_shared_job,
    gather_table,
    naming_out_of_memory,
    recorded,
    write_store_metadata,
)
from openhcs_core.storage import naming_full_disk

logger = logging.getLogger("openhcs_core")


@click.command()
@click.option(
    "--plate-dir", required=True, type=click.Path(path_type=Path), help="results/<plate>."
)
@click.option("--step", "steps", multiple=True, help="The step's name; several in their order.")
@click.option("--well", "wells", multiple=True, help="Do the steps for this well, or for several.")
@click.option("--plate", is_flag=True, help="Do the step for all wells at once (scope: plate).")
@click.option("--table", help="Join this table of all wells, e.g. cell_counts.csv.")
@click.option("--store", is_flag=True, help="Write the plate metadata of a kept step.")
@click.option("--check", is_flag=True, help="End with an error when wells are left out.")
@click.option("--digest", help="Refuse any plan (or plans) but those of this digest.")
@click.option("--images-only", is_flag=True, help="Only compute the well's images into the cache.")
@click.option("--log", type=click.Path(path_type=Path), help="Write progress to this file.")
@click.option("--logs", is_flag=True, help="Write progress to the log of each step and well.")
@click.pass_obj
def run_step_command(
    recent: RecentStacks | None,
    *,
    plate_dir: Path,
    steps: tuple[str, ...],
    wells: tuple[str, ...],
    plate: bool,
    table: str | None,
    store: bool,
    check: bool,
    digest: str | None,
    images_only: bool,
    log: Path | None,
    logs: bool,
) -> None:
    """Do one step for one well (or join its tables, or write its plate metadata).

    Every job of a run is one such line, so it can be repeated by hand. Several steps, each
    reading the one before it, are done one after another, and so are several wells.

    \b
    Examples:
      openhcs-core run-step --plate-dir results/demo --step count --well B02
      openhcs-core run-step --plate-dir results/demo --step clean --step count --well B02
    """
    if bool(wells) + (table is not None) + plate + store + check != 1:
        raise click.UsageError("give exactly one of --well, --plate, --table, --store and --check")
    _check_steps(steps, wells, is_check=check, images_only=images_only)
    scope = JobScope(steps, wells)
    job = Job(plate_dir, "check" if check else steps[0], digest, recent=recent)
    try:
        with naming_full_disk(plate_dir), naming_out_of_memory(f"step {job.step!r}"):
            _start_log(log)
            if check:
                check_plate(plate_dir)
            elif images_only:
                compute_images(job, wells[0], RegistryService().load)
            elif scope.is_shared or logs:
                begin = partial(_begin, plate_dir, writes_logs=logs)
                load = RegistryService().load
                execute_shared_job(plate_dir, scope, digest, load, begin, recent)
            else:
                well = PLATE_TARGET if plate else wells[0] if wells else None
                _run_recorded(job, well, table)
    except WellsFailedError:
        raise  # each well's log has its own error
    except OpenHCSError as error:
        logger.error("%s", error)  # noqa: TRY400  its text is the message; main prints it too
        raise
    except Exception:
        logger.exception("this is a defect of openhcs-core; please report it with this log")
        raise
    logger.info("done")


def _check_steps(
    steps: tuple[str, ...], wells: tuple[str, ...], *, is_check: bool, images_only: bool
) -> None:
    if is_check == bool(steps):
        raise click.UsageError("give --step, but not with --check, which is of the whole plate")
    if len(steps) > 1 and not wells:
        raise click.UsageError("--plate, --table and --store are of one step")
    if images_only and (not wells or JobScope(steps, wells).is_shared):
        raise click.UsageError("--images-only is for one step of one well")


def _begin(plate_dir: Path, step: str, well: str, *, writes_logs: bool) -> None:
    """Begin the log of a step and well."""
    if writes_logs:
        _start_log(plate_dir / log_path(step, well))


class _LogFile(logging.FileHandler):
    """A log that says nothing of its own full disk: the job's error does."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Leave the record out."""


def _run_recorded(job: Job, well: str | None, table: str | None) -> None:
    """Do the job; when it fails, leave a record of why."""
    with recorded(job, well or table or "store"), naming_out_of_memory(f"step {job.step!r}"):
        if well == PLATE_TARGET:
            execute_plate_step(job, RegistryService().load)
        elif well is not None:
            execute_or_leave_out(job, well, RegistryService().load)
        elif table is not None:
            gather_table(job, table)
        else:
            write_store_metadata(job)


def _start_log(path: Path | None) -> None:
    """Send progress and errors to the job's log file, and nothing of them to the terminal."""
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    handler = logging.NullHandler()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _LogFile(path, mode="w", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
