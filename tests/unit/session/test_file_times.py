"""A generated file has the time of its content."""

import os
from pathlib import Path

import pytest

from openhcs_core.plan import CompiledPipeline
from openhcs_core.session.file_times import FileTimes

PLAN = "results/demo/plan/count.json"
NOTHING_MADE = CompiledPipeline(results="results", plates=())


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _write(text, path=PLAN):
    """Write as one compilation does; return the file's time."""
    FileTimes("results").write({path: text}, NOTHING_MADE)
    return Path(path).stat().st_mtime_ns


def _age(path=PLAN):
    """Write for the first time, long ago."""
    _write("first", path)
    old = Path(path).stat().st_mtime_ns - 10**10
    os.utime(path, ns=(old, old))
    times = Path("results/.plan/times/demo.json")
    text = times.read_text()
    times.write_text(text.replace(text.split(",")[1], str(old)))
    return old


def test_content_that_comes_back_gets_its_time_back():
    first = _age()
    second = _write("second")
    third = _write("third")
    assert first < second <= third
    assert _write("first") == first
    assert _write("second") == second


def test_a_deleted_file_is_written_with_its_time():
    first = _age()
    Path(PLAN).unlink()
    assert _write("first") == first


def test_a_file_that_others_wrote_has_no_past():
    first = _age()
    Path(PLAN).write_text("by hand")
    assert _write("first") > first


@pytest.mark.parametrize("record", ['{"demo/plan/count.json": 3}', "[", None])
def test_a_damaged_or_lost_record_is_begun_again_with_the_times_of_files(record):
    first = _age()
    times = Path("results/.plan/times/demo.json")
    times.unlink() if record is None else times.write_text(record)
    _write("second")
    assert _write("first") == first


def test_only_what_rules_read_is_recorded():
    _write("text", "results/.plan/plan.json")
    _write("text", "results/demo/workspace/location.json")
    assert not Path("results/.plan/times/demo.json").exists()


def test_it_is_known_when_a_file_appeared():
    first = _age()
    _write("second")
    assert FileTimes("results").first(PLAN) == first
    FileTimes("results").forget([PLAN])
    assert FileTimes("results").first(PLAN) is None


def test_many_versions_keep_the_first_time():
    first = _age()
    for number in range(20):
        _write(str(number))
    assert FileTimes("results").first(PLAN) == first
    assert Path("results/.plan/times/demo.json").stat().st_size < 1000
