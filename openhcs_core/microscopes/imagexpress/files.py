"""Which files of an ImageXpress plate are images of what, by their names and folders alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from openhcs_core.storage import Entry, PlateSource, is_folder, open_plate_source

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
        As the scan saw them; see `ImageFile`.
    """

    well: str
    site: int
    channel: str
    timepoint: int
    z_folder: int
    path: str
    size_bytes: int | None
    mtime_ns: int | str | None


@dataclass
class PlateFiles:
    """What one scan of a plate's folder found."""

    images: list[RawImage] = field(default_factory=list)
    htd_files: list[str] = field(default_factory=list)
    thumbnails: int = 0
    strays: list[str] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)


class _Folder(NamedTuple):
    prefix: str
    timepoint: int
    z_folder: int


_ROOT = _Folder("", 1, NO_Z_FOLDER)


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


def scan_plate(plate: str | Path | PlateSource) -> PlateFiles:
    """List a plate's images in one walk over its folders; no file is opened.

    Folders named ``TimePoint_n`` and ``ZStep_n`` give time and plane, others are
    walked through. Hidden files and folders are passed over.

    Raises
    ------
    InputDataError
        A folder cannot be listed.
    """
    source = open_plate_source(plate)
    found = PlateFiles()
    names: dict[str, ImageName | None] = {}  # exports have the same names in every folder
    pending = [_ROOT]
    visited = {source.folder_identity("")}
    while pending:
        folder = pending.pop()
        for entry in _scan_folder(source, folder, names, found):
            identity = source.folder_identity(folder.prefix + entry.name)
            if identity not in visited:  # links may form a ring
                visited.add(identity)
                pending.append(_subfolder(folder, entry.name))
    return found


def _scan_folder(
    source: PlateSource, folder: _Folder, names: dict[str, ImageName | None], found: PlateFiles
) -> list[Entry]:
    """Sort the files of one folder into `found`; return the folders in it."""
    prefix, timepoint, z_folder = folder
    add, new = found.images.append, tuple.__new__  # 1e5 times: no call that can be spared
    below: list[Entry] = []
    for entry in source.list_folder(prefix):
        name = entry.name
        parsed = names.get(name)
        if parsed is None and not _is_new_image(name, names):
            _add_other(entry, prefix, names, found, below)
            continue
        well, site, channel, is_thumbnail, _ = parsed or names[name]  # type: ignore[misc]  # new
        if is_thumbnail:
            found.thumbnails += 1
            continue
        try:
            status = entry.stat()
        except OSError:
            found.dangling.append(prefix + name)
            continue
        add(
            new(
                RawImage,
                (
                    well,
                    site,
                    channel,
                    timepoint,
                    z_folder,
                    prefix + name,
                    status.st_size,
                    status.st_mtime_ns,
                ),
            )
        )
    return below


def _is_new_image(name: str, names: dict[str, ImageName | None]) -> bool:
    """Read a name that was not met before; return whether it is an image's."""
    # macOS puts "._9987_B02_s1_w1.TIF" beside each image
    if name not in names and name[-4:].lower() in {".tif", "tiff"} and name[0] != ".":
        names[name] = parse_image_name(name)
        return names[name] is not None
    return False


def _add_other(
    entry: Entry,
    prefix: str,
    names: dict[str, ImageName | None],
    found: PlateFiles,
    below: list[Entry],
) -> None:
    """Take up what is no image: a TIFF of another name, a folder, an HTD file."""
    name = entry.name
    if name.startswith("."):
        return
    if name in names:
        found.strays.append(prefix + name)
    elif is_folder(entry):
        below.append(entry)
    elif name[-4:].lower() == ".htd":
        found.htd_files.append(prefix + name)


def _subfolder(folder: _Folder, name: str) -> _Folder:
    z_match, time_match = _Z_FOLDER.fullmatch(name), _TIME_FOLDER.fullmatch(name)
    return _Folder(
        f"{folder.prefix}{name}/",
        int(time_match[1]) if time_match else folder.timepoint,
        int(z_match[1]) if z_match else folder.z_folder,
    )


def find_evidence(source: PlateSource) -> str | None:
    """Return what speaks for an ImageXpress plate, nearest folders first; None for nothing.

    Looks at a few thousand entries at most, so that asking is cheap for any folder.
    """
    for folder, name in _nearby_names(source):
        if name[-4:].lower() == ".htd":
            return f"the HTD file {folder.prefix}{name}"
        parsed = parse_image_name(name)
        if parsed is not None and (parsed.is_typical or _is_typical_folder(folder)):
            return f"an image named as MetaXpress does, {folder.prefix}{name}"
    return None


def _is_typical_folder(folder: _Folder) -> bool:
    """Return whether images lie as an export puts them, whose names may be a well alone."""
    parts = folder.prefix.split("/")
    return any(_TIME_FOLDER.fullmatch(part) or _Z_FOLDER.fullmatch(part) for part in parts)


def _nearby_names(source: PlateSource) -> Iterator[tuple[_Folder, str]]:
    level, seen = [_ROOT], 0
    while level:
        below: list[_Folder] = []
        for folder in level:
            for entry in sorted(source.list_folder(folder.prefix), key=_htd_first):
                seen += 1
                if seen > _DETECT_ENTRIES:
                    return
                if entry.name.startswith("."):
                    continue
                if is_folder(entry):
                    below.append(_subfolder(folder, entry.name))
                else:
                    yield folder, entry.name
        level = below


def _htd_first(entry: Entry) -> tuple[bool, str]:
    return not entry.name.lower().endswith(".htd"), entry.name
