"""Why a job failed, for a display: from the record beside its log."""

import re
from collections.abc import Iterator
from pathlib import Path

from openhcs_core.plan import failure_path, log_path
from openhcs_core.runtime import read_failure
from openhcs_core.session.progress.units import JobUnits, Unit

_CLOCK_SLACK_S = 2.0
"""How much the clock of the records' file system may be behind."""
_ENDED = re.compile(r"returned non-zero exit status \d+|died with <Signals\.\w+: \d+>")


def describe_failure(units: JobUnits, started: float) -> Iterator[tuple[Unit, str]]:
    """Yield each unit of a failed job that recorded why it failed, with a line about it.

    Parameters
    ----------
    units : JobUnits
        What the job was to do.
    started : float
        When it started, in s since the epoch: older records are of earlier attempts.
    """
    folder = Path(units.plate_dir)
    for unit in units.units:
        try:
            written = (folder / failure_path(unit.step, unit.target)).stat().st_mtime
        except OSError:
            continue
        failure = read_failure(folder, unit.step, unit.target)
        if failure is None or written < started - _CLOCK_SLACK_S:
            continue
        place = unit.target if unit.is_well else f"plate, {unit.target}"
        log = f"{units.plate_dir}/{log_path(unit.step, unit.target)}"
        text = f"failed  {unit.plate} {place}, step {unit.step!r}: {failure.message} (log {log})"
        yield unit, text


def is_about_command(message: str, command: str) -> bool:
    """Return whether a message of the workflow engine only says that a job's command failed."""
    return command.strip() in message and _ENDED.search(message) is not None
