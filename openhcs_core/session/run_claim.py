"""The right to run: on all plates of a results folder, or on one of them beside runs of others."""

import os
from collections.abc import Sequence
from math import inf
from pathlib import Path

from openhcs_core.plan import RUN_LOCK, plate_lock
from openhcs_core.runtime import RunLock
from openhcs_core.session.job_states import LastRun

WAIT_FOR_IT = "wait for it, or stop it"
CHANGED_MEANWHILE = "another run changed the plans meanwhile"
"""How a run says that it gives way to another: what has started it may look for these words."""


class RunClaim:
    """A lock on a results folder, or a share of it and the lock of a plate.

    Whoever runs all plates holds the folder's lock alone. Runs of one plate share it, and each
    holds its plate's. So a plate never has two runs, whichever kind they are of; and the kernel
    lets go of all when a run dies.

    Parameters
    ----------
    results : Path
        The folder.
    plates : sequence of str
        What is to be run.
    plate : str or None
        The one plate that is; None for all of the config.
    """

    def __init__(self, results: Path, plates: Sequence[str], plate: str | None = None) -> None:
        self._results, self._plates, self._plate = results, plates, plate
        self._whole = RunLock(results / RUN_LOCK)
        self._own = None if plate is None else RunLock(results / plate_lock(plate))

    def take(self, wait_s: float = 0.0) -> bool:
        """Try to take it for `wait_s` seconds; return whether it is held now."""
        if self._own is None:
            return self._whole.take(wait_s)
        if not self._whole.take(wait_s, shared=True):
            return False
        if self._own.take(wait_s):
            return True
        self._whole.release()
        return False

    def is_same_live(self) -> bool:
        """Return whether a run of just these plates is live: of all, or of the one."""
        if self._plate is not None:
            return _is_held(self._results / plate_lock(self._plate))
        return _is_held(self._results / RUN_LOCK, shared=True)

    def sign(self) -> str:
        """Say of every plate which run works on it now: jobs of earlier ones write no more."""
        if self._own is not None:
            return self._own.sign()
        signature = self._whole.sign()
        for plate in self._plates:
            lock = RunLock(self._results / plate_lock(plate))
            lock.sign(signature)
            lock.close()
        return signature

    @property
    def signed(self) -> float:
        """When the last run signed: its modification time, in s."""
        return (self._own or self._whole).signed

    def owner(self) -> str:
        """Return who is in the way, for messages."""
        own = [plate for plate in self._plates if _is_held(self._results / plate_lock(plate))]
        if not own:
            return self._whole.owner()
        lock = RunLock(self._results / plate_lock(own[0]))
        more = f" and of {len(own) - 1} more" if len(own) > 1 else ""
        text = f"{lock.owner()}, of plate {own[0]!r}{more}"
        lock.close()
        return text

    def close(self) -> None:
        """Give it up."""
        if self._own is not None:
            self._own.close()
        self._whole.close()


def find_last_run(results: Path, plate: str) -> LastRun:
    """Return when the last run of a plate started and whether it goes on; write nothing."""
    own, whole = results / plate_lock(plate), results / RUN_LOCK
    stats = [path.stat() for path in (own, whole) if path.exists()]
    started = next((stat.st_mtime for stat in stats if stat.st_size), inf)  # compiling signs none
    return LastRun(started, is_live=_is_held(own) or _is_held(whole, shared=True))


def find_owner(results: Path, plate: str) -> str:
    """Return who works on a plate, for messages."""
    claim = RunClaim(results, [plate], plate)
    owner = claim.owner()
    claim.close()
    return owner


def is_signed_by(results: Path, plate: str, process: int) -> bool:
    """Return whether a process of this machine is the last that was to run a plate."""
    path = results / plate_lock(plate)
    if not path.exists():
        return False
    lock = RunLock(path)
    owner = lock.owner()
    lock.close()
    return owner == f"process {process} on {os.uname().nodename}"


def _is_held(path: Path, *, shared: bool = False) -> bool:
    """Return whether somebody holds a lock, `shared`: alone."""
    if not path.exists():
        return False
    lock = RunLock(path)
    is_free = lock.take(shared=shared)
    lock.close()  # nobody waits for this one
    return not is_free
