"""JSON of files that others wrote: of bounded size and depth, whatever is in them."""

import json
from typing import Any

MOST_JSON_BYTES = 512 * 2**20
"""Of one file; a plate of 1e6 images has some 200 MB of metadata."""

_MOST_DEPTH = 100
"""Deeper data end a parser of C++ by using up its stack, and Python's by an error of its own."""


def parse_json(content: bytes) -> Any:
    """Return the data of a JSON text.

    Parameters
    ----------
    content : bytes
        UTF-8, UTF-16 or UTF-32.

    Raises
    ------
    ValueError
        It is no JSON, over `MOST_JSON_BYTES`, or nested over 100 deep.
    """
    if len(content) > MOST_JSON_BYTES:
        raise ValueError(f"over {MOST_JSON_BYTES} bytes")
    try:
        data = json.loads(content)
    except RecursionError:
        raise _too_deep() from None
    _check_depth(data)
    return data


def _check_depth(data: object) -> None:
    """Look at one level after the other, so that no depth of data is one of calls."""
    level = [data]
    for _ in range(_MOST_DEPTH):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> ValueError:
    return ValueError(f"nested over {_MOST_DEPTH} deep")
