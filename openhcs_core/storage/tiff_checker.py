"""Whether a folder of TIFFs is what its job wrote: pixels, and the tags that say what they are."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from openhcs_core.errors import InputDataError
from openhcs_core.planes import PlaneKey
from openhcs_core.storage.backends.tiff_ import read_tiff, write_tiff
from openhcs_core.storage.checking import (
    Finding,
    LabelDigests,
    WrittenImages,
    list_files,
    stray_files,
)
from openhcs_core.storage.tiff_folder import LABELS_FOLDER

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TAGS = (
    256,  # width
    257,  # length
    258,  # bits a sample
    259,  # compression
    262,  # photometric interpretation
    274,  # orientation
    277,  # samples a pixel
    282,  # x and y resolution
    283,
    296,  # resolution unit
    339,  # sample format
)
"""Tags that change what an image means; another version of tifffile may write others too."""


def check_tiff_folder(
    folder: Path, written: WrittenImages, pixel_size_um: float | None
) -> tuple[list[Finding], int]:
    """Check a folder that :func:`~.tiff_folder.write_tiff_folder` made, an image at a time.

    Parameters
    ----------
    folder : Path
        Named like the well.
    written : WrittenImages
        What was written.
    pixel_size_um : float or None
        Written in the resolution tags.

    Returns
    -------
    list of Finding
        What is missing or altered, each file once.
    int
        Bytes there are.
    """
    check = _FolderCheck(folder, written, pixel_size_um)
    findings = list(check.run())
    return findings, sum(check.present.values())


@dataclass
class _FolderCheck:
    folder: Path
    written: WrittenImages
    pixel_size_um: float | None
    known: set[str] = field(default_factory=set)
    labels: LabelDigests = field(default_factory=LabelDigests)
    tags: dict[tuple[str, tuple[int, ...]], dict[int, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look once at what files there are."""
        self.present = list_files(self.folder)

    def run(self) -> Iterator[Finding]:
        """Yield what is wrong."""
        for key in sorted(self.written.planes):
            self.known.add(key.filename)
            yield from self._check_plane(key)
        for name in sorted(self.written.labels):
            yield from self._check_label(name)
        yield from self.labels.compare(self.written, lambda n: self.folder / LABELS_FOLDER / n)
        yield from stray_files(self.folder, self.present, self.known)

    def _check_plane(self, key: PlaneKey) -> Iterator[Finding]:
        path = self.folder / key.filename
        if key.filename not in self.present:
            yield Finding("missing", path, "an image", "no such file")
            return
        plane, problem = self._read(path)
        if plane is None:
            yield problem
        elif self.written.plane_digest(plane) != self.written.planes[key].digest:
            yield Finding("altered", path, "pixels as recorded", "others")
        else:
            yield from self._check_tags(path, plane)

    def _check_label(self, name: str) -> Iterator[Finding]:
        """Check a label image; its planes are those that lie in its folder."""
        digests = self.labels.planes.setdefault(name, {})
        begin = f"{LABELS_FOLDER}/{name}/"
        for file in sorted(file for file in self.present if file.startswith(begin)):
            try:
                key = PlaneKey.parse(file.removeprefix(begin))
            except ValueError:
                continue  # a stray file
            self.known.add(file)
            plane, problem = self._read(self.folder / file)
            if plane is None:
                self.labels.damaged.add(name)
                yield problem
                continue
            digests[key] = self.written.plane_digest(plane)
            yield from self._check_tags(self.folder / file, plane)

    def _read(self, path: Path) -> "tuple[NDArray[Any] | None, Finding]":
        try:
            return read_tiff(path), Finding("altered", path, "", "")
        except InputDataError as error:
            return None, Finding("altered", path, "what its job wrote", f"damaged ({error})")

    def _check_tags(self, path: Path, plane: "NDArray[Any]") -> Iterator[Finding]:
        form = plane.dtype.name, plane.shape
        if form not in self.tags:
            again = io.BytesIO()
            write_tiff(again, plane, pixel_size_um=self.pixel_size_um)
            again.seek(0)
            self.tags[form] = _tags(again)
        with path.open("rb") as stream:
            expected, tags = self.tags[form], _tags(stream)
        for code in _TAGS:
            if expected.get(code) != tags.get(code):
                yield Finding(
                    "altered", path, f"TIFF tag {code} {expected.get(code)}", f"{tags.get(code)}"
                )
                return


def _tags(stream: BinaryIO) -> dict[int, Any]:
    """Return the tags of a TIFF's first page by their codes."""
    import tifffile

    with tifffile.TiffFile(stream, is_ome=False) as tif:
        return {tag.code: tag.value for tag in tif.pages.first.aspage().tags}
