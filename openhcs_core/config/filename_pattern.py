"""How file names say what an image is of: templates and regular expressions of the config."""

import re
from collections.abc import Collection

PARTS = ("well", "row", "column", "site", "channel", "z_index", "timepoint")
"""What a name can say."""

_ANY = "_"
_TEXTS = {
    "well": r"[A-Za-z]{1,2}[0-9]{1,2}",
    "row": r"[A-Za-z]{1,2}|[0-9]{1,2}",
    "column": r"[0-9]{1,2}",
    "site": r"[0-9]+",
    "channel": r"[^/]+?",
    "z_index": r"[0-9]+",
    "timepoint": r"[0-9]+",
    _ANY: r"[^/]*?",
}
_FIELD = re.compile(r"\{([^{}]*)\}")
_GROUP = "(?P<"


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return what matches whole names, with a group for each part they say.

    Parameters
    ----------
    pattern : str
        A template such as ``{well}_{site}_{channel}.tif``, where ``{_}`` stands for any text, or
        a regular expression with named groups such as ``(?P<well>...)``.

    Raises
    ------
    ValueError
        It is neither, or names a part that no name can say.
    """
    if _GROUP in pattern:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        _check_parts(compiled.groupindex.keys())
        return compiled
    if not _FIELD.search(pattern):
        raise ValueError(
            f"{pattern!r} says nothing of an image: expected a template such as "
            "'{well}_{site}_{channel}.tif', or a regular expression with groups (?P<well>…)"
        )
    pieces = _FIELD.split(pattern)
    fields = pieces[1::2]
    _check_parts({field for field in fields if field != _ANY})
    repeated = sorted({field for field in fields if field != _ANY and fields.count(field) > 1})
    if repeated:
        raise ValueError(f"{{{repeated[0]}}} stands twice in {pattern!r}; use {{_}} for the other")
    texts = [
        re.escape(piece) if number % 2 == 0 else _group(piece)
        for number, piece in enumerate(pieces)
    ]
    return re.compile("".join(texts))


def _group(field: str) -> str:
    return f"(?:{_TEXTS[field]})" if field == _ANY else f"(?P<{field}>{_TEXTS[field]})"


def _check_parts(parts: Collection[str]) -> None:
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise ValueError(f"unknown part {unknown[0]!r}; a name can say {', '.join(PARTS)}")
    if "well" in parts and {"row", "column"} & set(parts):
        raise ValueError("expected well, or row and column, not both")
    if ("row" in parts) != ("column" in parts):
        raise ValueError("expected both row and column, or well")
