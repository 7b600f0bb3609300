"""Files of special outputs, written through storage backends: one, or several at once."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal, get_args

from openhcs_core.errors import StorageResolutionError
from openhcs_core.materialization.engine import materialize
from openhcs_core.materialization.sources import Entry
from openhcs_core.materialization.spec import (
    CsvOptions,
    JsonOptions,
    MaterializationSpec,
    ROIOptions,
    TextOptions,
    TiffOptions,
)

if TYPE_CHECKING:
    from openhcs_core.storage import FileManager

Overwrite = Literal["replace", "error", "keep"]
"""What becomes of a file that is there already."""

_OPTIONS = (CsvOptions, JsonOptions, ROIOptions, TiffOptions, TextOptions)


def materialize_to(
    spec: MaterializationSpec,
    entries: Sequence[Entry],
    path: str | Path,
    filemanager: "FileManager",
    backends: str | Sequence[str] = ("disk",),
    overwrite: Overwrite = "replace",
    who: str = "output",
) -> str:
    """Write every file of a special output to each of some storage backends.

    Parameters
    ----------
    spec : MaterializationSpec
        Which files there are.
    entries : sequence of Entry
        What each call gave, in call order.
    path : str or Path
        What the files are called before their options' suffixes. A suffix of one of them, or
        one that writers use (``.roi.zip``), is taken off first: the longest that fits.
    filemanager : FileManager
        Has the backends.
    backends : str or sequence of str
        Names of those to write to, in this order. Each gets all files or none of them.
    overwrite : str
        ``replace`` files that are there, ``keep`` them, or take one for an ``error``.
    who : str
        Step, well and output, for messages.

    Returns
    -------
    str
        Path of the main file.

    Raises
    ------
    StepFunctionError
        The values are not what a writer takes.
    StorageResolutionError
        See :func:`save_files`; or two options would write one file. In all these cases nothing
        is written.
    """
    paths = _paths(spec, path)
    contents = {
        to: materialize(options, entries, who)
        for to, options in zip(paths, spec.options, strict=True)
    }
    save_files(contents, filemanager, backends, overwrite)
    return paths[spec.primary]


def save_files(
    contents: Mapping[str, bytes],
    filemanager: "FileManager",
    backends: str | Sequence[str] = ("disk",),
    overwrite: Overwrite = "replace",
) -> None:
    """Write files to each of some storage backends; folders are made where they are absent.

    An error of a backend leaves the files in it as they were, if the backend can do that as
    disk and memory can, and no new file in any case. Backends before it keep what they got.

    Parameters
    ----------
    contents : mapping of str to bytes
        Content by path.
    filemanager, backends, overwrite
        See :func:`materialize_to`.

    Raises
    ------
    StorageResolutionError
        There is no such backend, it cannot hold files, or with ``error`` a file is there.
    ValueError
        No backend is named, or `overwrite` is none of the three.
    """
    names = dict.fromkeys([backends] if isinstance(backends, str) else backends)
    if not names:
        raise ValueError("no storage backend to write to; name one, such as 'disk'")
    if overwrite not in get_args(Overwrite):
        known = ", ".join(get_args(Overwrite))
        raise ValueError(f"overwrite {overwrite!r} is none of {known}")
    for name in names:
        filemanager.require_files(name)
    there = {name: _existing(contents, filemanager, name, overwrite) for name in names}
    for name in names:
        new = {path: content for path, content in contents.items() if path not in there[name]}
        for folder in dict.fromkeys(str(PurePath(path).parent) for path in new):
            filemanager.ensure_directory(folder, name)
        filemanager.save_batch(list(new.values()), list(new), name)


def _existing(
    contents: Mapping[str, bytes], filemanager: "FileManager", backend: str, overwrite: Overwrite
) -> set[str]:
    """Return the files that are there and stay so."""
    if overwrite == "replace":
        return set()
    there = {path for path in contents if filemanager.exists(path, backend)}
    if there and overwrite == "error":
        raise StorageResolutionError(
            f"{min(there)} is in storage backend {str(backend)!r} already; delete it, or write "
            "with overwrite='replace' or 'keep'"
        )
    return there


def _paths(spec: MaterializationSpec, path: str | Path) -> list[str]:
    """Return the path of each option's file."""
    before = PurePath(path)
    stem = _stem(before.name, spec)
    paths = [str(before.with_name(stem + options.filename_suffix)) for options in spec.options]
    for to in paths:
        if paths.count(to) > 1:
            raise StorageResolutionError(
                f"two options would write {to}; give them different filename_suffix values"
            )
    return paths


def _stem(name: str, spec: MaterializationSpec) -> str:
    """Return a file name without its suffix, of several that fit the longest."""
    suffixes = {options.filename_suffix for options in spec.options}
    suffixes |= {ending for options in _OPTIONS for ending in options.endings if ending}
    for suffix in sorted(suffixes, key=lambda suffix: (-len(suffix), suffix)):
        if name.endswith(suffix) and name != suffix:
            return name.removesuffix(suffix)
    return name
