"""What came of each plate, and the table of them."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal

from openhcs_core.errors import (
    EXIT_DEFECT,
    EXIT_DONE,
    ErrorGroup,
    OpenHCSError,
    render_error,
)
from openhcs_core.session.facility.checks import CheckedPlate, compile_alone
from openhcs_core.session.hours import read_hours
from openhcs_core.session.job_states import PlateStatus
from openhcs_core.session.run_claim import find_last_run
from openhcs_core.session.status import read_status
from openhcs_core.storage import replace_file

SUMMARY = "plates.csv"
"""Below the results folder."""

State = Literal["done", "partly done", "failed", "broken", "stopped", "waiting", "looked at"]
_FINE = frozenset({"done", "partly done", "looked at"})
_JOBS = re.compile(rb"^(all|total) +(\d+)$", re.MULTILINE)
"""The last lines of the table of jobs that a dry run prints; what is no work of its own apart."""
_NOTHING = b"Nothing to be done"
"""Is printed instead when all is done."""


@dataclass(frozen=True)
class Outcome:
    """A line of ``plates.csv``.

    Attributes
    ----------
    plate : str
        Its name.
    state : str
        ``done``; ``partly done``: all that snakemake was asked for is; ``failed``: something of
        it failed; ``broken``: it cannot be compiled, so
        nothing was tried; ``stopped``, ``waiting``: the command was ended before;
        ``looked at``: by a dry run.
    wells, wells_done, wells_failed : int
        ``done`` are wells of which every step is.
    jobs : int or None
        Those of a run from nothing; of a dry run, those to do, None where it does not say.
    cpu_h, gpu_h : float
        Hours that its results took (:class:`~openhcs_core.session.hours.PlateHours`).
    wall_s : float
        How long this command's run of it took.
    exit_code : int
        0, or that of what went wrong first.
    reason, log : str
        Of the first failure; the log is what snakemake said.
    """

    plate: str
    state: State
    wells: int = 0
    wells_done: int = 0
    wells_failed: int = 0
    jobs: int | None = 0
    cpu_h: float = 0.0
    gpu_h: float = 0.0
    wall_s: float = 0.0
    exit_code: int = EXIT_DONE
    reason: str = ""
    log: str = ""


_COLUMNS = [field.name for field in fields(Outcome)]


def broken_outcome(checked: CheckedPlate, error: OpenHCSError | ErrorGroup) -> Outcome:
    """Return the outcome of a plate that cannot be compiled."""
    text = render_error(error).removeprefix("error: ")
    return Outcome(checked.name, "broken", exit_code=error.exit_code, reason=text)


@dataclass(frozen=True)
class ChildOutcome:
    """A snakemake that has ended.

    Attributes
    ----------
    code : int
        Its exit code.
    wall_s : float
        How long it took.
    log : str
        What it said.
    is_of_one : bool
        It did one plate, so that its exit code is that plate's.
    is_part : bool
        It was asked for a part of what is to do.
    found_nothing : bool
        It found nothing to do.
    """

    code: int
    wall_s: float
    log: str
    is_of_one: bool
    is_part: bool = False
    found_nothing: bool = False


def read_outcome(config: str, checked: CheckedPlate, child: ChildOutcome) -> Outcome:
    """Return what came of a plate's run, read from its results."""
    try:
        compilation = compile_alone(config, checked.name)
    except (OpenHCSError, ErrorGroup) as error:  # it changed meanwhile
        return broken_outcome(checked, error)
    results = Path(compilation.compiled.results)
    (status,) = read_status(compilation, lambda plate: find_last_run(results, plate))
    hours = read_hours(status.plate, results / checked.name)
    state = _state(status, child)
    is_fine = state in _FINE
    return Outcome(
        plate=checked.name,
        state=state,
        wells=len(status.plate.wells),
        wells_done=status.count("done"),
        wells_failed=status.count("failed"),
        jobs=status.plate.job_count,
        cpu_h=round(hours.cpu_h, 7),
        gpu_h=round(hours.gpu_h, 7),
        wall_s=round(child.wall_s, 1),
        exit_code=EXIT_DONE if is_fine else _exit_code(status, child.code),
        reason="" if is_fine else _reason(status, child.code),
        log=child.log,
    )


def _state(status: PlateStatus, child: ChildOutcome) -> State:
    if status.is_done and (child.code == EXIT_DONE or not child.is_of_one):
        return "done"
    if child.code == EXIT_DONE and not status.failed:
        if child.is_part:
            return "partly done"
        if child.found_nothing:  # a file that is new, with the content that it had
            return "done"
    return "failed"


def dry_outcome(plates: Sequence[CheckedPlate], child: ChildOutcome, log_start: int) -> Outcome:
    """Return what a dry run said.

    Parameters
    ----------
    log_start : int
        Where in the log this run begins, in bytes.
    """
    said = read_log(child.log, log_start)
    found = {name: int(count) for name, count in _JOBS.findall(said)}
    if _NOTHING in said:
        found[b"total"] = 0
    return Outcome(
        plate=plates[0].name if child.is_of_one else f"{len(plates)} plates",
        state="failed" if child.code else "looked at",
        wells=sum(plate.wells for plate in plates),
        jobs=found[b"total"] - found.get(b"all", 0) if b"total" in found else None,
        wall_s=round(child.wall_s, 1),
        exit_code=child.code,
        reason=f"snakemake ended with {child.code}; its log says why" if child.code else "",
        log=child.log,
    )


def found_nothing(log: str, start: int) -> bool:
    """Return whether snakemake has said since then that there is nothing to do."""
    return _NOTHING in read_log(log, start)


def read_log(log: str, start: int) -> bytes:
    """Return what snakemake said since a log had `start` bytes."""
    with Path(log).open("rb") as stream:
        stream.seek(start)
        return stream.read()


def _exit_code(status: PlateStatus, code: int) -> int:
    """Return that of the first job that failed, else snakemake's."""
    failed = [job.exit_code for job in status.failed if job.exit_code]
    return failed[0] if failed else code or EXIT_DEFECT


def _reason(status: PlateStatus, code: int) -> str:
    for job in status.failed:
        return f"{job.well or 'plate'}, step {job.step!r}: {job.reason}"
    return f"snakemake ended with {code} before all was done; its log says why"


def _read_rows(path: Path) -> dict[str, list[str]]:
    """Return the lines of an earlier table by plate; none where it is not as we write it."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            header, *rows = csv.reader(stream)
    except (FileNotFoundError, ValueError, csv.Error):
        return {}
    is_ours = header == _COLUMNS
    return {row[0]: row for row in rows if is_ours and len(row) == len(_COLUMNS)}


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """Return 0 when every plate is done, else the exit code of the first that is not."""
    codes = (one.exit_code for one in outcomes if one.state not in _FINE)
    return next((max(code, EXIT_DEFECT) for code in codes), EXIT_DONE)  # a signal's is negative


def write_outcomes(results: str, outcomes: Sequence[Outcome], plates: Sequence[str]) -> str:
    """Write ``plates.csv``; return its path.

    Parameters
    ----------
    plates : sequence of str
        All of the config: those without an outcome keep the line that they have.
    """
    path = f"{results}/{SUMMARY}"
    rows = _read_rows(Path(path)) | {one.plate: list(map(str, astuple(one))) for one in outcomes}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(rows[name] for name in plates if name in rows)
    with replace_file(path, durable=False) as stream:
        stream.write(text.getvalue().encode())
    return path
