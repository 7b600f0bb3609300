"""XML that instruments write, read without trusting it.

Small files are read by defusedxml. Lists of every image of a plate are a hundred MB: they pass
through expat in pieces, which makes sure that they are XML and declare nothing.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat  # declarations are refused below

from openhcs_core.errors import InputDataError
from openhcs_core.storage import PlateSource

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # the type alone

MAX_XML_BYTES = 16 << 20
"""Metadata of a plate; larger files are refused."""

MAX_LIST_BYTES = 2 << 30
"""Lists of a plate's images: about 1.7 kB an image at most."""

_PIECE_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"
_ENCODINGS = {None, "utf-8", "us-ascii", "ascii"}


def parse_xml(raw: bytes, where: str) -> "Element":
    """Return the root of a small document.

    Parameters
    ----------
    raw : bytes
        The whole document.
    where : str
        What to call it in messages.

    Raises
    ------
    InputDataError
        It is too long, not XML, or declares a document type or entities.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    if len(raw) > MAX_XML_BYTES:
        raise InputDataError(
            f"{where} has more than {MAX_XML_BYTES} bytes; metadata of a plate have a few kB"
        )
    try:
        root: Element = fromstring(raw, forbid_dtd=True)
    except DefusedXmlException as error:
        raise _untrusted(where) from error
    except (ParseError, LookupError, ValueError) as error:  # the latter: unknown encodings
        raise InputDataError(
            f"{where} is not whole XML: {error}; copy it from the instrument again"
        ) from error
    return root


def read_xml(source: PlateSource, path: str) -> "Element":
    """Read a small document of a plate; see :func:`parse_xml`."""
    return parse_xml(source.read(path, MAX_XML_BYTES + 1), source.where(path))


def local_name(tag: str) -> str:
    """Return an element's or attribute's name without its namespace."""
    return tag.rpartition("}")[2]


def stream_xml(source: PlateSource, path: str) -> Iterator[bytes]:
    """Yield a long document in pieces, as UTF-8 without a byte order mark.

    ``<`` begins nothing but tags in them: what else it could begin is refused.

    Raises
    ------
    InputDataError
        It is too long, not XML, of another encoding, or has declarations, comments, CDATA or
        processing instructions.
    """
    where = source.where(path)
    parser = _strict_parser(where)
    size_bytes = 0
    try:
        with source.open(path) as file:
            while piece := file.read(_PIECE_BYTES):
                size_bytes += len(piece)
                if size_bytes > MAX_LIST_BYTES:
                    raise InputDataError(f"{where} has more than {MAX_LIST_BYTES} bytes")
                parser.Parse(piece, False)
                yield piece.removeprefix(_BOM) if size_bytes == len(piece) else piece
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise InputDataError(
            f"{where} is not whole XML: {error}; copy it from the instrument again"
        ) from error
    except OSError as error:
        raise InputDataError(f"{where} cannot be read: {error.strerror or error}") from error


def _strict_parser(where: str) -> expat.XMLParserType:
    parser = expat.ParserCreate()

    def refuse(*_: object) -> NoReturn:
        raise _untrusted(where)

    def check_encoding(_: str, encoding: str | None, __: int) -> None:
        if (encoding.lower() if encoding else None) not in _ENCODINGS:
            raise InputDataError(f"{where} is written in {encoding}; expected UTF-8")

    parser.XmlDeclHandler = check_encoding
    parser.StartDoctypeDeclHandler = refuse
    parser.CommentHandler = refuse
    parser.StartCdataSectionHandler = refuse
    parser.ProcessingInstructionHandler = refuse
    return parser


def _untrusted(where: str) -> InputDataError:
    return InputDataError(
        f"{where} declares a document type or entities, or has comments, which instruments never "
        "write; the file is not to be trusted. Copy it from the instrument again"
    )
