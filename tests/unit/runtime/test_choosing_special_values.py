"""Which of an earlier step's values a call gets, and what is said when that is not one."""

import pytest

from openhcs_core.errors import StepFunctionError
from openhcs_core.plan import SpecialInputPlan
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.special_inputs import choose_value, copied


def _choose(planes, given, **links):
    special = SpecialInputPlan(name="mean", step="a", **links)
    values = [copied((key,), key.site, "value") for key in given]
    return choose_value(special, planes, values, "step 'b', well B02: t:tell")


SITES = [PlaneKey("B02", site, "1", 1, 1) for site in (1, 2, 10)]


def test_a_list_has_one_value_for_each_plane_of_the_stack_and_no_other():
    chosen = _choose([SITES[2], SITES[0]], SITES, each_of_stack=("site",))
    assert chosen == [10, 1]  # in the order of the stack


def test_values_along_a_projection_come_in_natural_order():
    planes = [PlaneKey("B02", 1, "1", 1, 1)]
    assert _choose(planes, SITES[::-1], each_of_projection=("site",)) == [1, 2, 10]


def test_a_plane_without_value_or_with_two_is_named():
    who = "step 'b', well B02: t:tell: special input 'mean' "
    with pytest.raises(StepFunctionError) as caught:
        _choose(SITES, SITES[:2], agree_on=("channel",), each_of_stack=("site",))
    assert str(caught.value) == (
        f"{who}has no value for channel 1, site 10; its step gave values for "
        "B02_s001_w1_z001_t001.tif, B02_s002_w1_z001_t001.tif"
    )
    with pytest.raises(StepFunctionError) as caught:
        _choose(SITES[:1], SITES, agree_on=("channel",))
    assert str(caught.value) == f"{who}has two values for B02_s002_w1_z001_t001.tif; expected one"


def test_a_value_of_the_same_chain_that_cannot_be_copied_is_named():
    with pytest.raises(StepFunctionError, match=r"^input 'x' cannot be copied: cannot pickle"):
        copied((), (number for number in ()), "input 'x'").make()
