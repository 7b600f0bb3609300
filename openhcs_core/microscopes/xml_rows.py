"""Rows of long XML lists: elements that one program wrote, most of them with the same tags.

A row is as well-formed as one that an XML parser has read if its tags are, letter for letter, those
of that one, and its texts hold nothing that means something to XML. Such rows are taken apart by
one regular expression; all else passes through the parser, which makes sure that the rest is XML
and declares nothing.
"""

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from xml.parsers import expat  # declarations are refused: see strict_parser

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.xml_ import MAX_LIST_BYTES, broken_xml, strict_parser, untrusted
from openhcs_core.storage import PlateSource

_PIECE_BYTES = 1 << 20
_MAX_HEAD = 1 << 26
_MAX_ROW = 1 << 16
_MAX_FORMS = 16
_MAX_FORM = 1 << 13
"""Longer rows are no instrument's, and their patterns would take long to compile."""

_TAG = re.compile(r"(<[^<>]*>)")
_CLEAN = r'[^<>&"\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]*+'
_ESCAPED = rf"{_CLEAN}(?:&(?:amp|lt|gt|apos|quot);{_CLEAN})*+"


@dataclass(frozen=True)
class RowKind:
    """What the rows of a list are.

    Attributes
    ----------
    what : str
        One of them, for messages: ``"an image"``.
    end : pattern of str
        The tag that ends one.
    end_of_list : str
        What follows the last; empty where a row may come at any place.
    wanted : tuple of str
        Names of the values to return.
    split : callable
        Takes a row apart: what is the same in others at even places, values at odd ones.
    name : callable
        Gives the name of a value by what comes before it.
    """

    what: str
    end: re.Pattern[str]
    end_of_list: str
    wanted: tuple[str, ...]
    split: Callable[[str], list[str]]
    name: Callable[[str], str]


