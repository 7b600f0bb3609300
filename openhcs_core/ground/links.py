"""Files that share their disk space with others, where the system lets them."""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from openhcs_core.ground.atomic import temporary_name
from openhcs_core.ground.disk_space import naming_full_disk
from openhcs_core.ground.system_errors import naming_target

_CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}
"""Other file system, links refused, too many links, no links at all."""


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` a hard link of `source`, or a copy with its mode and time.

    A target that somebody else made meanwhile stays as it is.

    Raises
    ------
    DiskFullError
        There is no room for a copy.
    StorageAccessError
        The system does not let it be made, as in a cache that others own.
    """
    with naming_full_disk(target), naming_target(target, source):
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            try:
                os.link(source, target)
            except OSError as error:
                if error.errno not in _CANNOT_LINK:
                    raise
                _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    temporary = target.with_name(temporary_name())
    try:
        shutil.copy2(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
