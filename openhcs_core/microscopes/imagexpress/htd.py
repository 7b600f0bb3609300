"""HTD files: what MetaXpress was told to acquire, which is not always what is there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.wells import LAST_COLUMN, LAST_ROW, row_letters

MAX_HTD_BYTES = 1 << 20
_MAX_NUMBER = 100_000
_LINE = re.compile(r'"(?P<key>[A-Za-z]+)(?P<number>[0-9]*)"\s*,\s*(?P<value>.*)')


@dataclass(frozen=True, slots=True)
class Htd:
    """What a plate declares; None where the file does not say.

    Attributes
    ----------
    name : str
        The file, relative to the plate.
    wells : tuple of str or None
        Selected wells in plate order.
    sites : int or None
        Number of selected sites of a well.
    grid : (int, int) or None
        Rows and columns of the site grid; None when some of its positions are left out.
    channels : mapping of str to str
        Channel id to name.
    collected : frozenset of str
        Ids of the channels of which images were to be stored.
    z_steps, timepoints : int or None
        How many.
    has_projection : bool or None
        Whether projections of stacks were to be stored.
    """

    name: str
    wells: tuple[str, ...] | None
    sites: int | None
    grid: tuple[int, int] | None
    channels: Mapping[str, str]
    collected: frozenset[str]
    z_steps: int | None
    timepoints: int | None
    has_projection: bool | None


def read_htd(path: Path, name: str) -> Htd:
    """Read an HTD file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        How to call it in messages.

    Raises
    ------
    InputDataError
        Not an HTD file, or a number in it is none.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_HTD_BYTES + 1)
    except OSError as error:
        raise InputDataError(f"{path} cannot be read: {error.strerror or error}") from error
    return parse_htd(raw, str(path), name)


def parse_htd(raw: bytes, path: str, name: str) -> Htd:
    """Read the content of an HTD file; parameters and errors are those of :func:`read_htd`."""
    if len(raw) > MAX_HTD_BYTES:
        raise InputDataError(
            f"{path} has more than {MAX_HTD_BYTES} bytes; an HTD file has a few kB"
        )
    text = _decode(raw)
    if "HTSInfoFile" not in text[:100]:
        raise InputDataError(
            f'{path} is not an HTD file: its first line should be "HTSInfoFile"; '
            "restore it from the instrument, or remove it to work by file names alone"
        )
    return _Fields(path, text).build(name)


def _decode(raw: bytes) -> str:
    """Decode as the instrument's Windows wrote it; bytes without a meaning there are kept."""
    if raw.startswith(b"\xef\xbb\xbf"):
        return raw.decode("utf-8-sig", errors="replace")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    if b"\0" in raw[:4]:  # "Unicode text" of an editor, without its mark
        order = "utf-16-be" if raw.startswith(b"\0") else "utf-16-le"
        return raw.decode(order, errors="replace")
    for encoding in ("utf-8", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


class _Fields:
    """The ``"Key", value`` lines of one file; continued descriptions are passed over."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.values: dict[str, str] = {}
        self.numbered: dict[str, dict[int, str]] = {}
        for line in re.split(r"\r\n|\n|\r", text):
            match = _LINE.fullmatch(line.strip())
            if match is None:
                continue
            if match["number"]:
                number = self._check(match["key"], match["number"])
                self.numbered.setdefault(match["key"], {})[number] = match["value"].strip()
            else:
                self.values[match["key"]] = match["value"].strip()

    def build(self, name: str) -> Htd:
        sites, grid = self._sites()
        channels = self._channels()
        stored = self.numbered.get("WaveCollect", {})
        return Htd(
            name=name,
            wells=self._wells(),
            sites=sites,
            grid=grid,
            channels=channels,
            collected=frozenset(id_ for id_ in channels if stored.get(int(id_), "1") != "0"),
            z_steps=max(1, self.number("ZSteps") or 1) if self.flag("ZSeries") else None,
            timepoints=self.number("TimePoints"),
            has_projection=self.flag("ZProjection"),
        )

    def _check(self, key: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text) <= _MAX_NUMBER):
            raise InputDataError(
                f"{self.path}: {key} has {text!r}; expected a whole number up to {_MAX_NUMBER}"
            )
        return int(text)

    def number(self, key: str) -> int | None:
        text = self.values.get(key)
        return None if text is None else self._check(key, text)

    def flag(self, key: str) -> bool | None:
        text = self.values.get(key)
        return None if text is None else _is_true(text)

    def _selected(self, key: str) -> list[tuple[int, int]]:
        """Return (row, column), from 1, of each TRUE."""
        return [
            (row, column)
            for row, text in sorted(self.numbered.get(key, {}).items())
            for column, cell in enumerate(text.split(","), start=1)
            if _is_true(cell)
        ]

    def _wells(self) -> tuple[str, ...] | None:
        if "WellsSelection" not in self.numbered:
            return None
        selected = self._selected("WellsSelection")
        for row, column in selected:
            if not 1 <= row <= LAST_ROW or column > LAST_COLUMN:
                raise InputDataError(
                    f"{self.path}: WellsSelection{row} selects column {column}; "
                    f"the largest plate has {LAST_ROW} rows and {LAST_COLUMN} columns"
                )
        return tuple(f"{row_letters(row)}{column:02d}" for row, column in selected)

    def _sites(self) -> tuple[int | None, tuple[int, int] | None]:
        if self.flag("Sites") is False:
            return 1, (1, 1)
        rows, columns = self.number("YSites"), self.number("XSites")
        if not rows or not columns:
            return None, None
        if "SiteSelection" not in self.numbered:
            return rows * columns, (rows, columns)
        count = len(self._selected("SiteSelection"))
        return count or None, (rows, columns) if count == rows * columns else None

    def _channels(self) -> dict[str, str]:
        names = self.numbered.get("WaveName", {})
        count = 1 if self.flag("Waves") is False else self.number("NWavelengths")
        numbers = range(1, count + 1) if count is not None else sorted(names)
        return {
            str(number): _unquoted(names.get(number, "")).strip() or f"w{number}"
            for number in numbers
        }


def _unquoted(text: str) -> str:
    """Return text without the quotes around it; those that belong to a name stay."""
    return text.removeprefix('"').removesuffix('"')


def _is_true(text: str) -> bool:
    return text.strip().strip('"').upper() == "TRUE"