class RowForm:
    """What rows have in common.

    Attributes
    ----------
    tags : dict of str to str
        By name of each value that is wanted and there, what comes before it.
    """

    def __init__(self, kind: RowKind, pieces: Sequence[str], where: str) -> None:
        places: dict[str, int] = {}
        for place in range(1, len(pieces), 2):
            name = kind.name(pieces[place - 1])
            if name in kind.wanted and name in places:
                raise InputDataError(f"{where}: {kind.what} has two {name}; expected one")
            places[name] = place
        self._places = [places.get(name) for name in kind.wanted]
        self.tags = {
            name: pieces[place - 1] for name, place in places.items() if name in kind.wanted
        }

    def values(self, pieces: Sequence[str]) -> tuple[str, ...]:
        """Return the wanted values of a row; empty for those that are not there."""
        return tuple("" if place is None else pieces[place] for place in self._places)

    def numbers(self, count: int) -> list[int]:
        """Return which group of a pattern holds each wanted value; the last is an empty one."""
        return [count if place is None else place // 2 + 1 for place in self._places]


class _Pattern(NamedTuple):
    match: Callable[[str, int], re.Match[str] | None]
    form: RowForm
    numbers: list[int]


class XmlRows:
    """One list, read from beginning to end: its head, then its rows.

    Parameters
    ----------
    source : PlateSource
        The plate.
    path : str
        The list, relative to it.
    kind : RowKind
        Its rows.
    """

    def __init__(self, source: PlateSource, path: str, kind: RowKind) -> None:
        self._where, self._kind = source.where(path), kind
        self._parser = strict_parser(self._where)
        self._texts = _decoded(source, path, self._where)
        self._rest = ""
        self._patterns: list[_Pattern] = []
        self._row: re.Match[str] | str = ""

    def head(self, tag: str) -> str | None:
        """Return what lies before a tag, which is passed; None where the list has none."""
        text = ""
        for piece in self._texts:
            text += piece
            if len(text) > _MAX_HEAD:
                raise InputDataError(f"{self._where} has no {tag} in its first {_MAX_HEAD} bytes")
            before, found, self._rest = text.partition(tag)
            if found:
                self._feed(before + tag)
                return before
        self._feed(text, is_last=True)
        return None

    @property
    def row(self) -> str:
        """The text of the row that `rows` gave last."""
        return self._row if isinstance(self._row, str) else self._row[0]

    def rows(self) -> Iterator[tuple[RowForm, tuple[str, ...]]]:
        """Yield the wanted values of each row, and its form.

        Raises
        ------
        InputDataError
            The list is too long, not XML, of another encoding, or has declarations, comments,
            CDATA or processing instructions.
        """
        text, place, patterns = self._rest, 0, self._patterns
        while True:
            for number, (match_at, form, numbers) in enumerate(patterns):  # 1e6 times
                match = match_at(text, place)
                if match is not None:
                    place, self._row = match.end(), match
                    yield form, match.group(*numbers)
                    if number:  # the next one is most likely of this form
                        patterns.insert(0, patterns.pop(number))
                    break
            else:
                row = self._row_at(text, place)
                if row is None:
                    piece = next(self._texts, None)
                    text, place = text[place:], 0
                    if piece is None or self._is_behind(text):
                        self._pass(text, piece)
                        return
                    text += piece
                    continue
                place += len(row)
                yield self._learn(row)

    def _row_at(self, text: str, place: int) -> str | None:
        """Return the text up to the end of the next row; None where it is not all there."""
        found = self._kind.end.search(text, place)
        end = len(text) if found is None else found.end()
        if self._kind.end_of_list and text.find(self._kind.end_of_list, place, end) >= 0:
            return None
        if end - place > _MAX_ROW:
            raise InputDataError(
                f"{self._where} has {self._kind.what} of more than {_MAX_ROW} bytes"
            )
        return None if found is None else text[place:end]

    def _is_behind(self, text: str) -> bool:
        return bool(self._kind.end_of_list) and self._kind.end_of_list in text

    def _pass(self, text: str, piece: str | None) -> None:
        """Let the parser see what lies behind the last row."""
        self._feed(text)
        while piece is not None:
            self._feed(piece)
            piece = next(self._texts, None)
        self._feed("", is_last=True)

    def _feed(self, text: str, *, is_last: bool = False) -> None:
        try:
            self._parser.Parse(text.encode(), is_last)
        except expat.ExpatError as error:
            # places are of what was fed: they would mislead
            raise broken_xml(self._where, expat.ErrorString(error.code)) from error

    def _learn(self, row: str) -> tuple[RowForm, tuple[str, ...]]:
        """Read a row of a new form, and remember the form."""
        if "<!" in row or "<?" in row:  # the parser would say so only at its end
            raise untrusted(self._where)
        self._feed(row)
        self._row = row
        pieces = self._kind.split(row)
        form = RowForm(self._kind, pieces, self._where)
        if len(self._patterns) < _MAX_FORMS and len(row) <= _MAX_FORM and _is_whole(row):
            texts = [rf"({_ESCAPED if '&' in value else _CLEAN})" for value in pieces[1::2]]
            literals = [re.escape(literal) for literal in pieces[0::2]]
            pattern = re.compile("".join(map("".join, zip(literals, [*texts, "()"], strict=True))))
            if pattern.fullmatch(row):  # else its texts mean something to XML
                numbers = form.numbers(len(texts) + 1)
                self._patterns.insert(0, _Pattern(pattern.match, form, numbers))
        return form, form.values(pieces)


def split_texts(row: str) -> list[str]:
    """Split a row so that texts between tags are its values."""
    return ["", *_TAG.split(row)[:-1]]


def split_attributes(row: str) -> list[str]:
    """Split a row so that texts and the values of attributes are its values."""
    pieces = [""]
    for number, piece in enumerate(_TAG.split(row)[:-1]):
        parts = piece.split('"')
        if number % 2 == 0 or len(parts) % 2 == 0:
            pieces.append(piece)
            continue
        for place, part in enumerate(parts):
            is_value, is_last = place % 2 == 1, place == len(parts) - 1
            before, behind = '"' if place else "", "" if is_last else '"'
            pieces.append(part if is_value else before + part + behind)
    return pieces


def _is_whole(row: str) -> bool:
    """Return whether every tag that begins in a row ends in it, and nothing else does."""
    opened: list[str] = []
    for tag in _TAG.findall(row):
        name = tag[1:-1].split(maxsplit=1)[0] if tag[1:-1].strip() else ""
        if tag.startswith("</"):
            if not opened or opened.pop() != name[1:]:
                return False
        elif not tag.endswith("/>"):
            opened.append(name)
    return not opened


def _decoded(source: PlateSource, path: str, where: str) -> Iterator[str]:
    """Yield a document in pieces without a byte order mark."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    size_bytes = 0
    try:
        with source.open(path) as file:
            while piece := file.read(_PIECE_BYTES):
                size_bytes += len(piece)
                if size_bytes > MAX_LIST_BYTES:
                    raise InputDataError(f"{where} has more than {MAX_LIST_BYTES} bytes")
                yield decoder.decode(piece)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise InputDataError(
            f"{where} is not XML in UTF-8 ({error.reason}); expected UTF-8. Copy it from the "
            "instrument again"
        ) from error
    except OSError as error:
        raise InputDataError(f"{where} cannot be read: {error.strerror or error}") from error
