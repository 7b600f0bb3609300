"""What the checks of stored images have in common: what was written, and what is found instead."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from openhcs_core.planes import PlaneKey

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN_CHARACTERS = 60
_ZARR_V2_METADATA = frozenset({".zgroup", ".zattrs", ".zarray"})


class Finding(NamedTuple):
    """A file that is not what was written.

    Attributes
    ----------
    kind : str
        ``missing`` or ``altered``.
    path : Path
        The file.
    expected, found : str
        For people.
    """

    kind: Literal["missing", "altered"]
    path: Path
    expected: str
    found: str


class PlaneForm(NamedTuple):
    """A plane as it was written: digest of its content, dtype name and ``(Y, X)``."""

    digest: str
    dtype: str
    shape: tuple[int, int]


@dataclass(frozen=True)
class WrittenImages:
    """What was written for a well, as its record says.

    Attributes
    ----------
    well : str
        E.g. ``"B02"``.
    planes : mapping of PlaneKey to PlaneForm
        Its images.
    labels : mapping of str to str
        Name of each label image to the digest of all its planes.
    plane_digest : callable
        Gives the digest of a plane.
    label_digest : callable
        Gives the digest of a label image, from the digests of its planes.
    """

    well: str
    planes: Mapping[PlaneKey, PlaneForm]
    labels: Mapping[str, str]
    plane_digest: "Callable[[NDArray[Any]], str]"
    label_digest: Callable[[Mapping[PlaneKey, str]], str]


@dataclass
class LabelDigests:
    """Digests of label planes as they are read, by label image.

    Attributes
    ----------
    planes : dict
        Name of a label image to its planes' digests.
    damaged : set of str
        Label images of which something could not be read; that has been said already.
    """

    planes: dict[str, dict[PlaneKey, str]] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)

    def compare(self, written: WrittenImages, place: Callable[[str], Path]) -> Iterator[Finding]:
        """Yield the label images that are others than written.

        Parameters
        ----------
        place : callable
            Gives the path to name for a label image.
        """
        for name, digest in written.labels.items():
            found = self.planes.get(name, {})
            if name in self.damaged or (found and written.label_digest(found) == digest):
                continue
            what = f"label image {name!r} of well {written.well}"
            if found:
                yield Finding(
                    "altered", place(name), f"{what} as recorded", "other values or other planes"
                )
            else:
                yield Finding("missing", place(name), what, "none of its planes")


def list_files(folder: Path) -> dict[str, int]:
    """Return the size in bytes of each file below a folder, by path relative to it.

    Hidden names are left out: unfinished files, and what Snakemake notes for itself; zarr v2
    hides its metadata, and these count. Links to folders are not followed and count as files of
    0 bytes.
    """
    found: dict[str, int] = {}
    folders = [("", os.fspath(folder))]
    while folders:
        begin, path = folders.pop()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith(".") and entry.name not in _ZARR_V2_METADATA:
                        continue
                    name = f"{begin}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((f"{name}/", entry.path))
                    else:
                        found[name] = entry.stat().st_size if entry.is_file() else 0
        except (FileNotFoundError, NotADirectoryError):
            continue
    return found


def stray_files(folder: Path, found: Mapping[str, int], written: set[str]) -> Iterator[Finding]:
    """Yield the files that were never written there."""
    for name in sorted(found.keys() - written):
        yield Finding("altered", folder / name, "no such file", "a file that no job wrote")


def compare_bytes(path: Path, written: bytes) -> Iterator[Finding]:
    """Yield a finding when a text file is missing or has other bytes."""
    try:
        found = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        yield Finding("missing", path, f"{len(written)} bytes", "no such file")
        return
    if found != written:
        yield Finding("altered", path, *first_difference(written, found))


def first_difference(written: bytes, found: bytes) -> tuple[str, str]:
    """Return the first line that differs, as it was written and as it is found."""
    lines, others = written.splitlines(), found.splitlines()
    for number, (line, other) in enumerate(zip(lines, others, strict=False), start=1):
        if line != other:
            return f"{_shown(line)} in line {number}", _shown(other)
    return f"{len(lines)} lines, {len(written)} bytes", f"{len(others)} lines, {len(found)} bytes"


def _shown(line: bytes) -> str:
    text = line.decode(errors="replace").strip()
    short = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
    return repr(short)
