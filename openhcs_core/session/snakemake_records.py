"""What Snakemake wrote of jobs that it ran: read to foretell what it will do.

Snakemake writes one JSON file for each output below ``.snakemake/metadata``, named by the
output's path, and one below ``.snakemake/incomplete`` while the job runs. A job without
records is judged by modification times alone, by Snakemake and here.
"""

import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

_FOLDER = Path(".snakemake")
_TIMESTAMP = ".snakemake_timestamp"
"""File in a ``directory()`` output that carries the folder's time."""
_NAME_MAX = 255
_FORMAT_VERSION = 6
"""Of records whose params, input and code can be relied on."""


class Record(BaseModel):
    """The record of one output.

    Attributes
    ----------
    input : list of str
        Paths of the job's input, sorted.
    params : list of str
        Texts of its parameters.
    code : str
        The command of its rule.
    input_checksums : dict
        Path to ``sha256:…`` of input files that were not too large.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    input: list[str] | None = None
    params: list[Any] | None = None
    code: str | None = None
    record_format_version: int = 0
    input_checksums: dict[str, str | None] | None = None

    @property
    def is_current(self) -> bool:
        """Whether Snakemake compares it with the rule of today."""
        return self.record_format_version >= _FORMAT_VERSION


class SnakemakeRecords:
    """The records of a working directory.

    Parameters
    ----------
    folder : Path
        Usually ``.snakemake``; need not exist.
    """

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._folder = folder

    def find(self, output: str) -> Record | None:
        """Return the record of an output, None when there is none to be read."""
        try:
            data = json.loads(self._path("metadata", output).read_bytes())
            return Record.model_validate(data) if data else None
        except (OSError, json.JSONDecodeError, UnicodeDecodeError, ValidationError):
            return None

    def is_unfinished(self, output: str) -> bool:
        """Return whether the job that makes an output was started and has not ended."""
        return self._path("incomplete", output).exists()

    def forget(self, output: str) -> None:
        """Remove the record of an output: Snakemake goes by times and by what is missing."""
        self._path("metadata", output).unlink(missing_ok=True)

    def _path(self, kind: str, output: str) -> Path:
        """Return where Snakemake puts a record; long names are cut into folders."""
        name = urlsafe_b64encode(output.encode()).decode()
        parts = [
            name[start : start + _NAME_MAX - 1] for start in range(0, len(name), _NAME_MAX - 1)
        ]
        return self._folder.joinpath(kind, *(f"@{part}" for part in parts[:-1]), parts[-1])


def timestamp_of(path: Path) -> Path:
    """Return what carries the time of an output: a folder has a file for it."""
    stamp = path / _TIMESTAMP
    return stamp if path.is_dir() and stamp.exists() else path


def modified_ns(path: Path) -> int | None:
    """Return a modification time as Snakemake takes it, in ns; None of what is not there."""
    try:
        return timestamp_of(path).stat().st_mtime_ns
    except FileNotFoundError:
        return None
