"""What a job does when memory runs out in a function: allocations that really fail."""

import subprocess
import sys

import numpy as np
import pytest

from openhcs_core.errors import OutOfMemoryError, StepFunctionError
from openhcs_core.memory import memory_types
from openhcs_core.pipeline import ProcessingContract, processing_contract
from openhcs_core.plan import FunctionPlan, SpecialOutputPlan
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.calls import run_chain
from openhcs_core.runtime.means import Means

KEYS = [PlaneKey("B02", site, "1", 1, 1) for site in range(1, 6)]
PLANES = [np.full((3, 4), site, "uint16") for site in range(1, 6)]
SPLIT = frozenset({"oom_split"})


def _has_room(slices):
    """Fail as numpy does, with more than `slices`: no machine has that much memory."""

    def decorate(function):
        def work(image_stack, **parameters):
            image_stack += 1  # in place: the next call must not see it
            if len(image_stack) > slices:
                np.empty(2**60, "uint8")
            return function(image_stack, **parameters)

        return work

    return decorate


def _function(slices, contract=ProcessingContract.BATCH_2D, **declared):
    @_has_room(slices)
    def work(image_stack):
        return image_stack * 2

    declared = {"input_type": "numpy", "output_type": "numpy", "oom_recovery": True, **declared}
    return memory_types(**declared)(processing_contract(contract)(work))


def _run(function, fallbacks=SPLIT, uses=None, **plan):
    uses = [] if uses is None else uses
    return run_chain(
        [plane.copy() for plane in PLANES],
        KEYS,
        [FunctionPlan(ref="t:work", **plan)],
        lambda ref: function,
        "step 's', well B02",
        projected_to={},
        means=Means(fallbacks=fallbacks, note=uses.append),
    )


def _values(result):
    assert result.keys == tuple(KEYS)
    return [int(plane[0, 0]) for plane in result.planes]


@pytest.mark.parametrize("slices", [1, 2, 3, 4])
def test_a_stack_without_room_is_given_in_parts_with_the_same_result(slices):
    uses = []
    assert _values(_run(_function(slices), uses=uses)) == [4, 6, 8, 10, 12]
    assert [use.stage for use in uses][:2] == ["freed_caches", "oom_split"]
    assert all("Unable to allocate" in use.reason for use in uses)
    assert uses[0].slices == 5
    assert _values(_run(_function(5), uses=(none := []))) == [4, 6, 8, 10, 12]
    assert none == []


def test_what_is_not_listed_is_not_done():
    advice = r"ran out of memory: Unable.*or list oom_split in the config's fallbacks"
    with pytest.raises(OutOfMemoryError, match=advice):
        _run(_function(3), fallbacks=frozenset())


def test_what_is_not_declared_is_not_done():
    calls = []

    def work(image_stack):
        calls.append(len(image_stack))
        raise MemoryError("no room")

    declared = memory_types(input_type="numpy", output_type="numpy")(work)
    with pytest.raises(OutOfMemoryError, match="declare that it may be called again"):
        _run(declared)
    assert calls == [5]


def test_freed_caches_may_be_all_it_takes():
    room, uses = [], []

    @memory_types(input_type="numpy", output_type="numpy", oom_recovery=True)
    def work(image_stack):
        image_stack += 1
        if not room:
            room.append(1)
            raise MemoryError("no room")
        return image_stack

    assert _values(_run(work, frozenset(), uses)) == [2, 3, 4, 5, 6]
    assert [use.stage for use in uses] == ["freed_caches"]


@pytest.mark.parametrize("contract", [ProcessingContract.PURE_3D, ProcessingContract.FLEXIBLE])
def test_a_stack_that_is_a_whole_is_never_parted(contract):
    with pytest.raises(OutOfMemoryError, match=r"resources\.mem_mb\)$"):
        _run(_function(3, contract))


def test_values_of_the_whole_stack_are_not_made_of_parts():
    with pytest.raises(OutOfMemoryError):
        _run(_function(3), special_outputs=(SpecialOutputPlan(name="counts"),))


def test_one_slice_without_room_is_the_end():
    with pytest.raises(OutOfMemoryError, match="step 's', well B02: t:work ran out of memory"):
        _run(_function(0))


def test_memory_that_runs_out_while_a_stack_is_made_counts_too():
    huge = [np.broadcast_to(np.uint8(1), (2**30, 2**30))]
    with pytest.raises(OutOfMemoryError, match="ran out of memory: Unable to allocate"):
        run_chain(
            huge,
            KEYS[:1],
            [FunctionPlan(ref="t:work")],
            lambda ref: _function(9),
            "step 's'",
            projected_to={},
        )


def test_other_errors_are_what_they_were():
    @memory_types(input_type="numpy", output_type="numpy", oom_recovery=True)
    def work(image_stack):
        raise RuntimeError("not about memory")

    with pytest.raises(StepFunctionError, match="raised RuntimeError: not about memory"):
        _run(work)


LIMITED = """
import resource
import sys
import numpy as np
from openhcs_core.memory import memory_types
from openhcs_core.pipeline import ProcessingContract, processing_contract
from openhcs_core.plan import FunctionPlan
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.calls import run_chain
from openhcs_core.runtime.means import Means

kind = sys.argv[1]


@memory_types(input_type=kind, output_type=kind, oom_recovery=True)
@processing_contract(ProcessingContract.BATCH_2D)
def work(image_stack):
    if kind == "torch":
        import torch

        wide = torch.ones((len(image_stack), 2**25))  # 128 MB a slice
    else:
        wide = np.ones((len(image_stack), 2**25), "float32")
    return image_stack * float(wide[0, -1]) * 2


planes = [np.full((3, 4), value, "float32") for value in range(4)]
keys = [PlaneKey("B02", site, "1", 1, 1) for site in range(1, 5)]
plan = FunctionPlan(ref="t:work", input_memory_type=kind, output_memory_type=kind)
uses = []


def run():
    means = Means(fallbacks=frozenset({"oom_split"}), note=uses.append)
    chain = run_chain(planes, keys, [plan], lambda ref: work, "s", projected_to={}, means=means)
    return [plane.tobytes() for plane in chain.planes]


whole = run()
assert not uses
with open("/proc/self/statm") as stream:
    used = int(stream.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 350 * 2**20, resource.RLIM_INFINITY))
assert run() == whole
assert [use.stage for use in uses] == ["freed_caches", "oom_split"], uses
print(uses[0].reason)
"""


@pytest.mark.parametrize(
    ("kind", "reason"), [("numpy", "Unable to allocate"), ("torch", "can't allocate memory")]
)
def test_a_real_limit_of_the_process_splits_the_stack(kind, reason):
    pytest.importorskip(kind)
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, kind], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert reason in run.stdout
