"""Progress as people read it: grids, bars and lines."""

import io
import time

import pytest
from rich.console import Console

from openhcs_core.session.progress import (
    PlateView,
    RunReporter,
    RunView,
    StepView,
    draw_grid,
    open_display,
)
from openhcs_core.session.progress.grid import plate_grid
from openhcs_core.session.progress.lines import (
    describe_duration,
    describe_headline,
    describe_plates,
    describe_rate,
    describe_reasons,
)
from openhcs_core.session.progress.panel import draw_bar, run_panel

WELLS = {"A01": "done", "A02": "running", "B01": "failed", "B03": "waiting"}


def _text(lines):
    return ["".join(cell.text for cell in line).rstrip() for line in lines]


def _view(plates=1, **changes):
    steps = (StepView("clean", 4, done=3, running=1), StepView("count", 4, failed=1, blocked=1))
    every = tuple(PlateView(f"p{number}", steps, WELLS) for number in range(plates))
    numbers = {
        "done_jobs": 3,
        "total_jobs": 9,
        "running_jobs": 1,
        "failed_jobs": 0,
        "elapsed_s": 75.0,
        "rate_per_s": 0.5,
        "left_s": 130.0,
    }
    return RunView(**numbers | changes, plates=every)


def _rendered(renderable, width=80, encoding="utf-8"):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=stream, width=width).print(renderable)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def test_a_grid_has_a_letter_a_well_and_nothing_where_there_is_none():
    assert _text(plate_grid(WELLS, 80)) == ["      1  2  3", "A     D  R", "B     F     ."]


def test_a_large_plate_fits_a_narrow_terminal():
    wells = {f"{row}{column:02d}": "done" for row in ("A", "AF") for column in range(1, 49)}
    lines = _text(plate_grid(wells, 80))
    assert len(lines) == 2 + 32
    assert max(map(len, lines)) == 4 + 48
    assert lines[0][4 + 9] == "1"
    assert lines[2] == "A   " + "D" * 48
    assert lines[28] == "AA"
    assert lines[33] == "AF  " + "D" * 48


def test_a_grid_says_what_its_letters_mean_and_how_many_there_are():
    *_, legend = draw_grid(WELLS, 80)
    assert legend.plain.split("   ") == [
        "",
        " D done 1",
        "R running 1",
        "F failed 1",
        ". waiting 1",
        "",
    ]
    assert draw_grid({}, 80) == []


def test_every_state_there_is_has_a_place_in_a_bar():
    step = StepView("count", 1536, done=1530, running=1, failed=1, blocked=1)
    bar = draw_bar(step, 20).plain
    assert len(bar) == 20
    assert {*bar} == {*"█▓✗·░"}
    assert {*draw_bar(step, 20, is_ascii=True).plain} == {*"#=x-."}
    assert draw_bar(StepView("count", 0), 20).plain == "░" * 20


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("height", [4, 10, 24])
def test_a_panel_stays_within_its_terminal(width, height):
    lines = _rendered(run_panel(_view(plates=9), width, height), width).splitlines()
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert "more plates" in lines[-1]


def test_a_panel_of_one_plate_has_its_grid_where_there_is_room():
    assert "B     F" in _rendered(run_panel(_view(), 80, 24))
    assert "B     F" not in _rendered(run_panel(_view(), 80, 7))


def test_a_panel_can_be_all_ascii():
    text = _rendered(run_panel(_view(), 80, 24, is_ascii=True), encoding="ascii")
    assert "clean" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (176400, "2 d 1 h"),
    ],
)
def test_durations(seconds, text):
    assert describe_duration(seconds) == text


def test_rates_are_numbers_of_jobs():
    assert describe_rate(3.04) == "3.0 jobs/s"
    assert describe_rate(0.5) == "30.0 jobs/min"
    assert describe_rate(0.0001) == "0.4 jobs/h"


def test_headline_and_plates_in_words():
    text = describe_headline(_view())
    assert text == "3 of 9 jobs (33 %), 30.0 jobs/min, 1 min 15 s so far, about 2 min left"
    assert [*describe_plates(_view())] == [
        "p0: clean 3/4 1 running; count 0/4 1 failed 1 after a failure"
    ]
    assert "2 more plates" in [*describe_plates(_view(plates=6))][-1]


