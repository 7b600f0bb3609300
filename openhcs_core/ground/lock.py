"""One compiler or run at a time on a results folder: a lock that the kernel releases on death."""

import fcntl
import os
import time
from pathlib import Path
from typing import IO

_POLL_S = 0.1


class RunLock:
    """A ``flock`` on a file: of one holder, or of several that share it.

    Parameters
    ----------
    path : Path
        Usually ``results/.plan/lock``; created with its folder.

    Notes
    -----
    The file is opened close-on-exec, so programs started from here do not hold the lock;
    a killed process loses it at once, whatever the signal.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a+", encoding="utf-8")
        self._is_held = False

    def take(self, wait_s: float = 0.0, *, shared: bool = False) -> bool:
        """Try to take the lock for `wait_s` seconds; return whether it is held now.

        Parameters
        ----------
        shared : bool
            Others may share it too; who takes it without is alone.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        deadline = time.monotonic() + wait_s
        while not self._is_held:
            try:
                fcntl.flock(self._file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_POLL_S)
            else:
                self._is_held = True
        return True

    def release(self) -> None:
        """Give the lock up; it may be taken again."""
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._is_held = False

    def sign(self, signature: str | None = None) -> str:
        """Write who holds the lock into the file; return the signature, which is unique.

        Its first line is for messages of others.

        Parameters
        ----------
        signature : str, optional
            Of another lock that the same run has signed.
        """
        if signature is None:
            signature = f"process {os.getpid()} on {os.uname().nodename}\n{os.urandom(8).hex()}"
        self._file.truncate(0)
        self._file.write(signature)
        self._file.flush()
        return signature

    @property
    def signed(self) -> float:
        """When the last holder signed: its modification time, in s."""
        return Path(self._file.name).stat().st_mtime

    def owner(self) -> str:
        """Return what the last holder wrote."""
        self._file.seek(0)
        return self._file.readline().strip() or "an unknown process"

    def close(self) -> None:
        """Give the lock up and close the file."""
        self._file.close()
        self._is_held = False
