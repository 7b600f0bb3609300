"""XML that instruments write, read without trusting it.

Small files are read by defusedxml. Lists of every image of a plate are a hundred MB:
`xml_rows` reads them in pieces, with a parser from here.
"""

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
        raise untrusted(where) from error
    except (ParseError, LookupError, ValueError) as error:  # the latter: unknown encodings
        raise broken_xml(where, error) from error
    return root


def read_xml(source: PlateSource, path: str) -> "Element":
    """Read a small document of a plate; see :func:`parse_xml`."""
    return parse_xml(source.read(path, MAX_XML_BYTES + 1), source.where(path))


def broken_xml(where: str, problem: object) -> InputDataError:
    """Return the error for a document that is not whole."""
    return InputDataError(f"{where} is not whole XML: {problem}; copy it from the instrument again")


def local_name(tag: str) -> str:
    """Return an element's or attribute's name without its namespace."""
    return tag.rpartition("}")[2]


def strict_parser(where: str) -> expat.XMLParserType:
    """Return a parser of long documents.

    ``<`` begins nothing but tags in them: it refuses other encodings, declarations, comments, CDATA
    and processing instructions with `InputDataError`.
    """
    parser = expat.ParserCreate()

    def refuse(*_: object) -> NoReturn:
        raise untrusted(where)

    def check_encoding(_: str, encoding: str | None, __: int) -> None:
        if (encoding.lower() if encoding else None) not in _ENCODINGS:
            raise InputDataError(f"{where} is written in {encoding}; expected UTF-8")

    parser.XmlDeclHandler = check_encoding
    parser.StartDoctypeDeclHandler = refuse
    parser.CommentHandler = refuse
    parser.StartCdataSectionHandler = refuse
    parser.ProcessingInstructionHandler = refuse
    return parser


def untrusted(where: str) -> InputDataError:
    """Return the error for a document that has what instruments never write."""
    return InputDataError(
        f"{where} declares a document type or entities, or has comments, which instruments never "
        "write; the file is not to be trusted. Copy it from the instrument again"
    )
