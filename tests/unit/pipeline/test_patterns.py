"""The four function patterns."""

import pytest

from openhcs_core.pipeline import PatternError, parse_pattern

AT = ("steps", 0, "func")


def _shape(func):
    pattern = parse_pattern(func, AT)
    return {
        entry.value: [(call.ref, dict(call.parameters)) for call in entry.calls]
        for entry in pattern.entries
    }


def test_bare():
    assert _shape("openhcs:max_projection") == {None: [("openhcs:max_projection", {})]}


def test_single_with_parameters():
    assert _shape({"skimage:filters.gaussian": {"sigma": 2}}) == {
        None: [("skimage:filters.gaussian", {"sigma": 2})]
    }


def test_chain():
    func = [{"a:x": {"p": 1}}, "b:y", {"c:z": None}]
    assert _shape(func) == {None: [("a:x", {"p": 1}), ("b:y", {}), ("c:z", {})]}


def test_component_dict_of_all_forms():
    func = {"1": {"a:x": {"p": 1}}, "DAPI": "b:y", "3": ["a:x", {"b:y": {}}]}
    assert _shape(func) == {
        "1": [("a:x", {"p": 1})],
        "DAPI": [("b:y", {})],
        "3": [("a:x", {}), ("b:y", {})],
    }


@pytest.mark.parametrize(
    ("func", "text", "at"),
    [
        ("gaussian", "'gaussian' is not a function reference", AT),
        ([], "empty list", AT),
        ({}, "expected 'library:name'", AT),
        ({"a:x": {}, "b:y": {}}, "write a list to run them one after another", AT),
        ({"a:x": 3}, "must be a mapping", (*AT, "a:x")),
        ([{"a:x": {}}, 5], "found 5", (*AT, 1)),
        ({"1": "nothing"}, "'nothing' is not a function reference", (*AT, "1")),
        ({"1": "a:x", "b:y": {}}, "2 functions in one mapping", AT),
    ],
)
def test_anything_else_is_refused_with_its_place(func, text, at):
    with pytest.raises(PatternError) as caught:
        parse_pattern(func, AT)
    assert text in str(caught.value)
    assert caught.value.at == at
