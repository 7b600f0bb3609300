"""Type hints of special inputs and outputs, read into :class:`ValueType`."""

import collections.abc
import inspect
import numbers
from abc import ABCMeta
from collections.abc import Callable, Iterable
from types import SimpleNamespace, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    Union,
    Unpack,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from openhcs_core.pipeline.value_types import ABSTRACT, ANYTHING, ValueType

_DEEPEST = 8
_UNIONS = (Union, UnionType)
_UNREADABLE = (AttributeError, ImportError, LookupError, SyntaxError, TypeError, ValueError)
_CHECKS = (type.__instancecheck__, ABCMeta.__instancecheck__)
"""How a value is told to be of a class; a class with a way of its own may take any."""


def special_input_types(function: Callable[..., Any]) -> dict[str, ValueType]:
    """Return the types of the special inputs that a function declares and has hints of."""
    hints = {name: _hint(function, name) for name in getattr(function, "special_inputs", ())}
    found = {name: describe_hint(hint) for name, hint in hints.items()}
    return {name: type_ for name, type_ in found.items() if type_.is_known}


def special_output_types(function: Callable[..., Any]) -> dict[str, ValueType]:
    """Return the types of the special outputs that a function declares and has hints of.

    They are read from a return hint ``tuple[image, first, second]`` with a type for the image
    and one for each output. One of any other form says nothing of them. A function over a
    plate has no image: its hint is that of its one output, or a tuple of them.
    """
    outputs = [output.name for output in getattr(function, "special_outputs", ())]
    returned = describe_hint(_hint(function, "return"))
    if hasattr(function, "plate_tables"):
        given = (returned,) if len(outputs) == 1 else returned.arguments
        return {name: of for name, of in zip(outputs, given, strict=False) if of.is_known}
    is_row = returned.name == "builtins:tuple" and not returned.repeats
    if not outputs or not is_row or len(returned.arguments) != 1 + len(outputs):
        return {}
    found = zip(outputs, returned.arguments[1:], strict=True)
    return {name: type_ for name, type_ in found if type_.is_known}


def describe_hint(hint: object) -> ValueType:
    """Return what a type hint says; :data:`ANYTHING` for a form that is not understood.

    Parameters
    ----------
    hint : object
        As ``typing.get_type_hints`` gives it.
    """
    return _describe(hint, 0)


def _describe(hint: Any, depth: int) -> ValueType:
    origin, arguments = get_origin(hint), get_args(hint)
    if depth > _DEEPEST:
        return ANYTHING
    if origin in _UNIONS:
        return _describe_union(arguments, depth)
    if origin is Literal:
        return _describe_union([type(value) for value in arguments], depth)
    inner = _inner(hint)
    if inner is not hint:
        return _describe(inner, depth)
    if isinstance(origin, type):
        return _with_arguments(_describe_class(origin), arguments, depth)
    return _describe_class(hint) if isinstance(hint, type) else ANYTHING


def _inner(hint: Any) -> Any:
    """Return what a hint that is another one with something added says."""
    if hint is None:
        return type(None)
    if get_origin(hint) is Annotated:
        return get_args(hint)[0]
    if isinstance(hint, NewType):
        return hint.__supertype__
    return dict[str, Any] if is_typeddict(get_origin(hint) or hint) else hint


def _describe_union(hints: Iterable[Any], depth: int) -> ValueType:
    members = tuple(dict.fromkeys(_describe(hint, depth + 1) for hint in hints))
    if not all(member.is_known for member in members):
        return ANYTHING
    return members[0] if len(members) == 1 else ValueType(members=members)


def _with_arguments(type_: ValueType, arguments: tuple[Any, ...], depth: int) -> ValueType:
    repeats = arguments[-1:] == (...,)
    hints = arguments[:-1] if repeats else arguments
    if not type_.names or any(map(_is_no_hint, hints)):
        return type_
    described = tuple(_describe(hint, depth + 1) for hint in hints)
    return ValueType(names=type_.names, arguments=described, repeats=repeats)


def _is_no_hint(argument: object) -> bool:
    """Return whether an argument in brackets stands for several or for parameters."""
    is_unpacked = get_origin(argument) is Unpack or getattr(argument, "__unpacked__", False)
    return argument is ... or isinstance(argument, list) or is_unpacked


def _describe_class(cls: type) -> ValueType:
    name = _name(cls)
    # of such a class may be more than what inherits from it
    is_open = type(cls).__instancecheck__ not in _CHECKS or inspect.isabstract(cls)
    if is_open and name not in ABSTRACT:
        return ANYTHING
    also = [_name(abstract) for abstract in _abstract_classes() if issubclass(cls, abstract)]
    return ValueType(names=tuple(dict.fromkeys([*map(_name, cls.__mro__), *also])))


def _name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _abstract_classes() -> list[type]:
    modules = {module.__name__: module for module in (collections.abc, numbers)}
    names = (name.split(":") for name in sorted(ABSTRACT))
    return [getattr(modules[module], name) for module, name in names]


class _Unknown:
    """Stands for a name that is imported for type checkers only."""

    def __getattr__(self, name: str) -> "_Unknown":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, item: object) -> "_Unknown":
        return self

    def __or__(self, other: object) -> Any:
        return Any

    __ror__ = __or__


def _hint(function: Callable[..., Any], name: str) -> Any:
    """Return one hint of a function, Any where there is none or it cannot be read."""
    function = inspect.unwrap(function)
    hint = inspect.get_annotations(function).get(name, Any)
    holder = SimpleNamespace(__annotations__={name: hint})
    known = getattr(function, "__globals__", {})
    missing: dict[str, Any] = {}
    while True:
        try:
            return get_type_hints(holder, known, missing)[name]
        except NameError as error:
            if error.name is None or error.name in missing:
                return Any
            missing[error.name] = _Unknown()
        except _UNREADABLE:
            return Any
