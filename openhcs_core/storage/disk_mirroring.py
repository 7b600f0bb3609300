"""A folder's tree again elsewhere on disk, with links in place of files."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.ground.disk_space import naming_full_disk
from openhcs_core.ground.system_errors import naming_target
from openhcs_core.storage.backends.tiff_ import unreadable
from openhcs_core.storage.disk_moving import make_link, taken


@dataclass(slots=True)
class _Tree:
    """What a folder consists of, by path below it; hidden names left out.

    Attributes
    ----------
    folders : list of Path
        A folder stands before those in it.
    files : dict of Path to Path
        Files, and links to files and folders; with the absolute path behind all links.
    """

    folders: list[Path] = field(default_factory=list)
    files: dict[Path, Path] = field(default_factory=dict)


def mirror_folder(source: Path, target: Path, *, overwrite_symlinks_only: bool = True) -> int:
    """Make the folders of `source` below `target`, with absolute links to its files.

    What is in the way is found before anything is made; each link appears in one step. A link
    in `source` is mirrored as a link to what it leads to, also when that is a folder.

    Parameters
    ----------
    source, target : Path
        See :meth:`StorageBackend.mirror_directory`.
    overwrite_symlinks_only : bool
        A file in the way is an error; when False it is replaced.

    Returns
    -------
    int
        How many links the mirror has.

    Raises
    ------
    InputDataError, StorageResolutionError
        See :meth:`StorageBackend.mirror_directory`.
    """
    real_source, real_target = source.resolve(), target.resolve()
    if real_target.is_relative_to(real_source) or real_source.is_relative_to(real_target):
        raise StorageResolutionError(
            f"{target}: one of it and {source} lies inside the other; mirror to another folder"
        )
    tree = _read_tree(source)
    with naming_full_disk(target), naming_target(target, target):
        _check_nothing_is_in_the_way(tree, target, overwrite_symlinks_only=overwrite_symlinks_only)
        target.mkdir(parents=True, exist_ok=True)
    for folder in tree.folders:
        _make_folder(target / folder)
    for file, real in tree.files.items():
        path = target / file
        if not (path.is_symlink() and path.readlink() == real):
            with naming_full_disk(path), naming_target(path):
                make_link(path, real)
    return len(tree.files)


def _read_tree(source: Path) -> _Tree:
    tree = _Tree()
    left = [Path()]
    while left:
        folder = left.pop()
        try:
            with os.scandir(source / folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise unreadable(source / folder, error) from error
        for entry in found:
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                tree.folders.append(path)
                left.append(path)
            else:
                tree.files[path] = _behind_links(source / path)
    return tree


def _behind_links(path: Path) -> Path:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise InputDataError(
            f"{path}: is a link that leads nowhere; restore what it points to or delete it"
        ) from error


def _check_nothing_is_in_the_way(
    tree: _Tree, target: Path, *, overwrite_symlinks_only: bool
) -> None:
    giving_way = {folder for folder in tree.folders if (target / folder).is_symlink()}
    for folder in tree.folders:
        if giving_way.isdisjoint(folder.parents):
            _check_folder(target / folder)
    for file in tree.files:
        if giving_way.isdisjoint(file.parents):
            _check_file(target / file, overwrite_symlinks_only=overwrite_symlinks_only)


def _check_folder(path: Path) -> None:
    if path.exists() and not path.is_symlink() and not path.is_dir():
        raise StorageResolutionError(f"{path}: is a file where the mirror has a folder; move it")


def _check_file(path: Path, *, overwrite_symlinks_only: bool) -> None:
    if not path.exists() or path.is_symlink():
        return
    if path.is_dir():
        raise StorageResolutionError(f"{path}: is a folder where the mirror has a file; move it")
    if overwrite_symlinks_only:
        raise taken(path, "; overwrite_symlinks_only=False replaces files")


def _make_folder(path: Path) -> None:
    """Make a folder; a link to one gives way, or the mirror would write where it leads."""
    with naming_full_disk(path), naming_target(path):
        if path.is_symlink():
            path.unlink()
        path.mkdir(parents=True, exist_ok=True)
