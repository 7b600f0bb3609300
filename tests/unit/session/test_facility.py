"""Many plates by one command: what it is asked for, and what comes of a plate."""

import os
from pathlib import Path

import pytest

from openhcs_core.cli.main import main
from openhcs_core.plan import plate_lock
from openhcs_core.runtime import RunLock
from openhcs_core.session.facility.checks import CheckedPlate, check_plate
from openhcs_core.session.facility.outcomes import ChildOutcome, dry_outcome, read_outcome
from openhcs_core.session.run_claim import is_signed_by
from openhcs_core.session.snakemake_arguments import find_snakefile
from openhcs_core.testing.plates import write_imagexpress_plate

LOOP = "loop"
"""A link to itself: the folder cannot be listed, as of a share that is away."""


@pytest.fixture
def unreachable(tmp_path, monkeypatch):
    """A config whose plate cannot be looked at."""
    monkeypatch.chdir(tmp_path)
    Path(LOOP).symlink_to(LOOP)
    Path("config.yaml").write_text(f"plates: {{a: {{path: {LOOP}}}}}\npipeline: p.yaml\n")
    Path("p.yaml").write_text("steps: [{name: s, func: skimage:filters.gaussian}]\n")
    return "config.yaml"


@pytest.mark.parametrize(
    ("code", "told", "state", "exit_code"),
    [
        (0, {"is_part": True}, "partly done", 0),
        (1, {"is_part": True}, "failed", 1),
        (0, {}, "failed", 1),
        (0, {"found_nothing": True}, "done", 0),
        (1, {"found_nothing": True}, "failed", 1),
        (0, {"found_nothing": True, "is_part": True}, "partly done", 0),
    ],
)
def test_what_snakemake_was_asked_for_and_found_counts(
    tmp_path, monkeypatch, code, told, state, exit_code
):
    monkeypatch.chdir(tmp_path)
    write_imagexpress_plate(Path("plate"), [1])
    Path("config.yaml").write_text("plates: {a: {path: plate}}\npipeline: p.yaml\n")
    Path("p.yaml").write_text("steps: [{name: s, func: skimage:filters.gaussian}]\n")
    child = ChildOutcome(code, 1.0, "log", is_of_one=True, **told)
    outcome = read_outcome("config.yaml", CheckedPlate("a", wells=1), child)
    assert (outcome.state, outcome.exit_code) == (state, exit_code)
    assert (outcome.wells, outcome.wells_done) == (1, 0)
    assert (outcome.reason == "") == (exit_code == 0)


def test_a_dry_run_that_does_not_say_how_many_jobs_there_are_is_not_taken_for_none(tmp_path):
    log = tmp_path / "log"
    child = ChildOutcome(0, 1.0, str(log), is_of_one=True)
    jobs = []
    for said in (
        "job  count\na  2\nall  1\ntotal  3\n",
        "Nothing to be done (all is there).\n",
        "",
    ):
        log.write_text(said)
        jobs.append(dry_outcome([CheckedPlate("a")], child, 0).jobs)
    assert jobs == [2, 0, None]


def test_a_plate_that_goes_away_during_its_run_is_broken_and_stops_no_other(unreachable):
    assert check_plate(unreachable, "a").error is not None
    child = ChildOutcome(code=1, wall_s=1.0, log="log", is_of_one=True)
    outcome = read_outcome(unreachable, CheckedPlate("a", wells=1), child)
    assert (outcome.state, outcome.exit_code) == ("broken", 3)
    assert LOOP in outcome.reason


def test_it_is_known_which_process_was_the_last_to_run_a_plate(tmp_path):
    assert not is_signed_by(tmp_path, "a", os.getpid())
    lock = RunLock(tmp_path / plate_lock("a"))
    lock.sign()
    lock.close()
    assert is_signed_by(tmp_path, "a", os.getpid())
    assert not is_signed_by(tmp_path, "a", 1)


def test_a_snakefile_that_is_not_there_is_named_with_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Path(find_snakefile(None)).is_file(), "the one that comes with this software"
    Path("Snakefile").touch()
    assert find_snakefile(None) == "Snakefile"


def test_the_status_of_a_plate_can_be_asked_for_whatever_is_wrong_with_others(unreachable, capsys):
    write_imagexpress_plate(Path("plate"), [1])
    text = Path(unreachable).read_text()
    two = text.replace(f"{{path: {LOOP}}}", "{path: gone}, b: {path: plate}")
    Path(unreachable).write_text(two)
    assert main(["status", "--config", unreachable]) == 2
    assert main(["status", "--config", unreachable, "--plate", "b"]) == 0
    assert "plate b: 1 wells: 1 not run" in capsys.readouterr().out
