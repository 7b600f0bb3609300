"""What functions draw: the same in every process and order, another in every call."""

import random
import subprocess
import sys

import numpy as np
import pytest

from openhcs_core.constants import Component
from openhcs_core.plan import FunctionPlan
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.calls import run_chain
from openhcs_core.runtime.seeds import call_seed, seed_generators

PLANES = [np.zeros((2, 3)), np.zeros((2, 3))]
KEYS = [PlaneKey("B02", site, "1", 1, 1) for site in (1, 2)]
DRAW = (
    "import random, numpy as np; from openhcs_core.planes import PlaneKey;"
    "from openhcs_core.runtime.seeds import call_seed, seed_generators;"
    "seed_generators(call_seed('d', 1, [PlaneKey('B02', 1, '1', 1, 1)]));"
    "print(random.random(), np.random.random())"
)


def _drawn(functions=("draw",), *, keys=KEYS, digest="d", planes=PLANES, **plan):
    """Return what each call of a chain draws."""
    drawn = []

    def draw(image):
        drawn.append((random.random(), float(np.random.random())))
        return image

    chain = [FunctionPlan(ref=f"t:{name}", **plan) for name in functions]
    run_chain(planes, keys, chain, lambda _: draw, "who", {Component.SITE: "1"}, plan_digest=digest)
    return drawn


def test_a_repeated_call_draws_the_same():
    first = _drawn()
    random.seed(1)
    np.random.seed(1)
    assert _drawn() == first


def test_another_process_draws_the_same():
    command = [sys.executable, "-c", DRAW]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    seed_generators(call_seed("d", 1, KEYS[:1]))
    assert tuple(map(float, run.stdout.split())) == (random.random(), np.random.random())


def test_slices_functions_wells_and_plans_draw_different_numbers():
    wells = [[key._replace(well=well) for key in KEYS] for well in ("B02", "B03")]
    drawn = [
        *_drawn(("one", "two"), slice_by_slice=True),
        *_drawn(),
        *_drawn(keys=wells[1]),
        *_drawn(digest="e"),
    ]
    assert len({numbers[0] for numbers in drawn}) == len({numbers[1] for numbers in drawn}) == 7


def test_the_order_of_groups_does_not_matter():
    groups = [[key._replace(channel=channel) for key in KEYS] for channel in "123"]
    forwards = [_drawn(keys=keys) for keys in groups]
    assert [_drawn(keys=keys) for keys in reversed(groups)] == forwards[::-1]


@pytest.mark.parametrize(("given", "is_filled"), [(None, True), (0, False), (7, False)])
def test_a_seed_parameter_that_is_none_gets_the_calls_own(given, is_filled):
    taken = []

    def take(image, seed=None):
        taken.append(seed)
        return image

    plan = FunctionPlan(ref="t:take", parameters={"seed": given}, slice_by_slice=True)
    for _ in range(2):
        run_chain(PLANES, KEYS, [plan], lambda _: take, "who", {}, plan_digest="d")
    assert taken[:2] == taken[2:]
    if is_filled:
        assert taken[0] != taken[1]
        for generator in (np.random.RandomState, np.random.default_rng):
            assert generator(taken[0]) is not None
    else:
        assert taken == [given] * 4
