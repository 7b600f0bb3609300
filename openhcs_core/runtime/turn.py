"""Whose turn it is to write results: one job at a time, and none of a run that is dead.

Jobs outlive a main process that is killed. What they still write must not meet what the jobs of
the next run write, or read.
"""

import logging
from math import inf
from pathlib import Path
from types import TracebackType

from openhcs_core.config import run_of_this_job
from openhcs_core.errors import SupersededError
from openhcs_core.plan import RUN_LOCK, plate_lock
from openhcs_core.runtime.lock import RunLock

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

    def __enter__(self) -> "Turn":
        lock = RunLock(self._path)
        try:
            if not lock.take():
                logger.info("waiting for %s, which writes the same results", lock.owner())
                lock.take(inf)
            lock.sign()
            self.check()
        except BaseException:
            lock.close()
            raise
        self._lock = lock
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._lock is not None
        self._lock.close()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")  # network file systems look anew at opening
    except FileNotFoundError:
        return ""
