"""What is said of a run while it goes on: states, counts, rate and time left."""

import heapq

import pytest

from openhcs_core.session.progress import PlannedPlate, PlannedRun
from openhcs_core.session.progress.tracker import RunTracker
from openhcs_core.session.progress.units import Unit, units_of

WELLS = ("A01", "A02", "B01", "B02")


def _planned(wells=WELLS, steps=("clean", "count"), tables=True, todo=None):
    sources = {step: frozenset(steps[number - 1 : number]) for number, step in enumerate(steps)}
    every = dict.fromkeys(steps, wells)
    if tables:
        every[steps[-1]] = (*wells, "counts.csv")
    return PlannedRun(
        (PlannedPlate("demo", wells, steps, sources, every if todo is None else todo),)
    )


def _files(step, well):
    return [f"results/demo/manifests/{step}/{well}.json"], [f"results/demo/logs/{step}/{well}.log"]


class _Run:
    """A tracker with a clock, told of jobs as Snakemake tells of them."""

    def __init__(self, planned=None):
        self.tracker = RunTracker()
        if planned is not None:
            self.tracker.plan(planned)
        self.ids = {}

    def start(self, step, target, now):
        job = self.ids.setdefault((step, target), len(self.ids) + 1)
        outputs, logs = _files(step, target)
        self.tracker.start([job], now)
        self.tracker.announce(job, units_of(outputs if target in WELLS else [], logs), now)

    def finish(self, step, target, now):
        self.tracker.finish(self.ids[step, target], now)

    def fail(self, step, target, now):
        self.tracker.fail(self.ids[step, target], now)

    def plate(self, now=0.0):
        return self.tracker.view(now).plates[0]


def _numbers(step):
    return step.done, step.running, step.failed, step.blocked, step.waiting


def test_jobs_are_known_by_the_manifests_they_write():
    known = units_of(
        ["out/p 1/manifests/a/B02.json", "out/p 1/manifests/b/B02.json", "out/p 1/b.csv"], []
    )
    assert known.plate_dir == "out/p 1"
    assert known.units == (Unit("p 1", "a", "B02"), Unit("p 1", "b", "B02"))


def test_tables_and_stores_are_known_by_their_logs():
    known = units_of(["r/demo/tables/count/c.csv"], ["r/demo/logs/count/c.csv.log"])
    assert known.units == (Unit("demo", "count", "c.csv"),)
    assert not known.units[0].is_well
    assert units_of(["anything.txt"], []) is None


def test_states_from_start_to_end():
    run = _Run(_planned())
    run.start("clean", "A01", 0.0)
    run.start("clean", "A02", 0.0)
    run.finish("clean", "A01", 3.0)
    run.start("count", "A01", 3.0)
    plate = run.plate(4.0)
    assert [_numbers(step) for step in plate.steps] == [(1, 1, 0, 0, 2), (0, 1, 0, 0, 3)]
    assert plate.wells == {
        "A01": "running",
        "A02": "running",
        "B01": "waiting",
        "B02": "waiting",
    }
    run.finish("count", "A01", 5.0)
    assert run.plate(5.0).wells["A01"] == "done"


def test_wells_of_earlier_runs_are_done_from_the_start():
    run = _Run(_planned(todo={"count": ("A02",)}))
    assert [_numbers(step) for step in run.plate().steps] == [(4, 0, 0, 0, 0), (3, 0, 0, 0, 1)]
    assert run.plate().wells == {"A01": "done", "A02": "waiting", "B01": "done", "B02": "done"}


def test_a_failure_blocks_what_comes_after_it_and_nothing_else():
    run = _Run(_planned())
    run.start("clean", "A01", 0.0)
    run.fail("clean", "A01", 1.0)
    plate = run.plate(1.0)
    assert [_numbers(step) for step in plate.steps] == [(0, 0, 1, 0, 3), (0, 0, 0, 1, 3)]
    assert plate.wells["A01"] == "failed"
    assert plate.wells["A02"] == "waiting"


def test_a_job_that_is_tried_again_is_no_failure_any_more():
    run = _Run(_planned())
    run.start("clean", "A01", 0.0)
    run.fail("clean", "A01", 1.0)
    assert run.tracker.view(1.0).failed_jobs == 1
    run.start("clean", "A01", 2.0)
    assert run.tracker.view(2.0).failed_jobs == 0
    run.finish("clean", "A01", 3.0)
    assert [_numbers(step) for step in run.plate().steps] == [(1, 0, 0, 0, 3), (0, 0, 0, 0, 4)]


def test_a_run_is_over_when_only_what_is_blocked_is_left():
    run = _Run(_planned(wells=("A01", "A02")))
    run.tracker.count(0, 6)
    for well in ("A01", "A02"):
        run.start("clean", well, 0.0)
    run.fail("clean", "A01", 1.0)
    run.finish("clean", "A02", 1.0)
    assert not run.tracker.view(1.0).is_over
    run.start("count", "A02", 1.0)
    run.finish("count", "A02", 2.0)
    assert run.tracker.view(2.0).is_over


