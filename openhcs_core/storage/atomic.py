"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

TEMPORARY_PREFIX = ".tmp-"
"""How unfinished files and folders begin; listings leave hidden names out."""


def temporary_name() -> str:
    """Return a hidden name that nobody else uses."""
    return TEMPORARY_PREFIX + os.urandom(8).hex()


@contextmanager
def replace_file(path: str | Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of `path` when the block ends well.

    The content is on disk (fsync) before the name changes, so neither a kill nor a
    power cut leaves a torn file under the final name. When the block raises, the
    temporary file is removed and `path` is as it was.

    Parameters
    ----------
    path : str or Path
        Final name; parent folders are created where they are absent.
    durable : bool
        Wait until the content is on disk. Without it a kill is survived, a power cut is not:
        for files that are compared with what they should be and written again.

    Yields
    ------
    BinaryIO
        Open for reading and writing, in the folder of `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(temporary_name())
    try:
        # tempfile would make the file readable by its owner alone; this one heeds the umask.
        with temporary.open("x+b") as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
