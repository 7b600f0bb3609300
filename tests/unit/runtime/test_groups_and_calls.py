"""Grouping of planes, and chains of functions on a group."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.constants import Component
from openhcs_core.errors import OutOfMemoryError, StepFunctionError
from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.plan import FunctionPlan, SpecialOutputPlan
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.calls import cast_planes, run_chain
from openhcs_core.runtime.groups import group_planes

KEYS = [
    PlaneKey("B02", site, channel, z, 1)
    for channel in ("1", "2", "10")
    for site in (1, 2, 10)
    for z in (1, 2)
]


def test_one_group_for_each_combination_of_the_others_in_natural_order():
    groups = group_planes(reversed(KEYS), (Component.SITE,))
    assert [(group[0].channel, group[0].z_index) for group in groups] == [
        ("1", 1),
        ("1", 2),
        ("2", 1),
        ("2", 2),
        ("10", 1),
        ("10", 2),
    ]
    assert all([key.site for key in group] == [1, 2, 10] for group in groups)


def test_first_variable_component_varies_slowest():
    (group, *_) = group_planes(KEYS, (Component.CHANNEL, Component.Z_INDEX))
    assert [(key.channel, key.z_index) for key in group] == [
        ("1", 1),
        ("1", 2),
        ("2", 1),
        ("2", 2),
        ("10", 1),
        ("10", 2),
    ]


@given(
    st.lists(st.sampled_from(KEYS), unique=True),
    st.lists(st.sampled_from(list(Component)), unique=True, min_size=1),
)
def test_every_plane_is_in_exactly_one_group(keys, components):
    groups = group_planes(keys, components)
    assert sorted(key for group in groups for key in group) == sorted(keys)


def _chain(functions, planes, **plans):
    keys = [PlaneKey("B02", number + 1, "1", 1, 1) for number in range(len(planes))]
    chain = [FunctionPlan(ref=f"t:{name}", **plans.get(name, {})) for name in functions]
    return run_chain(
        planes,
        keys,
        chain,
        lambda ref: functions[ref[2:]],
        "step 's', well B02",
        projected_to={Component.SITE: "1"},
    )


def test_slice_by_slice_functions_see_one_slice_and_keep_sites_apart():
    seen = []

    def look(image):
        seen.append(image.shape)
        return image * 2

    planes = [np.full((2, 3), value, "u2") for value in (1, 5)]
    result = _chain({"look": look}, planes, look={"slice_by_slice": True})
    assert seen == [(1, 2, 3), (1, 2, 3)]
    assert [plane[0, 0] for plane in result.planes] == [2, 10]
    assert [key.site for key in result.keys] == [1, 2]


def test_library_functions_see_2d():
    seen = []

    def look(image):
        seen.append(image.shape)
        return image

    _chain({"look": look}, [np.zeros((2, 3))], look={"slice_by_slice": True, "as_2d": True})
    assert seen == [(2, 3)]


def test_a_projection_takes_the_first_planes_name():
    result = _chain(
        {"top": lambda stack: stack.max(axis=0, keepdims=True)},
        [np.full((2, 2), value) for value in (1, 5)],
        top={"collapses": True},
    )
    assert [key.site for key in result.keys] == [1]
    assert result.planes[0].max() == 5


def test_a_projection_is_named_by_the_plan_also_where_the_first_plane_is_missing():
    result = run_chain(
        [np.zeros((2, 2))],
        [PlaneKey("B02", 1, "1", 2, 1)],
        [FunctionPlan(ref="t:top", collapses=True)],
        lambda _: lambda stack: stack,
        "step 's', well B02",
        projected_to={Component.Z_INDEX: "1"},
    )
    assert result.keys == (PlaneKey("B02", 1, "1", 1, 1),)


def test_special_outputs_know_their_slice():
    spec = SpecialOutputPlan(name="rows", spec=MaterializationSpec(CsvOptions()))
    result = _chain(
        {"f": lambda stack: (stack, {"top": [int(stack.max())]})},
        [np.full((2, 2), value) for value in (1, 5)],
        f={"slice_by_slice": True, "special_outputs": (spec,)},
    )
    assert [(s.keys[0].site, s.value) for s in result.specials] == [
        (1, {"top": [1]}),
        (2, {"top": [5]}),
    ]


@pytest.mark.parametrize(
    ("function", "plan", "error", "text"),
    [
        (lambda stack: 1 / 0, {}, StepFunctionError, "raised ZeroDivisionError"),
        (lambda stack: None, {}, StepFunctionError, "returned NoneType; expected an array"),
        (lambda stack: stack[0], {}, StepFunctionError, "expected a 3-D stack"),
        (lambda stack: stack[:1], {}, StepFunctionError, "1 slices for 2; expected 2"),
        (lambda stack: stack, {"collapses": True}, StepFunctionError, "expected 1"),
        (
            lambda stack: stack,
            {"special_outputs": (SpecialOutputPlan(name="rows"),)},
            StepFunctionError,
            r"returned ndarray; expected \(image, rows\)",
        ),
    ],
)
def test_functions_that_misbehave_are_named(function, plan, error, text):
    with pytest.raises(error, match=text) as caught:
        _chain({"f": function}, [np.zeros((2, 2))] * 2, f=plan)
    assert "step 's', well B02: t:f" in str(caught.value)


def test_running_out_of_memory_has_its_own_error():
    def greedy(stack):
        raise MemoryError("no 3 PB")

    with pytest.raises(OutOfMemoryError, match="no 3 PB"):
        _chain({"f": greedy}, [np.zeros((2, 2))])


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0.4, 254.6], "uint8", [0, 255]),
        ([65535.3], "uint16", [65535]),
        ([0, 2**24], "float32", [0, 2**24]),
        ([1.5, float("inf")], "float32", [1.5, float("inf")]),
        ([-(2**31)], "int32", [-(2**31)]),
    ],
)
def test_casts_that_keep_the_value(values, dtype, expected):
    (plane,) = cast_planes([np.array([values])], dtype, "step 's'")
    assert plane.dtype == dtype
    assert plane.tolist() == [expected]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([300], "uint8"),
        ([-1], "uint16"),
        ([float("nan")], "uint8"),
        ([float("inf")], "int32"),
        ([65535.6], "uint16"),
        ([1e300], "float32"),
        ([2**24 + 1], "float32"),
    ],
)
def test_casts_that_would_change_a_value_are_refused(values, dtype):
    with pytest.raises(StepFunctionError, match=f"do not fit output_dtype {dtype}"):
        cast_planes([np.array([values])], dtype, "step 's'")


def test_no_cast_without_being_asked():
    plane = np.array([[1.5]])
    assert cast_planes([plane], None, "step 's'")[0] is plane
