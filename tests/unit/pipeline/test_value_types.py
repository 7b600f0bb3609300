"""Type hints as data: what they say, what fits what, and that nobody is refused on a guess."""

import collections
import collections.abc as abc
import enum
import typing as t
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from pydantic import TypeAdapter, ValidationError

from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.pipeline import special_inputs, special_outputs
from openhcs_core.pipeline.travel import travels
from openhcs_core.pipeline.type_hints import (
    describe_hint,
    special_input_types,
    special_output_types,
)
from openhcs_core.pipeline.value_types import ANYTHING, ValueType, fits, texts_of

T = t.TypeVar("T")
MISSING = t.ForwardRef("Missing")


@dataclass
class Cell:
    area: float


class RoundCell(Cell):
    radius: float


class Stack(t.Generic[T]):
    pass


class Point(t.NamedTuple):
    y: float
    x: float


class Row(t.TypedDict):
    label: int


class HasArea(t.Protocol):
    area: float


class Detector(abc.Sized):
    """Abstract, and not one of Python's own."""


class Colour(enum.IntEnum):
    RED = 1


class AnyInstance(type):
    def __instancecheck__(cls, value):
        return True


class Shaped(metaclass=AnyInstance):
    """As array libraries write types with shapes."""


def _fits(given_hint, taken_hint):
    return fits(describe_hint(given_hint), describe_hint(taken_hint))


FITTING = [
    (bool, int),
    (int, float),
    (float, complex),
    (np.float64, float),
    (np.int32, int),
    (int, int | str),
    (float | None, float),
    (int | str, str),
    (t.Literal["a", "b"], str),
    (t.Annotated[int, "px"], int),
    (t.NewType("Pixels", int), int),
    (list[int], abc.Sequence[float]),
    (list[int], t.List),  # noqa: UP006 — as people write it
    (abc.Sequence[int], list[int]),
    (tuple[int, float], abc.Iterable[float]),
    (tuple[int, int], tuple[int, ...]),
    (dict[str, int], abc.Mapping[str, float]),
    (dict[str, int], abc.Iterable[str]),
    (str, abc.Sequence[str]),
    (str, abc.Sequence[abc.Sequence[str]]),
    (list, list[int]),
    (NDArray[np.float64], np.ndarray),
    (np.ndarray, NDArray[np.uint8]),
    (NDArray[np.uint8], NDArray[np.uint16]),
    (NDArray[np.float32], NDArray[np.floating]),
    (NDArray[np.float64], abc.Sequence[float]),
    (pd.DataFrame, ArrayLike),
    (RoundCell, Cell),
    (Cell, RoundCell),
    (Cell, HasArea),
    (int, Detector),
    (int, Shaped),
    (Row, dict[str, int]),
    (Point, tuple[float, float]),
    (Stack[int], Stack[float]),
    (Stack[int], Stack),
    (abc.Sized, abc.Iterable),
    (object, int),
    (int, object),
    (int, t.Any),
    (T, int),
    ("Missing", int),
    (list[MISSING], list[int]),
]
APART = [
    (pd.DataFrame, list[tuple[float, float]]),
    (float, int),
    (complex, float),
    (None, float),
    (str, list[str]),
    (int | str, list | dict),
    (list[int], list[str]),
    (list[list[float]], list[float]),
    (list, dict),
    (set[int], list[int]),
    (abc.Iterator[int], list[int]),
    (abc.Sequence[int], abc.Mapping[str, int]),
    (dict[str, int], dict[str, str]),
    (dict[int, str], dict[str, str]),
    (tuple[int, int], tuple[int, int, int]),
    (NDArray[np.float64], NDArray[np.int32]),
    (NDArray[np.float64], pd.DataFrame),
    (Cell, dict[str, float]),
    (Cell, Point),
    (Stack[str], Stack[int]),
    (Path, str),
]