def test_without_a_plan_what_was_announced_is_shown():
    run = _Run()
    run.start("clean", "A01", 0.0)
    run.finish("clean", "A01", 4.0)
    assert [_numbers(step) for step in run.plate(4.0).steps] == [(1, 0, 0, 0, 0)]
    assert run.tracker.view(4.0).left_s is None


def test_a_job_of_several_wells_counts_them_all():
    tracker = RunTracker()
    tracker.plan(_planned())
    outputs = [f"results/demo/manifests/clean/{well}.json" for well in WELLS]
    tracker.start([1], 0.0)
    tracker.announce(1, units_of(outputs, []), 0.0)
    assert tracker.view(0.0).plates[0].steps[0].running == 4
    tracker.finish(1, 8.0)
    assert tracker.view(8.0).plates[0].steps[0].done == 4


def test_a_job_of_several_wells_and_steps_fails_apart():
    tracker = RunTracker()
    tracker.plan(_planned())
    outputs = [
        f"results/demo/manifests/{step}/{well}.json"
        for well in ("A01", "A02")
        for step in ("clean", "count")
    ]
    tracker.start([1], 0.0)
    tracker.announce(1, units_of(outputs, []), 0.0)
    tracker.fail(1, 8.0, frozenset({Unit("demo", "clean", "A01")}))
    plate = tracker.view(8.0).plates[0]
    assert [_numbers(step) for step in plate.steps] == [(1, 0, 1, 0, 2), (1, 0, 0, 1, 2)]
    assert plate.wells["A01"] == "failed"
    assert plate.wells["A02"] == "done"


def test_a_failed_step_over_the_plate_blocks_every_well():
    wells = ("A01", "A02")
    plate = PlannedPlate(
        name="demo",
        wells=wells,
        steps=("light", "count"),
        sources={"light": frozenset(), "count": frozenset({"light"})},
        todo={"light": ("plate",), "count": wells},
        plate_wide=frozenset({"light"}),
    )
    tracker = RunTracker()
    tracker.plan(PlannedRun((plate,)))
    tracker.announce(1, units_of(["r/demo/manifests/light/plate.json"], []), 0.0)
    assert [_numbers(step) for step in tracker.view(0.0).plates[0].steps] == [
        (0, 1, 0, 0, 0),
        (0, 0, 0, 0, 2),
    ]
    tracker.fail(1, 1.0)
    steps = tracker.view(1.0).plates[0].steps
    assert [_numbers(step) for step in steps] == [(0, 0, 1, 0, 0), (0, 0, 0, 2, 0)]


def test_rate_is_of_the_last_minute():
    run = _Run(_planned(wells=WELLS))
    for number, well in enumerate(WELLS):
        run.start("clean", well, 10.0 * number)
        run.finish("clean", well, 10.0 * number + 5)
    assert run.tracker.view(40.0).rate_per_s == pytest.approx(4 / 40)
    assert run.tracker.view(200.0).rate_per_s is None


def _simulate(durations, wells, workers):
    """Yield (time, estimate) at every end of a job, depth first, as the rules' priorities say."""
    names = tuple(f"{'ABCDEFGH'[n // 12]}{n % 12 + 1:02d}" for n in range(wells))
    steps = tuple(durations)
    sources = {step: frozenset(steps[n - 1 : n]) for n, step in enumerate(steps)}
    tracker = RunTracker()
    tracker.plan(
        PlannedRun((PlannedPlate("p", names, steps, sources, dict.fromkeys(steps, names)),))
    )
    ready = [(0, well) for well in reversed(names)]
    running, now, job, found = [], 0.0, 0, []
    while ready or running:
        while ready and len(running) < workers:
            ready.sort()
            number, well = ready.pop()
            job += 1
            outputs = [f"r/p/manifests/{steps[number]}/{well}.json"]
            tracker.start([job], now)
            tracker.announce(job, units_of(outputs, []), now)
            heapq.heappush(running, (now + durations[steps[number]], job, number, well))
        now, done, number, well = heapq.heappop(running)
        tracker.finish(done, now)
        if number + 1 < len(steps):
            ready.append((number + 1, well))
        found.append((now, tracker.view(now).left_s))
    return now, found


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_time_left_is_right_within_a_quarter_from_a_tenth_of_the_run_on(workers):
    durations = {"clean": 4.0, "flatten": 1.0, "count": 20.0}
    total, found = _simulate(durations, wells=48, workers=workers)
    checked = [(at, left) for at, left in found if 0.1 * total < at < 0.9 * total]
    assert checked
    for at, left in checked:
        assert left == pytest.approx(total - at, rel=0.25), (at, total)
