"""Declared types that a writer is sure to refuse."""

from collections.abc import Iterator
from typing import NamedTuple

from openhcs_core.pipeline.value_types import ARRAY, MAPPING, ValueType, alternatives
from openhcs_core.plan import SpecialOutputPlan

_SET = "collections.abc:Set"
_NONE = "builtins:NoneType"
_NUMBER = "numbers:Number"
_LISTS = frozenset(["builtins:list", "builtins:tuple"])
_FRAMES = frozenset(["pandas:DataFrame", "pandas.core.frame:DataFrame"])
_SINGLE = frozenset([_NUMBER, _NONE, "builtins:str", "builtins:bytes"])
_CHOSEN_FROM = "a dict, a dataclass, a list or a tuple"


class _Writer(NamedTuple):
    """What a writer says of itself, and the classes it refuses: of the value, and in a list."""

    takes: str
    value: frozenset[str]
    items: frozenset[str] = frozenset()


_WRITERS = {
    "csv": _Writer(
        "a dict or dataclass of columns, a list of those, a DataFrame or a structured array",
        _SINGLE | {_SET},
        _SINGLE | {_SET} | _LISTS,
    ),
    "json": _Writer(
        "single values, text, dicts, dataclasses and lists of these",
        frozenset(["builtins:complex", "builtins:bytes", _SET]),
    ),
    "roi": _Writer(
        "a label image, or a list of polygons or ROIs",
        _SINGLE | {_SET, MAPPING} | _FRAMES,
        _SINGLE | {_SET, MAPPING} | _FRAMES,
    ),
    "tiff": _Writer("an image [Y, X] or [Z, Y, X]", _SINGLE | {_SET, MAPPING} | _LISTS | _FRAMES),
    "text": _Writer(
        "text, numbers and lists of these",
        frozenset([_NONE, "builtins:bytes", _SET, MAPPING]) | _FRAMES,
        frozenset([_SET, MAPPING]) | _FRAMES,
    ),
}
_NOT_CHOSEN_FROM = _SINGLE | {_SET, ARRAY} | _FRAMES


def refusals(output: SpecialOutputPlan, type_: ValueType) -> Iterator[str]:
    """Yield which of an output's files cannot be written of a type, and what they take."""
    for options in () if output.spec is None else output.spec.options:
        name = type(options).__name__
        if options.source is not None:
            if _is_refused(type_, _NOT_CHOSEN_FROM, frozenset()):
                yield f"of which {name}(source={options.source!r}) has no part; {_CHOSEN_FROM} has"
            continue
        writer = _WRITERS[options.kind]
        is_plain_table = options.kind == "csv" and all(map(_is_of_numbers, alternatives(type_)))
        if is_plain_table or _is_refused(type_, writer.value, writer.items):
            yield f"which {name} do not write; they take {writer.takes}"


def _is_refused(type_: ValueType, value: frozenset[str], items: frozenset[str]) -> bool:
    """Return whether every alternative is of a refused class, or a list of them."""
    return type_.is_known and all(
        bool(value & set(one.names)) or _has_refused_items(one, items)
        for one in alternatives(type_)
    )


def _has_refused_items(type_: ValueType, items: frozenset[str]) -> bool:
    of = type_.arguments if type_.name in _LISTS else ()
    return any(_is_refused(item, items, frozenset()) for item in of)


def _is_of_numbers(type_: ValueType) -> bool:
    """Return whether an array has no fields that could be columns."""
    dtypes = type_.arguments[1].arguments if type_.name == ARRAY and type_.arguments[1:] else ()
    return any(_NUMBER in dtype.names for dtype in dtypes)
