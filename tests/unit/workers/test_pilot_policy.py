"""Which pilot gets a job, and how many there are to be."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.errors import WorkerLostError
from openhcs_core.workers.pilot import PilotFacts
from openhcs_core.workers.pilot_book import FAILED_STARTS, PilotBook
from openhcs_core.workers.pilot_policy import (
    ENDING_S,
    Ask,
    Changes,
    Pilot,
    PilotLimits,
    Shape,
    assign,
    can_do,
    changes,
    shape_for,
)
from openhcs_core.workers.policy import Need

B02, B03 = ("results/demo", "B02"), ("results/demo", "B03")
LIMITS = PilotLimits(cpu=2, gpu=1, cores=1, mem_mb=4000, minutes=240, idle_s=120)
SMALL = Shape(1, 0, 4000, 240, "")
GPU = Shape(1, 1, 4000, 240, "")
FACTS = PilotFacts(version="1", host="n1", pid=1)


def _there(name, shape=SMALL, **more):
    return Pilot(name, shape, is_there=True, ends_s=60 * shape.minutes, **more)


def _ask(number, runtime_s=0.0, **need):
    return Ask(number, Need(**need), runtime_s)


def test_the_pilot_that_did_a_well_does_its_next_step_when_it_is_free():
    pilots = [_there("a", wells=(B03, B02)), _there("b", wells=(B02, B03))]
    assert assign(pilots, [_ask(1, well=B02), _ask(2, well=B03)], 0) == {1: "a", 2: "b"}
    busy = [replace(pilots[0], is_busy=True), pilots[1]]
    assert assign(busy, [_ask(1, well=B02)], 0) == {1: "b"}  # it does not wait for "a"
    # a job that is at home nowhere leaves "b" to one that is at home there
    assert assign(busy, [_ask(1, well=("results/x", "A01")), _ask(2, well=B03)], 0) == {2: "b"}


def test_a_job_gets_the_smallest_pilot_that_has_what_it_needs():
    pilots = [_there("big", Shape(4, 0, 16000, 240)), _there("small")]
    assert assign(pilots, [_ask(1)], 0) == {1: "small"}
    assert assign(pilots, [_ask(1, threads=2)], 0) == {1: "big"}
    assert assign(pilots, [_ask(1, mem_mb=8000)], 0) == {1: "big"}
    assert assign(pilots, [_ask(1, threads=8)], 0) == {}


def test_a_job_without_gpu_never_holds_one_unless_others_made_the_pilots():
    assert assign([_there("g", GPU)], [_ask(1)], 0) == {}
    assert assign([_there("g", GPU)], [_ask(1, gpus=1)], 0) == {1: "g"}
    assert assign([_there("g", GPU)], [_ask(1, gpus=2)], 0) == {}
    assert assign([_there("g", GPU)], [_ask(1)], 0, keeps_gpus=False) == {1: "g"}


def test_a_model_of_gpu_is_kept_to():
    model, other = replace(GPU, gpu_model="a100"), GPU
    ask = _ask(1, gpus=1, gpu_model="a100")
    assert assign([_there("any", other), _there("a", model)], [ask], 0) == {1: "a"}
    assert assign([_there("any", other)], [ask], 0) == {}
    assert assign([_there("unknown", replace(GPU, gpu_model=None))], [ask], 0) == {1: "unknown"}


def test_no_job_begins_that_the_end_of_its_pilot_would_cut_off():
    pilot = replace(_there("a"), ends_s=1000)
    assert assign([pilot], [_ask(1, 600)], 1000 - 600 - ENDING_S) == {1: "a"}
    assert assign([pilot], [_ask(1, 600)], 1001 - 600 - ENDING_S) == {}
    assert changes([pilot], [], LIMITS, 1001 - ENDING_S) == Changes(stop=("a",))


def test_pilots_are_asked_for_as_jobs_need_them_and_no_more():
    asks = [_ask(number) for number in (1, 2, 3)]
    assert changes([], asks, LIMITS, 0).start == ((1, SMALL), (2, SMALL))
    coming = [Pilot("a", SMALL), Pilot("b", SMALL)]
    assert changes(coming, asks, LIMITS, 0) == Changes()
    assert changes(coming[:1], asks[:1], LIMITS, 0) == Changes()
    assert changes([_there("a", is_busy=True)], asks[:1], LIMITS, 0).start == ((1, SMALL),)
    assert changes([], [_ask(1, gpus=1)], LIMITS, 0).start == ((1, GPU),)


def test_a_job_that_needs_more_gets_a_pilot_of_its_size():
    ask = _ask(1, 300 * 60, threads=3, gpus=2, mem_mb=9000, gpu_model="a100")
    shape = shape_for(ask, LIMITS)
    assert shape == Shape(3, 2, 9000, 302, "a100")
    assert can_do(_there("a", shape), ask, 0, keeps_gpus=True)


def test_a_pilot_without_work_makes_room_for_one_that_is_needed():
    pilots = [_there("a", used_s=5), _there("b", used_s=3)]
    wanted = changes(pilots, [_ask(1, threads=2)], LIMITS, 10)
    assert wanted == Changes(((1, Shape(2, 0, 4000, 240, "")),), ("b",))
    busy = [replace(pilot, is_busy=True) for pilot in pilots]
    assert changes(busy, [_ask(1, threads=2)], LIMITS, 10) == Changes()


def test_a_pilot_without_work_is_given_back_after_a_time_and_one_that_has_not_come_as_well():
    pilots = [_there("a", used_s=100), Pilot("b", SMALL, used_s=100)]
    assert changes(pilots, [], LIMITS, 220) == Changes()
    assert changes(pilots, [], LIMITS, 221) == Changes(stop=("a", "b"))
    assert changes([replace(pilots[0], is_busy=True)], [], LIMITS, 221) == Changes()
    assert changes(pilots[1:], [_ask(1)], LIMITS, 221) == Changes()  # its job waits for it


def test_what_no_pilot_will_ever_do_is_refused_at_once():
    book = PilotBook(PilotLimits(cpu=1))
    with pytest.raises(WorkerLostError, match=r"2 GPUs; set --openhcs-gpu-pilots"):
        book.wait(_ask(1, gpus=2))
    with pytest.raises(WorkerLostError, match=r"set --openhcs-pilots"):
        PilotBook(PilotLimits(gpu=1)).wait(_ask(1))
    PilotBook(PilotLimits()).wait(_ask(1, gpus=2))  # others may have them


def test_a_job_that_no_pilot_comes_for_is_overdue():
    book = PilotBook(LIMITS)
    book.wait(_ask(1))
    assert book.overdue(LIMITS.wait_s) == []
    (ask,) = book.overdue(LIMITS.wait_s + 1)
    assert "no pilot came within 3600 s" in book.no_pilot(ask)
    book.came("a", SMALL, FACTS, 0)
    assert book.overdue(LIMITS.wait_s + 1) == []  # it is only busy


def test_pilots_that_end_before_they_come_are_no_accident_after_some():
    book = PilotBook(LIMITS)
    names = [f"p{number}" for number in range(FAILED_STARTS)]
    for name in names:
        book.asked(name, SMALL, 0)
    assert [book.never_came(name) for name in names] == [False] * (FAILED_STARTS - 1) + [True]
    book.came("good", SMALL, FACTS, 0)
    book.asked("p", SMALL, 0)
    assert not book.never_came("p")


def test_a_pilot_that_began_long_ago_has_less_time_left():
    book = PilotBook(LIMITS)
    book.asked("a", SMALL, 0)
    book.came("a", SMALL, FACTS.model_copy(update={"age_s": 100.0}), 50)
    book.wait(_ask(1, 240 * 60 - 100 - ENDING_S))
    assert book.begin(51) == {}
    assert book.begin(50) == {1: "a"}


needs = st.builds(
    Need,
    threads=st.integers(1, 2),
    gpus=st.integers(0, 2),
    mem_mb=st.sampled_from([0, 4000, 8000]),
    well=st.sampled_from([None, B02, B03]),
)


class _Cluster:
    """Pilots come as soon as they are asked for; jobs end when they are told to."""

    def __init__(self):
        self.book, self.shapes, self.running, self.done = PilotBook(LIMITS), {}, {}, []
        self.waiting = {}

    def add(self, number, need):
        self.waiting[number] = need
        self.book.wait(Ask(number, need, since_s=number))

    def turn(self, now_s):
        decided = self.book.changes(now_s)
        for name in decided.stop:
            assert not self.book.left(name)  # it was not busy
            del self.shapes[name]
        for number, shape in decided.start:
            name = f"{now_s} for {number}"
            self.book.asked(name, shape, now_s)
            self.shapes[name] = shape
        for name in self.book.are_coming:
            self.book.came(name, self.shapes[name], FACTS, now_s)
        for number, name in self.book.begin(now_s).items():
            self.begin(number, name)

    def begin(self, number, name):
        assert name not in self.running
        need, shape = self.waiting.pop(number), self.shapes[name]
        assert bool(shape.gpus) == bool(need.gpus)
        assert shape.gpus >= need.gpus
        assert shape.cores >= need.threads
        assert shape.mem_mb >= need.mem_mb
        self.running[name] = number, need

    def end(self, count, now_s):
        for name in list(self.running)[:count]:
            number, need = self.running.pop(name)
            self.done.append(number)
            self.book.done(name, need, now_s)


@given(st.lists(st.tuples(needs, st.integers(0, 3)), max_size=25))
def test_whatever_comes_each_job_is_done_once_by_one_pilot_at_a_time(events):
    """Jobs come in turn, and each time some of those that run end."""
    cluster = _Cluster()
    for number, (need, ending) in enumerate(events):
        cluster.add(number, need)
        cluster.turn(number)
        shapes = list(cluster.shapes.values())
        assert sum(not shape.gpus for shape in shapes) <= LIMITS.cpu
        assert sum(shape.gpus > 0 for shape in shapes) <= LIMITS.gpu
        cluster.end(ending, number)
    for now_s in range(len(events), 4 * len(events) + 4):
        cluster.turn(now_s)
        cluster.end(10, now_s)
    assert sorted(cluster.done) == list(range(len(events)))
