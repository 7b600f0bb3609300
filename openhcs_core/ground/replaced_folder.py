"""Folders of a well's images that take the place of older ones when they are whole."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from openhcs_core.ground.atomic import TEMPORARY_PREFIX, replace_file, temporary_name
from openhcs_core.ground.folder_lock import locked_folder
from openhcs_core.ground.zarr_groups import ZARR_GROUP_FILES, remove_group


@contextmanager
def replacing_folder(folder: Path, confirm: Callable[[], None] | None) -> Iterator[Path]:
    """Give a new folder that takes the place of `folder` when the block ends well.

    Parameters
    ----------
    confirm : callable or None
        Called after the block, before the first rename; raises to leave `folder` as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    begin = f"{TEMPORARY_PREFIX}{folder.name}-"
    for stale in folder.parent.glob(f"{begin}*"):  # of a job that was killed
        shutil.rmtree(stale, ignore_errors=True)
    stage = folder.with_name(begin + temporary_name().removeprefix(TEMPORARY_PREFIX))
    try:
        (stage / folder.name).mkdir(parents=True)
        yield stage / folder.name
        if confirm is not None:
            confirm()
        if folder.exists():
            folder.rename(stage / "before")
        (stage / folder.name).rename(folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def restore_tiff_folder(
    folder: Path, fill: Callable[[Path], None], *, confirm: Callable[[], None] | None = None
) -> None:
    """Put back a folder of a well's TIFFs, in one step.

    Parameters
    ----------
    fill : callable
        Puts its files into the folder it is given.
    confirm : callable, optional
        Called when that is done, before the first rename; raises to leave `folder` as it was.
    """
    with replacing_folder(folder, confirm) as stage:
        fill(stage)


def restore_well_group(
    folder: Path, fill: Callable[[Path], None], *, confirm: Callable[[], None] | None = None
) -> None:
    """Put back a well of an OME-Zarr plate, as carefully as one is written.

    Parameters
    ----------
    folder : Path
        The well's.
    fill : callable
        Puts the files of the well, its group's among them, into the folder it is given.
    confirm : callable, optional
        Called when that is done, before the first rename; raises to stop.
    """
    with locked_folder(folder):
        with staged(folder) as stage:
            fill(stage)
            if confirm is not None:
                confirm()
            files = {path.name: path.read_bytes() for path in stage.iterdir() if path.is_file()}
            fields = {entry.name for entry in stage.iterdir() if entry.is_dir()}
            replace_fields(stage, fields, folder)
        for name in sorted(files, key=lambda name: name in ZARR_GROUP_FILES.values()):
            with replace_file(folder / name) as stream:
                stream.write(files[name])


@contextmanager
def staged(parent: Path) -> Iterator[Path]:
    """Make a temporary folder, and remove it with those that killed jobs left behind."""
    parent.mkdir(parents=True, exist_ok=True)
    for stale in parent.glob(f"{TEMPORARY_PREFIX}*"):
        remove_entry(stale)
    stage = parent / temporary_name()
    stage.mkdir()
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def replace_fields(stage: Path, fields: set[str], folder: Path) -> None:
    """Put finished fields in place of all that the well had."""
    remove_group(folder)
    for path in sorted(fields):
        swap_folder(stage, path, folder)
    _remove_other_folders(folder, keep={*fields, stage.name})


def swap_folder(stage: Path, name: str, folder: Path) -> None:
    """Put a finished field in place of an older one of its name."""
    final = folder / name
    if final.exists():
        final.rename(stage / temporary_name())
    (stage / name).rename(final)


def remove_entry(path: Path) -> None:
    """Remove a file, a link or a whole folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _remove_other_folders(folder: Path, keep: set[str]) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name not in keep:
            remove_entry(entry)
