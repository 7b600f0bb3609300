"""Files, folders and links of a disk get another name, whole or not at all."""

import errno
import os
import shutil
from pathlib import Path

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.ground.atomic import temporary_name
from openhcs_core.ground.disk_space import naming_full_disk
from openhcs_core.ground.system_errors import is_there, naming_target


def move_path(source: Path, target: Path, *, replace_symlinks: bool = False) -> None:
    """Move a file, folder or link by one rename, on another disk by a copy that is then renamed.

    Of two that move to one name in the same moment the later wins.

    Parameters
    ----------
    source, target : Path
        See :meth:`StorageBackend.move`.
    replace_symlinks : bool
        A link at `target` gives way.

    Raises
    ------
    InputDataError, StorageResolutionError
        See :meth:`StorageBackend.move`.
    DiskFullError
        The disk of `target` has no room.
    """
    with naming_full_disk(target), naming_target(target, source, action=f"moved from {source}"):
        _check(source, target, replace_symlinks=replace_symlinks)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            make_link(target, link_target(source))
            source.unlink()
            return
        try:
            _rename(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_to_other_disk(source, target)


def make_link(path: Path, pointing_to: Path) -> None:
    """Make a link, or replace the file or link at `path` by one, in one step."""
    temporary = path.with_name(temporary_name())
    temporary.symlink_to(pointing_to)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink()
        raise


def link_target(link: Path) -> Path:
    """Return what a link points to, as a path that is the same from every folder."""
    return Path(link.parent.resolve(), link.readlink())


def taken(target: Path, how: str = "") -> StorageResolutionError:
    """Return the error for a name at which there is something already."""
    return StorageResolutionError(
        f"{target}: there is something of this name; delete it first or choose another name{how}"
    )


def _check(source: Path, target: Path, *, replace_symlinks: bool) -> None:
    if not is_there(source):
        raise InputDataError(f"{source}: nothing is there to move; check the path")
    if source.absolute() == target.absolute():
        raise taken(target)
    if target.is_symlink() and not replace_symlinks:
        raise taken(target, " (it is a link: replace_symlinks=True replaces it)")
    if target.exists() and not target.is_symlink():
        raise taken(target)
    is_folder = source.is_dir() and not source.is_symlink()
    if is_folder and target.parent.resolve().is_relative_to(source.resolve()):
        raise StorageResolutionError(f"{target}: lies inside {source}, which is to be moved there")


def _rename(source: Path, target: Path) -> None:
    if not source.is_dir() or not target.is_symlink():
        source.replace(target)
        return
    aside = target.with_name(temporary_name())  # a folder cannot be renamed over a link
    target.rename(aside)
    try:
        source.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    aside.unlink()


def _move_to_other_disk(source: Path, target: Path) -> None:
    temporary = target.with_name(temporary_name())
    try:
        _copy(source, temporary)
        _rename(temporary, target)
    except BaseException:
        _remove(temporary)
        raise
    _remove(source)


def _copy(source: Path, target: Path) -> None:
    """Copy a tree with times and links; all is on disk at the end, for the source goes next."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir()  # shutil.copytree would go on after an error
        for entry in source.iterdir():
            _copy(entry, target / entry.name)
        shutil.copystat(source, target)
        return
    shutil.copy2(source, target, follow_symlinks=False)
    if not target.is_symlink():
        with target.open("rb") as stream:
            os.fsync(stream.fileno())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
