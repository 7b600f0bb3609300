"""What two plans of a step differ in."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.plan import (
    FunctionPlan,
    GroupPlan,
    StepPlan,
    StorePlan,
    canonical_json,
)
from openhcs_core.session.why import find_differences

COUNT = FunctionPlan(
    ref="openhcs:count", parameters={"min_area": 20}, versions={"numpy": "2.4.5", "source": "aa"}
)
BLUR = FunctionPlan(ref="skimage:gaussian", parameters={"sigma": 1}, versions={"numpy": "2.4.5"})
PLAN = StepPlan(
    step_name="count",
    source="flatten",
    groups=(GroupPlan(value="1", functions=(BLUR, COUNT)), GroupPlan(value="2", functions=(BLUR,))),
    store=StorePlan(),
).model_dump(mode="json")


def _places(data, path=()):
    """Yield the place of every value in nested data."""
    if isinstance(data, dict | list):
        for key in data if isinstance(data, dict) else range(len(data)):
            yield from _places(data[key], (*path, key))
    elif path[-1] not in ("ref", "value"):
        yield path


def _changed(**changes):
    """Return the plan with values replaced; keys are places joined by two underscores."""
    plan = copy.deepcopy(PLAN)
    for place, value in changes.items():
        *parents, last = (int(part) if part.isdigit() else part for part in place.split("__"))
        at = plan
        for part in parents:
            at = at[part]
        at[last] = value
    return plan


def _told(old, new):
    return [
        (one.kind, one.group, one.function, one.name, one.old, one.new)
        for one in find_differences(old, new)
    ]


def test_equal_plans_differ_in_nothing():
    assert find_differences(PLAN, copy.deepcopy(PLAN)) == ()


@given(st.sampled_from(list(_places(PLAN))), st.sampled_from([None, True, 1, 1.0, "other"]))
def test_every_field_that_differs_is_found(place, value):
    new = copy.deepcopy(PLAN)
    at = new
    for part in place[:-1]:
        at = at[part]
    at[place[-1]] = value
    assert bool(find_differences(PLAN, new)) == (canonical_json(PLAN) != canonical_json(new))


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (
            "groups__0__functions__1__parameters__min_area",
            40,
            ("parameter", "1", "openhcs:count", "min_area", 20, 40),
        ),
        ("source", "clean", ("setting", None, None, "source", "flatten", "clean")),
        ("store", None, ("setting", None, None, "kept", "zarr", None)),
        (
            "store__zarr__compression_level",
            5,
            ("setting", None, None, "store.zarr.compression_level", 1, 5),
        ),
        (
            "groups__0__functions__1__versions__source",
            "bb",
            ("source", "1", "openhcs:count", "source", "aa", "bb"),
        ),
    ],
)
def test_a_difference_has_the_name_people_know(place, value, told):
    assert _told(PLAN, _changed(**{place: value})) == [told]


def test_a_library_that_several_functions_use_is_named_once():
    new = _changed(
        groups__0__functions__0__versions__numpy="2.4.6",
        groups__0__functions__1__versions__numpy="2.4.6",
        groups__1__functions__0__versions__numpy="2.4.6",
    )
    assert _told(PLAN, new) == [("version", None, None, "numpy", "2.4.5", "2.4.6")]


def test_a_function_put_before_another_does_not_hide_its_parameters():
    new = _changed(groups__0__functions__1__parameters__min_area=40)
    new["groups"][0]["functions"].insert(0, {**PLAN["groups"][0]["functions"][0], "ref": "a:b"})
    old_refs, new_refs = ["skimage:gaussian", "openhcs:count"], ["a:b", "skimage:gaussian"]
    assert _told(PLAN, new) == [
        ("functions", "1", None, "functions", old_refs, [*new_refs, "openhcs:count"]),
        ("parameter", "1", "openhcs:count", "min_area", 20, 40),
    ]


def test_a_plan_of_another_version_may_lack_fields():
    old = copy.deepcopy(PLAN)
    del old["reads_kept"]
    assert _told(old, PLAN) == [("setting", None, None, "reads_kept", "(absent)", False)]
