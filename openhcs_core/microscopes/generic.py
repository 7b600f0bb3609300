"""Images of any instrument, told by a pattern of file names in the config."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple, Self

from openhcs_core.config import GenericConfig, PlateConfig, compile_pattern
from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.microscopes.base import FilenameParts, MicroscopeHandler
from openhcs_core.microscopes.completeness import find_missing
from openhcs_core.microscopes.image_order import sort_images
from openhcs_core.microscopes.plate_index import ImageFile, PlateIndex
from openhcs_core.microscopes.samples import HeaderReader, describe_channels
from openhcs_core.microscopes.wells import well_name
from openhcs_core.planes import PlaneKey, row_number
from openhcs_core.storage import PlateSource, is_folder
from openhcs_core.storage.listing import in_natural_order

_ONE_CHANNEL = "1"


class GenericHandler(MicroscopeHandler):
    """Reads the TIFFs whose names fit the pattern of ``plates.<name>.generic``.

    It claims no plate by itself: names that fit a pattern are no sign of an instrument.

    Parameters
    ----------
    config : GenericConfig, optional
        Without it plates cannot be indexed.
    """

    name = "generic"
    parser_name = "GenericFilenameParser"

    def __init__(self, config: GenericConfig | None = None) -> None:
        self._config = config
        self._pattern = None if config is None else compile_pattern(config.pattern)

    def configured(self, settings: PlateConfig) -> Self:
        """Return a handler for the plate's pattern."""
        return type(self)(settings.generic)

    def find_evidence(self, source: PlateSource) -> str | None:
        """Return the first image that fits the pattern; None without a pattern."""
        if self._config is None or self._pattern is None:
            return None
        files = _scan(source, self._pattern, self._config)
        if not files.matched:
            return None
        first = min(file.path for file in files.matched)
        return f"{len(files.matched)} images that fit {self._config.pattern!r}, e.g. {first}"

    def looked_for(self) -> str:
        """Say what the pattern is."""
        if self._config is None:
            return "file names that fit a pattern of the config (generic: {pattern: …})"
        return f"TIFF files that fit the pattern {self._config.pattern!r}"

    def parse_filename(self, name: str) -> FilenameParts | None:
        """Return well, site, z and time of a name; channels are numbered by the plate."""
        pattern, config = self._settings()
        match = pattern.fullmatch(name)
        parts = None if match is None else _parse(match, config)
        if parts is None:
            return None
        return FilenameParts(parts.well, parts.site)

    def read_index(self, source: PlateSource) -> PlateIndex:
        """Scan the folders once, open a few headers of each channel."""
        pattern, config = self._settings()
        files = _scan(source, pattern, config)
        if not files.matched:
            raise _none_fits(source, config, files)
        parsed = [(file, _parse(file.match, config)) for file in files.matched]
        channels = _number_channels(
            {parts.channel for _, parts in parsed if parts is not None}, config.channels
        )
        images, wrong = _images(parsed, channels)
        if not images:
            raise _none_fits(source, config, files)
        headers = HeaderReader(source)
        names = {id_: config.channels.get(token) or token for token, id_ in channels.items()}
        names = {id_: name for id_, name in names.items() if not name.isdigit()}
        described, odd = describe_channels(images, names, headers)
        surplus = tuple(sorted([*files.strays, *wrong]))
        return PlateIndex(
            plate_path=source.name,
            microscope=self.name,
            parser=self.parser_name,
            images=images,
            channels=described,
            missing=find_missing(images),
            pixel_size_um=config.pixel_size_um,
            z_step_um=config.z_step_um,
            warnings=(
                *_surplus_warnings(surplus, config),
                *(f"{path} is a link to nothing" for path in sorted(files.dangling)),
                *odd,
                *(f"a sampled image was passed over: {text}" for text in headers.problems.values()),
            ),
            surplus=surplus,
        )

    def _settings(self) -> tuple[re.Pattern[str], GenericConfig]:
        if self._config is None or self._pattern is None:
            raise ConfigError(
                "microscope generic needs a pattern of file names: generic: {pattern: "
                "'{well}_{site}_{channel}.tif'} in the plate's section, or --pattern"
            )
        return self._pattern, self._config


class _Parts(NamedTuple):
    """What a name says; channels as it calls them."""

    well: str
    site: int
    channel: str
    z_index: int
    timepoint: int


class _File(NamedTuple):
    """A file whose name fits."""

    path: str
    match: re.Match[str]
    size_bytes: int | None
    mtime_ns: int | str | None


@dataclass
class _Files:
    """What one scan found."""

    matched: list[_File] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)