@pytest.mark.parametrize(("given_hint", "taken_hint"), FITTING, ids=str)
def test_what_may_be_meant_fits(given_hint, taken_hint):
    assert _fits(given_hint, taken_hint)


@pytest.mark.parametrize(("given_hint", "taken_hint"), APART, ids=str)
def test_what_is_sure_to_be_another_type_does_not(given_hint, taken_hint):
    assert not _fits(given_hint, taken_hint)


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (list[tuple[float, float]], "list[tuple[float, float]]"),
        (dict[str, NDArray[np.uint8]] | None, "dict[str, NDArray[uint8]] | None"),
        (np.ndarray, "ndarray"),
        (pd.DataFrame, "DataFrame"),
        (tuple[int, ...], "tuple[int, ...]"),
        (abc.Callable[[int], str], "Callable"),
        (t.Any, "Any"),
    ],
)  # fmt: skip
def test_types_read_as_they_are_written(hint, text):
    assert str(describe_hint(hint)) == text


def test_two_classes_of_one_name_are_told_apart():
    other = type("Cell", (), {"__module__": "elsewhere"})
    types = describe_hint(list[Cell]), describe_hint(list[other])
    assert not fits(*types)
    assert texts_of(*types) == (f"list[{__name__}.Cell]", "list[elsewhere.Cell]")


_PLAIN = [int, float, str, bytes, None, Path, Cell, pd.DataFrame, Point, Colour, np.ndarray, bool]
_ODD = [
    t.Any, object, T, HasArea, Row, Detector, Shaped, Stack, ArrayLike, abc.Sized, t.NoReturn, ...,
    "Missing", t.Self, t.ClassVar[int], t.Final[int], t.LiteralString, t.NewType("Id", str), type,
    t.ParamSpec("P"), abc.Callable[..., int], tuple, tuple[()], type[int], 3, [int], np.generic,
    t.Generator[int, None, str], collections.Counter[str], t.Literal[1, "a", None],
    t.Annotated[int, 1], tuple[t.Unpack[t.TypeVarTuple("Ts")]], tuple[int, *tuple[str, ...]],
    abc.ItemsView[str, int], np.dtype[np.float64], NDArray[T], NDArray[t.Any], t.Concatenate,
    lambda: None, MISSING,
]  # fmt: skip
_HASHABLE = [int, str, Point, Colour]


def _wrapped(hints):
    return st.one_of(
        st.builds(lambda hint: list[hint], hints),
        st.builds(lambda hint: abc.Sequence[hint], hints),
        st.builds(lambda hint: tuple[hint, ...], hints),
        st.builds(lambda one, other: tuple[one, other], hints, hints),
        st.builds(lambda key, hint: dict[key, hint], st.sampled_from(_HASHABLE), hints),
        st.builds(lambda hint: Stack[hint] if isinstance(hint, type) else Stack, hints),
        st.lists(hints, min_size=1, max_size=3).map(_union),
    )


def _union(hints):
    named = [hint for hint in hints if hint is None or isinstance(hint, type)]
    return t.Union[tuple(named)] if named else hints[0]  # noqa: UP007 — None among them


anything = st.recursive(st.sampled_from([*_PLAIN, *_ODD]), _wrapped, max_leaves=6)


@given(anything)
def test_every_hint_is_read_and_fits_itself(hint):
    type_ = describe_hint(hint)
    assert ValueType.model_validate_json(type_.model_dump_json()) == type_
    assert fits(type_, type_)
    assert str(type_)
    assert travels(type_) in (True, False)


@given(anything, anything)
def test_no_two_hints_are_beyond_comparison(one, other):
    types = describe_hint(one), describe_hint(other)
    assert fits(*types) in (True, False)
    assert fits(types[0], ANYTHING)
    assert fits(ANYTHING, types[1])
    assert len(texts_of(*types)) == 2


_PAIRS = [
    (pd.DataFrame, int),
    (Cell, str),
    (Path, float),
    (bytes, dict),
    (list, set),
    (Point, Cell),
]


