"""Whose turn it is to write results: one job at a time, and none of a run that is dead.

Jobs outlive a main process that is killed. What they still write must not meet what the jobs of
the next run write, or read.
"""

import logging
from math import inf
from pathlib import Path
from types import TracebackType

from openhcs_core.errors import SupersededError
from openhcs_core.ground.environment import run_of_this_job
from openhcs_core.ground.lock import RunLock
from openhcs_core.ground.paths import RUN_LOCK, plate_lock

logger = logging.getLogger(__name__)


class Turn:
    """The right to write one well's results, or one file of the whole plate, while it is entered.

    Parameters
    ----------
    plate_dir : Path
        ``results/<plate>``.
    name : str
        The well, or step and file.

    Raises
    ------
    SupersededError
        On entering: another run started after this was made.
    """

    def __init__(self, plate_dir: Path, name: str) -> None:
        results = plate_dir.parent
        self._signed = (results / plate_lock(plate_dir.name), results / RUN_LOCK)
        self._signature = run_of_this_job() or self._read_signature()
        self._path = results / ".plan/locks" / plate_dir.name / name
        self._lock: RunLock | None = None

    def check(self) -> None:
        """Check that no other run has started.

        Raises
        ------
        SupersededError
            One has: its jobs do what this one was to do.
        """
        if self._read_signature() not in ("", self._signature):
            raise SupersededError(
                f"another run started on {self._signed[1].parent.parent} while this job ran and "
                "does the same work; nothing was written"
            )

    def _read_signature(self) -> str:
        """Return what the last run of the plate wrote when it started; nothing without any."""
        return next(filter(None, map(_read_text, self._signed)), "")

    def take(self, wait_s: float = inf) -> bool:
        """Take the turn, waiting for whoever has it; return whether it is ours.

        Raises
        ------
        SupersededError
            Another run started after this was made.
        """
        lock = RunLock(self._path)
        try:
            if not lock.take() and wait_s:
                logger.info("waiting for %s, which writes the same results", lock.owner())
            if not lock.take(wait_s):
                lock.close()
                return False
            lock.sign()
            self.check()
        except BaseException:
            lock.close()
            raise
        self._lock = lock
        return True

    def __enter__(self) -> "Turn":
        if self._lock is None:
            self.take()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._lock is not None
        self._lock.close()
        self._lock = None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")  # network file systems look anew at opening
    except FileNotFoundError:
        return ""
