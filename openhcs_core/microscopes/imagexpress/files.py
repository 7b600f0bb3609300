"""Which files of an ImageXpress plate are images of what, by their names and folders alone."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from openhcs_core.errors import InputDataError

NO_Z_FOLDER = -1
"""`RawImage.z_folder` of an image that lies in no ``ZStep_n`` folder."""

# Lower-case s and w never begin a well: 'run_w1_s1.tif' has no well in its name.
# The shortest prefix wins, or 'P_B02_s1_w1.tif' would be the well W01.
_IMAGE_NAME = re.compile(
    r"(?:.*?_)?"
    r"(?P<row>A[A-F]|[A-Z]|a[a-f]|[a-rt-vx-z])(?P<column>0?[1-9]|[1-3][0-9]|4[0-8])"
    r"(?i:_s(?P<site>[0-9]+))?"
    r"(?i:_w(?P<wave>[0-9]+))?"
    r"(?P<thumb>(?i:_thumb))?"
    r"(?P<guid>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?"
    r"(?i:\.tiff?)",
    re.DOTALL,
)
_Z_FOLDER = re.compile(r"ZStep_([0-9]+)", re.IGNORECASE | re.ASCII)
_TIME_FOLDER = re.compile(r"TimePoint_([0-9]+)", re.IGNORECASE | re.ASCII)
_DETECT_ENTRIES = 5_000


class ImageName(NamedTuple):
    """What a file name says.

    Attributes
    ----------
    well : str
        ``"B02"``, also where the file says ``b2``.
    site : int
        1 where the name has none.
    channel : str
        The wave's number without leading zeros; ``"1"`` where the name has none.
    is_thumbnail : bool
        A small copy for browsing.
    is_typical : bool
        Has a site, a wave or a GUID: not just any TIFF that ends in a well.
    """

    well: str
    site: int
    channel: str
    is_thumbnail: bool
    is_typical: bool


class RawImage(NamedTuple):
    """One image file and what its name and folders say.

    Attributes
    ----------
    well, site, channel
        See `ImageName`.
    timepoint : int
        Number of the ``TimePoint_n`` folder, 1 without one.
    z_folder : int
        Number of the ``ZStep_n`` folder, `NO_Z_FOLDER` without one.
    path : str
        Relative to the plate, with ``/``.
    size_bytes, mtime_ns : int
        As the scan saw them.
    """

    well: str
    site: int
    channel: str
    timepoint: int
    z_folder: int
    path: str
    size_bytes: int
    mtime_ns: int


@dataclass
class PlateFiles:
    """What one scan of a plate's folder found."""

    images: list[RawImage] = field(default_factory=list)
    htd_files: list[str] = field(default_factory=list)
    thumbnails: int = 0
    strays: list[str] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)


class _Folder(NamedTuple):
    path: str
    prefix: str
    timepoint: int
    z_folder: int


def parse_image_name(name: str) -> ImageName | None:
    """Read ``<prefix>_<well>[_s<site>][_w<wave>][_thumb][<GUID>].tif``; None for other names."""
    match = _IMAGE_NAME.fullmatch(name)
    if match is None:
        return None
    row, column, site, wave, thumb, guid = match.groups()
    return ImageName(
        f"{row.upper()}{column:0>2}",
        1 if site is None else int(site),
        "1" if wave is None else str(int(wave)),
        thumb is not None,
        site is not None or wave is not None or guid is not None,
    )


def scan_plate(plate_path: Path) -> PlateFiles:
    """List a plate's images in one walk over its folders; no file is opened.

    Folders named ``TimePoint_n`` and ``ZStep_n`` give time and plane, others are
    walked through. Hidden files and folders are passed over.

    Raises
    ------
    InputDataError
        A folder cannot be listed.
    """
    found = PlateFiles()
    names: dict[str, ImageName | None] = {}  # exports have the same names in every folder
    pending = [_Folder(str(plate_path), "", 1, NO_Z_FOLDER)]
    root = plate_path.stat()
    visited = {(root.st_dev, root.st_ino)}
    while pending:
        folder = pending.pop()
        for entry in _entries(folder.path):
            name = entry.name
            if name.startswith("."):  # macOS puts "._9987_B02_s1_w1.TIF" beside each image
                continue
            if name[-4:].lower() in {".tif", "tiff"}:
                if name not in names:
                    names[name] = parse_image_name(name)
                _add_tiff(found, folder, entry, names[name])
            elif entry.is_dir():
                status = entry.stat()
                if (status.st_dev, status.st_ino) not in visited:  # links may form a ring
                    visited.add((status.st_dev, status.st_ino))
                    pending.append(_subfolder(folder, name))
            elif name[-4:].lower() == ".htd":
                found.htd_files.append(folder.prefix + name)
    return found


def _entries(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except OSError as error:
        raise InputDataError(f"{path} cannot be listed: {error.strerror or error}") from error


def _subfolder(folder: _Folder, name: str) -> _Folder:
    z_match, time_match = _Z_FOLDER.fullmatch(name), _TIME_FOLDER.fullmatch(name)
    return _Folder(
        f"{folder.path}/{name}",
        f"{folder.prefix}{name}/",
        int(time_match[1]) if time_match else folder.timepoint,
        int(z_match[1]) if z_match else folder.z_folder,
    )


def _add_tiff(
    found: PlateFiles, folder: _Folder, entry: os.DirEntry[str], parsed: ImageName | None
) -> None:
    path = folder.prefix + entry.name
    if parsed is None:
        found.strays.append(path)
        return
    if parsed.is_thumbnail:
        found.thumbnails += 1
        return
    try:
        status = entry.stat()
    except OSError:
        found.dangling.append(path)
        return
    found.images.append(
        RawImage(
            parsed.well,
            parsed.site,
            parsed.channel,
            folder.timepoint,
            folder.z_folder,
            path,
            status.st_size,
            status.st_mtime_ns,
        )
    )


def find_evidence(plate_path: Path) -> str | None:
    """Return what speaks for an ImageXpress plate, nearest folders first; None for nothing.

    Looks at a few thousand entries at most, so that asking is cheap for any folder.
    """
    for folder, name in _nearby_names(plate_path):
        if name[-4:].lower() == ".htd":
            return f"the HTD file {folder.prefix}{name}"
        parsed = parse_image_name(name)
        if parsed is not None and parsed.is_typical:
            return f"an image named as MetaXpress does, {folder.prefix}{name}"
    return None


def _nearby_names(plate_path: Path) -> Iterator[tuple[_Folder, str]]:
    level, seen = [_Folder(str(plate_path), "", 1, NO_Z_FOLDER)], 0
    while level:
        below: list[_Folder] = []
        for folder in level:
            for entry in sorted(_entries(folder.path), key=_htd_first):
                seen += 1
                if seen > _DETECT_ENTRIES:
                    return
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    below.append(_subfolder(folder, entry.name))
                else:
                    yield folder, entry.name
        level = below


def _htd_first(entry: os.DirEntry[str]) -> tuple[bool, str]:
    return not entry.name.lower().endswith(".htd"), entry.name
