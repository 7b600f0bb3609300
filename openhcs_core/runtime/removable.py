"""The cache may be removed at any moment, also while something is written into it."""

import logging
from collections.abc import Callable
from pathlib import Path

from openhcs_core.errors import StorageAccessError

logger = logging.getLogger(__name__)

_TRIES = 3


def write_unless_removed(write: Callable[[], object], path: Path) -> None:
    """Write into the cache: again where it was removed meanwhile, and in the end not at all.

    What is not in the cache is computed by who needs it.

    Parameters
    ----------
    write : callable
        Makes the folders that it needs.
    path : Path
        What it writes, for the log.

    Raises
    ------
    StorageAccessError, DiskFullError
        It cannot be written for another reason.
    """
    for _ in range(_TRIES):
        try:
            write()
        except FileNotFoundError:
            continue
        except StorageAccessError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
        else:
            return
    logger.info("%s is not kept: the cache was removed while it was written", path)
