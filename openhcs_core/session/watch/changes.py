"""When a folder's files last changed: what is still being written must not be analysed."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Changes:
    """When files and folders changed.

    Attributes
    ----------
    files : mapping of str to float
        Path relative to the folder, with ``/``, to the time of its last change, in s.
    newest : float
        The latest change of a file or a folder, in s.
    """

    files: Mapping[str, float]
    newest: float

    @property
    def fingerprint(self) -> tuple[int, float]:
        """What differs when anything was added, removed or written."""
        return (len(self.files), self.newest)


def find_changes(folder: Path) -> Changes:
    """Look at every file and folder below `folder`.

    It is the time at which the system last changed a file's entry (``st_ctime``) that counts:
    programs that copy give files the modification time of the original. Links are not followed.

    Raises
    ------
    OSError
        A folder cannot be listed.
    """
    files: dict[str, float] = {}
    newest = folder.stat().st_ctime
    pending = [""]
    while pending:
        below = pending.pop()
        with os.scandir(folder / below) as entries:
            for entry in entries:
                try:
                    changed = entry.stat(follow_symlinks=False).st_ctime
                except FileNotFoundError:  # renamed or removed meanwhile: its folder changed
                    continue
                newest = max(newest, changed)
                path = f"{below}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{path}/")
                else:
                    files[path] = changed
    return Changes(files, newest)