def _scan(source: PlateSource, pattern: re.Pattern[str], config: GenericConfig) -> _Files:
    """Walk the folders once; a pattern with ``/`` is for paths, others for names."""
    # as it was given: what templates stand for says "but no /"
    is_for_paths = "/" in config.pattern.replace("[^/]", "")
    found = _Files()
    pending, visited = [""], {source.folder_identity("")}
    while pending:
        folder = pending.pop()
        for entry in source.list_folder(folder):
            name, path = entry.name, folder + entry.name
            if name[-4:].lower() not in {".tif", "tiff"}:
                if name[0] != "." and is_folder(entry):
                    identity = source.folder_identity(path)
                    if identity not in visited:  # links may form a ring
                        visited.add(identity)
                        pending.append(f"{path}/")
                continue
            match = pattern.fullmatch(path if is_for_paths else name)
            if match is None:
                found.strays += [] if name[0] == "." else [path]
                continue
            try:
                status = entry.stat()
            except OSError:
                found.dangling.append(path)
                continue
            found.matched.append(_File(path, match, status.st_size, status.st_mtime_ns))
    return found


def _parse(match: re.Match[str], config: GenericConfig) -> _Parts | None:
    """Return what a name says; None when there is no such well, or a number is none."""
    said = match.groupdict()
    try:
        return _Parts(
            config.well or _well(said),
            int(said.get("site") or 1),
            said.get("channel") or _ONE_CHANNEL,
            int(said.get("z_index") or 1),
            int(said.get("timepoint") or 1),
        )
    except ValueError:
        return None


def _well(said: Mapping[str, str | None]) -> str:
    row, column = said.get("row"), said.get("column")
    if said.get("well"):
        text = str(said["well"])
        row = text.rstrip("0123456789")
        column = text[len(row) :]
    if not row or not column:
        raise ValueError("a name without row or column")
    return well_name(int(row) if row.isdigit() else row_number(row.upper()) + 1, int(column))


def _number_channels(tokens: set[str], named: Mapping[str, str]) -> dict[str, str]:
    """Return the id of each channel: its number, or its place among names.

    With names in the config it is the place there, so that one more channel moves no other.
    """
    if all(token.isascii() and token.isdigit() for token in tokens):
        return {token: str(int(token)) for token in tokens if not named or token in named}
    if named:
        return {token: str(number) for number, token in enumerate(named, start=1)}
    return {token: str(number) for number, token in enumerate(in_natural_order(tokens), start=1)}


def _images(
    parsed: Sequence[tuple[_File, _Parts | None]], channels: Mapping[str, str]
) -> tuple[tuple[ImageFile, ...], list[str]]:
    """Return the images in order, and files of no well or no channel that is named."""
    good = [(file, parts) for file, parts in parsed if parts is not None]
    first_z = int(any(parts.z_index == 0 for _, parts in good))
    first_time = int(any(parts.timepoint == 0 for _, parts in good))
    images: dict[PlaneKey, ImageFile] = {}
    wrong = [file.path for file, parts in parsed if parts is None]
    for file, (well, site, token, z_index, timepoint) in good:
        if token not in channels:
            wrong.append(file.path)
            continue
        key = PlaneKey(well, site, channels[token], z_index + first_z, timepoint + first_time)
        image = ImageFile(key, file.path, file.size_bytes, file.mtime_ns)
        other = images.setdefault(key, image)
        if other is not image:
            first, second = sorted((other.path, file.path))
            raise InputDataError(
                f"{first} and {second} both say well {well} site {site} channel {token} z "
                f"{z_index} time {timepoint}; expected names that differ. Name more parts in the "
                "pattern, or give the folder of a single acquisition"
            )
    return sort_images(list(images.values())), wrong


def _surplus_warnings(surplus: Sequence[str], config: GenericConfig) -> list[str]:
    if not surplus:
        return []
    text = (
        f"{len(surplus)} TIFF files do not fit {config.pattern!r}, or name no well or no channel "
        f"of the config, and are left out, e.g. {surplus[0]}"
    )
    return [text]


def _none_fits(source: PlateSource, config: GenericConfig, files: _Files) -> InputDataError:
    strays = sorted([*files.strays, *(file.path for file in files.matched)])
    found = f"{len(strays)} others, e.g. {PurePosixPath(strays[0])}" if strays else "no TIFF file"
    return InputDataError(
        f"{source.name} has no image that fits the pattern {config.pattern!r} and names a well and "
        f"a channel of the config; found {found}. Correct generic.pattern, where {{_}} is any text"
    )
