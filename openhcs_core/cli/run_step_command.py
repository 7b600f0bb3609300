"""``openhcs-core run-step``: the thin executor that every generated rule calls."""

import logging
from pathlib import Path

import click

from openhcs_core.errors import OpenHCSError
from openhcs_core.registry import RegistryService
from openhcs_core.runtime import (
    Job,
    compute_images,
    execute_step,
    gather_table,
    recorded,
    write_store_metadata,
)
from openhcs_core.storage import naming_full_disk

logger = logging.getLogger("openhcs_core")


@click.command()
@click.option(
    "--plate-dir", required=True, type=click.Path(path_type=Path), help="results/<plate>."
)
@click.option("--step", required=True, help="The step's name.")
@click.option("--well", help="Do the step for this well.")
@click.option("--table", help="Join this table of all wells, e.g. cell_counts.csv.")
@click.option("--store", is_flag=True, help="Write the plate metadata of a kept step.")
@click.option("--digest", help="Refuse any plan but the one of this digest.")
@click.option("--images-only", is_flag=True, help="Only compute the well's images into the cache.")
@click.option("--log", type=click.Path(path_type=Path), help="Write progress to this file.")
def run_step_command(
    *,
    plate_dir: Path,
    step: str,
    well: str | None,
    table: str | None,
    store: bool,
    digest: str | None,
    images_only: bool,
    log: Path | None,
) -> None:
    """Do one step for one well (or join its tables, or write its plate metadata).

    Every job of a run is one such line, so it can be repeated by hand.

    \b
    Example:
      openhcs-core run-step --plate-dir results/demo --step count --well B02
    """
    if (well is not None) + (table is not None) + store != 1:
        raise click.UsageError("give exactly one of --well, --table and --store")
    job = Job(plate_dir, step, digest)
    try:
        with naming_full_disk(plate_dir):
            _start_log(log)
            if images_only and well is not None:
                compute_images(job, well, RegistryService().load)
            else:
                _run_recorded(job, well, table)
    except OpenHCSError as error:
        logger.error("%s", error)  # noqa: TRY400  its text is the message; main prints it too
        raise
    except Exception:
        logger.exception("this is a defect of openhcs-core; please report it with this log")
        raise
    logger.info("done")


class _LogFile(logging.FileHandler):
    """A log that says nothing of its own full disk: the job's error does."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Leave the record out."""


def _run_recorded(job: Job, well: str | None, table: str | None) -> None:
    """Do the job; when it fails, leave a record of why."""
    with recorded(job, well or table or "store"):
        if well is not None:
            execute_step(job, well, RegistryService().load)
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
