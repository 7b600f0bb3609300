"""Jobs that an earlier run left in a Slurm queue: cancelled when the next run starts.

They could do no harm (see ``ground.turn``), but would hold nodes that this run waits for.
"""

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from openhcs_core.plan import plan_folder
from openhcs_core.storage import replace_file

logger = logging.getLogger(__name__)

_NAMES = "cluster_jobs"
_ANSWER_S, _GONE_S, _LOOK_S = 60.0, 60.0, 0.5
_AT_A_TIME = 500


class _NoAnswerError(Exception):
    """Slurm is not here, or does not answer."""


def take_over_jobs(
    results: str, name: str | None, told: logging.Logger, plate: str | None = None
) -> None:
    """Cancel what earlier runs left in the queue, and note under which name jobs go there now.

    To be called by a run that holds the lock, before its first job.

    Parameters
    ----------
    results : str
        The results folder.
    name : str or None
        Of the jobs of this run; none where they go to no queue.
    told : logging.Logger
        Is told what was cancelled, or could not be.
    plate : str, optional
        The one plate of this run, which leaves runs of others alone.
    """
    own = _path(results, plate)
    # a run of all plates has ended when one of a plate can start, and all others the other way
    others = _path(results, None).parent.glob(f"plates/*/{_NAMES}") if plate is None else ()
    for path in {own, _path(results, None), *others}:
        earlier = _read(path)
        left = [one for one in earlier if not _cancelled(one, told)]
        _write(path, earlier, [*left, *([name] if name and path == own else [])])


def forget_ended_jobs(results: str, plate: str | None = None) -> None:
    """Forget the names that no job in the queue has any more; to be called when a run ends."""
    path = _path(results, plate)
    names = _read(path)
    try:
        _write(path, names, [name for name in names if _queued(name)])
    except _NoAnswerError as error:
        logger.warning("the queue could not be asked: %s", error)


def _path(results: str, plate: str | None) -> Path:
    return Path(results, plan_folder(plate), _NAMES)


def _read(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return []


def _write(path: Path, before: list[str], names: list[str]) -> None:
    if names == before:
        return
    with replace_file(path) as stream:
        stream.write("".join(f"{name}\n" for name in names).encode())


def _cancelled(name: str, told: logging.Logger) -> bool:
    """Return whether no job of a name is in the queue any more."""
    try:
        jobs = _queued(name)
        if jobs:
            told.warning(f"cancelling {len(jobs)} Slurm jobs that an earlier run left ({name})")
        _cancel(jobs)
        deadline = time.monotonic() + _GONE_S
        while _queued(name):
            if time.monotonic() > deadline:
                told.warning(f"Slurm jobs of an earlier run ({name}) take long to end")
                return False
            time.sleep(_LOOK_S)
    except _NoAnswerError as error:
        told.warning(
            f"jobs that an earlier run may have left in the queue ({name}) cannot be cancelled: "
            f"{error}; they write nothing any more"
        )
        return False
    return True


def _queued(name: str) -> list[str]:
    user = str(os.getuid())
    said = _ask("squeue", "--noheader", f"--user={user}", f"--name={name}", "--format=%A")
    return sorted(set(said.split()))


def _cancel(jobs: list[str]) -> None:
    for start in range(0, len(jobs), _AT_A_TIME):
        _ask("scancel", "--quiet", *jobs[start : start + _AT_A_TIME])


def _ask(command: str, *arguments: str) -> str:
    program = shutil.which(command)
    if program is None:
        raise _NoAnswerError(f"there is no {command} here")
    try:
        run = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=_ANSWER_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise _NoAnswerError(f"{command} does not answer") from error
    if run.returncode != 0:
        raise _NoAnswerError(_last_line(run.stderr.splitlines(), command))
    return run.stdout


def _last_line(lines: Iterable[str], otherwise: str) -> str:
    return next((line for line in reversed([*lines]) if line.strip()), otherwise)
