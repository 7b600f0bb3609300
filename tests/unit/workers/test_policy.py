"""Which worker gets a job."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.workers.policy import (
    Need,
    Start,
    Use,
    Wait,
    WorkerLimits,
    WorkerState,
    choose,
)

NUMPY, TORCH, TENSORFLOW, OPENCL = map(
    frozenset, ([], ["torch"], ["tensorflow"], ["pyclesperanto"])
)
B02, B03 = ("results/demo", "B02"), ("results/demo", "B03")
TWO = WorkerLimits(count=2)


def test_the_first_job_starts_a_worker():
    assert choose([], Need(), TWO) == Start()


def test_a_job_goes_to_the_worker_that_did_its_well_last():
    states = [
        WorkerState(1, used=1, wells=(B02, B03)),
        WorkerState(2, used=2, wells=(B02,)),
        WorkerState(3, used=3, wells=(B03,)),
    ]
    assert choose(states, Need(well=B02), TWO) == Use(2)
    assert choose(states, Need(well=B03), TWO) == Use(1)
    assert choose(states, Need(well=("results/demo", "B04")), TWO) == Use(1)


def test_a_busy_worker_is_not_waited_for():
    states = [WorkerState(1, is_busy=True, wells=(B02,)), WorkerState(2)]
    assert choose(states, Need(well=B02), TWO) == Use(2)
    assert choose(states[:1], Need(well=B02), TWO) == Start()


def test_another_family_gets_another_worker_and_idle_ones_make_room():
    states = [WorkerState(1, TENSORFLOW, used=5), WorkerState(2, TORCH, used=3)]
    assert choose(states, Need(OPENCL), TWO) == Start(stop=(2,))
    assert choose(states, Need(OPENCL), WorkerLimits(count=3)) == Start()


def test_libraries_that_fix_their_threads_get_a_worker_of_that_many():
    states = [WorkerState(1, TENSORFLOW, fixed_threads=1), WorkerState(2, TORCH)]
    assert choose(states, Need(TENSORFLOW, threads=1), TWO) == Use(1)
    assert choose(states, Need(TENSORFLOW, threads=2), TWO) == Start(stop=(1,))
    assert choose(states, Need(TORCH, threads=7), TWO) == Use(2)


def test_gpu_jobs_spread_over_devices_and_wait_for_one():
    limits = WorkerLimits(count=8, gpus=("0", "1"))
    need = Need(TORCH, gpus=1)
    one = WorkerState(1, TORCH, device="0", gpu=True, is_busy=True)
    assert choose([], need, limits) == Start("0")
    assert choose([one], need, limits) == Start("1")
    two = WorkerState(2, TORCH, device="1", gpu=True, is_busy=True)
    assert choose([one, two], need, limits) == Wait()
    idle = WorkerState(2, frozenset({"jax"}), device="1", gpu=True)
    assert choose([one, idle], need, limits) == Start("1", stop=(2,))
    assert choose([one, two], Need(TORCH), limits) == Start()


def test_without_devices_nothing_is_pinned():
    assert choose([], Need(TORCH, gpus=1), TWO) == Start(None)


def test_a_worker_whose_libraries_saw_no_gpu_does_no_job_with_one():
    states = [WorkerState(1, TORCH), WorkerState(2, TORCH, gpu=True)]
    assert choose(states, Need(TORCH, gpus=1), TWO) == Use(2)
    assert choose(states[:1], Need(TORCH, gpus=1), TWO) == Start(None)
    assert choose(states, Need(TORCH), TWO) == Use(1)


families = st.sampled_from([NUMPY, TORCH, TENSORFLOW, OPENCL])
needs = st.builds(
    Need,
    family=families,
    threads=st.integers(1, 2),
    gpus=st.integers(0, 2),
    well=st.sampled_from([None, B02, B03]),
)


@pytest.mark.parametrize("gpus", [(), ("0",), ("0", "1")])
@given(st.lists(st.tuples(needs, st.integers(0, 3)), max_size=30))
def test_whatever_comes_no_worker_is_double_booked_and_families_never_meet(gpus, events):
    """Jobs begin in turn, and each time some of those that run end."""
    limits = WorkerLimits(count=3, gpus=gpus)
    states: dict[int, WorkerState] = {}
    for number, (need, ending) in enumerate(events, start=1):
        decision = choose(list(states.values()), need, limits)
        if isinstance(decision, Use):
            state = states[decision.number]
            assert not state.is_busy
            assert state.family == need.family
        elif isinstance(decision, Start):
            for stopped in decision.stop:
                assert not states.pop(stopped).is_busy
            state = WorkerState(
                number, need.family, need.fixed_threads, decision.device, gpu=need.gpu
            )
        else:
            assert need.gpu
            assert any(state.is_busy and state.device for state in states.values())
            state = None
        if state is not None:
            wells = (need.well,) if need.well else ()
            states[state.number] = WorkerState(
                state.number,
                state.family,
                state.fixed_threads,
                state.device,
                True,
                number,
                wells,
                state.gpu,
            )
        busy_count = sum(state.is_busy for state in states.values())
        assert not isinstance(decision, Start) or len(states) <= max(limits.count, busy_count)
        for busy in [state for state in states.values() if state.is_busy][:ending]:
            states[busy.number] = WorkerState(
                busy.number,
                busy.family,
                busy.fixed_threads,
                busy.device,
                False,
                number,
                busy.wells,
                busy.gpu,
            )
        devices = [state.device for state in states.values() if state.device]
        assert len(devices) == len(set(devices))