@given(st.data())
def test_a_class_changed_anywhere_inside_is_noticed(data):
    one, other = data.draw(st.sampled_from(_PAIRS))
    for wrap in data.draw(st.lists(st.sampled_from(_WRAPS), max_size=4)):
        one, other = wrap(one), wrap(other)
    assert not _fits(one, other)
    assert not _fits(other, one)


_WRAPS = [
    lambda hint: list[hint],
    lambda hint: dict[str, hint],
    lambda hint: tuple[int, hint],
    lambda hint: tuple[hint, ...],
    lambda hint: abc.Mapping[int, hint],
    lambda hint: t.Annotated[hint, "m"],
]


_VALUES = [(int, 3), (bool, True), (float, 1.5), (str, "cells"), (None, None), (bytes, b"1")]


def _wrapped_values(pairs):
    return st.one_of(
        pairs.map(lambda pair: (list[pair[0]], [pair[1]])),
        pairs.map(lambda pair: (abc.Sequence[pair[0]], [pair[1]])),
        pairs.map(lambda pair: (tuple[pair[0], ...], (pair[1],))),
        pairs.map(lambda pair: (tuple[int, pair[0]], (1, pair[1]))),
        pairs.map(lambda pair: (dict[str, pair[0]], {"key": pair[1]})),
        pairs.map(lambda pair: (abc.Mapping[str, pair[0]], {"key": pair[1]})),
        st.tuples(pairs, pairs).map(lambda two: (t.Union[two[0][0], two[1][0]], two[0][1])),  # noqa: UP007
    )


values = st.recursive(st.sampled_from(_VALUES), _wrapped_values, max_leaves=4)


@settings(max_examples=300)
@given(values, values)
def test_a_value_that_is_of_both_types_is_never_refused(one, other):
    (hint, value), (taken, _) = one, other
    try:
        TypeAdapter(taken).validate_python(value, strict=True)
    except ValidationError:
        return
    assert _fits(hint, taken)


@pytest.mark.parametrize(
    "hint",
    [
        int, float | None, set[int] | list[int], list[dict[str, NDArray[np.float32]]], pd.DataFrame,
        np.float32, object, t.Any, abc.Sequence[int], dict[str, MISSING], HasArea, Row,
    ],
)  # fmt: skip
def test_what_may_travel_is_let_through(hint):
    assert travels(describe_hint(hint))


@pytest.mark.parametrize(
    "hint",
    [
        set[int], frozenset, bytes, complex, abc.Iterator[int], t.Generator[int, None, None], Cell,
        Point, Colour, pd.Series, np.ma.MaskedArray, list[set[int]], dict[str, Cell], range,
        NDArray[np.object_], set[int] | bytes, collections.Counter[str], abc.Callable[[], int],
    ],
)  # fmt: skip
def test_what_cannot_travel_is_known_by_its_type(hint):
    assert not travels(describe_hint(hint))


def test_hints_are_found_by_position_and_name():
    @special_outputs("cells", ("table", MaterializationSpec(CsvOptions())))
    @special_inputs("positions", "more")
    def look(
        image_stack,
        positions: "list[tuple[float, float]]",
        more=None,
        *,
        size: "Nowhere" = 1,  # noqa: F821
    ) -> "tuple[nowhere.Array[int], list[int], pd.DataFrame]":  # noqa: F821
        return image_stack

    assert {k: str(v) for k, v in special_input_types(look).items()} == {
        "positions": "list[tuple[float, float]]"
    }
    assert {k: str(v) for k, v in special_output_types(look).items()} == {
        "cells": "list[int]",
        "table": "DataFrame",
    }


@pytest.mark.parametrize(
    "returned", ["tuple[int, int, int]", "int", "tuple[int, ...]", "][", "1 +"]
)
def test_a_return_hint_of_another_form_says_nothing(returned):
    @special_outputs("cells")
    def look(image_stack):
        return image_stack

    look.__annotations__["return"] = returned
    assert special_output_types(look) == {}