def test_nothing_is_left_when_a_run_is_over():
    assert "left" not in describe_headline(_view(done_jobs=9, left_s=3.0))


def test_reasons_without_the_names_of_files():
    reason = "Missing output files: a.csv, b.csv; Input files updated by another job: c.json"
    assert describe_reasons(reason) == "Missing output files; Input files updated by another job"


class _Stream(io.StringIO):
    def isatty(self):
        return False


def test_lines_come_at_a_bounded_rate_and_the_last_state_always(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    stream, done = _Stream(), [0]
    display = open_display(
        stream=stream,
        view=lambda: _view(done_jobs=done[0]),
        is_live=True,
        has_color=True,
        interval_s=30,
        is_quiet=False,
    )
    for number in range(8):
        done[0] = number
        display.update(is_running=True)
        clock[0] += 10
    assert stream.getvalue().count("jobs (") == 3  # at 0, 30 and 60 s
    done[0] = 9
    display.update(is_running=False)
    assert "9 of 9 jobs (100 %)" in stream.getvalue()
    before = stream.getvalue()
    display.close()
    assert stream.getvalue() == before  # not said twice


def test_a_quiet_display_says_only_what_it_is_told():
    stream = _Stream()
    display = open_display(
        stream=stream,
        view=_view,
        is_live=True,
        has_color=True,
        interval_s=0,
        is_quiet=True,
    )
    display.update(is_running=True)
    display.say("failed  B02", 40)
    display.close()
    assert stream.getvalue() == "failed  B02\n"


def _failing(tmp_path, well, message):
    folder = tmp_path / "results/demo"
    record = folder / f"logs/count/{well}.failure.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(f'{{"digest": null, "exit_code": 4, "message": "{message}"}}')
    return [f"{folder}/manifests/count/{well}.json"], [f"{folder}/logs/count/{well}.log"]


def test_a_failed_job_is_said_with_the_reason_it_recorded(tmp_path):
    reporter = RunReporter()
    now = time.time()
    reporter.announce(1, *_failing(tmp_path, "B02", "no nuclei"), now)
    reporter.hold("CalledProcessError: 'x; run --well B02' returned non-zero exit status 4.", now)
    lines = [*reporter.fail(1, "run --well B02", now, lambda: "Error in rule count")]
    assert len(lines) == 1
    assert lines[0].startswith("failed  demo B02, step 'count': no nuclei (log ")
    assert [*reporter.overdue(now + 60)] == []


def test_a_failed_job_without_a_record_is_said_in_full(tmp_path):
    reporter = RunReporter()
    outputs, logs = _failing(tmp_path, "B02", "of an earlier run")
    later = time.time() + 100
    reporter.announce(1, outputs, logs, later)
    held = "CalledProcessError: 'run --well B02' died with <Signals.SIGKILL: 9>."
    reporter.hold(held, later)
    lines = [*reporter.fail(1, "run --well B02", later, lambda: "Error in rule count")]
    assert lines == [held, "Error in rule count"]


def test_an_error_that_no_job_explains_is_said(tmp_path):
    reporter = RunReporter()
    now = time.time()
    reporter.announce(1, *_failing(tmp_path, "B02", "no nuclei"), now)
    reporter.hold("WorkflowError: disk gone", now)
    assert next(reporter.fail(1, "run", now, lambda: "")).startswith("failed")
    assert [*reporter.overdue(now + 1)] == []
    assert [*reporter.overdue(now + 60)] == ["WorkflowError: disk gone"]


def test_failures_of_a_whole_plate_do_not_scroll_by(tmp_path):
    reporter = RunReporter()
    now = time.time()
    lines = []
    for number in range(1, 49):
        well = f"A{number:02d}"
        reporter.announce(number, *_failing(tmp_path, well, "no nuclei"), now)
        lines += reporter.fail(number, "run", now, lambda: "")
    assert len(lines) == 21
    assert "openhcs-core status" in lines[-1]
