"""Many plates by one command: what it is asked for, and what comes of a plate."""

import os
from pathlib import Path

import pytest

from openhcs_core.cli.main import main
from openhcs_core.plan import plate_lock
from openhcs_core.runtime import RunLock
from openhcs_core.session.child_runs import find_snakefile
from openhcs_core.session.facility import asks_for_dry_run
from openhcs_core.session.facility.checks import CheckedPlate, check_plate
from openhcs_core.session.facility.outcomes import ChildOutcome, read_outcome
from openhcs_core.session.run_claim import is_signed_by
from openhcs_core.testing.plates import write_imagexpress_plate

TOO_LONG = "x" * 300
"""A folder that no file system can be asked for."""


@pytest.fixture
def unreachable(tmp_path, monkeypatch):
    """A config whose plate cannot be looked at."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(f"plates: {{a: {{path: {TOO_LONG}}}}}\npipeline: p.yaml\n")
    Path("p.yaml").write_text("steps: [{name: s, func: skimage:filters.gaussian}]\n")
    return "config.yaml"


@pytest.mark.parametrize("argument", ["-n", "-np", "-pn", "-nq", "--dry-run", "--dryrun", "--dry"])
def test_every_way_to_ask_for_a_dry_run_is_known(argument):
    assert asks_for_dry_run(["--profile", "slurm", argument])


def test_other_arguments_ask_for_a_run():
    assert not asks_for_dry_run(["-p", "-k", "-j4", "--nolock", "--until", "n"])


def test_a_plate_that_goes_away_during_its_run_is_broken_and_stops_no_other(unreachable):
    assert check_plate(unreachable, "a").error is not None
    child = ChildOutcome(code=1, wall_s=1.0, log="log", is_of_one=True)
    outcome = read_outcome(unreachable, CheckedPlate("a", wells=1), child)
    assert (outcome.state, outcome.exit_code) == ("broken", 3)
    assert TOO_LONG in outcome.reason


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
    two = text.replace(f"{{path: {TOO_LONG}}}", "{path: gone}, b: {path: plate}")
    Path(unreachable).write_text(two)
    assert main(["status", "--config", unreachable]) == 2
    assert main(["status", "--config", unreachable, "--plate", "b"]) == 0
    assert "plate b: 1 wells: 1 not run" in capsys.readouterr().out
