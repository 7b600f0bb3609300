"""Jobs of a run that is dead, and those of the next one."""

import subprocess
import sys
from pathlib import Path

import pytest

from openhcs_core.errors import SupersededError
from openhcs_core.ground.turn import Turn
from openhcs_core.runtime import Job, RunLock, read_failure, recorded

HOLD = """
import sys, time
from pathlib import Path
from openhcs_core.ground.turn import Turn
with Turn(Path(sys.argv[1]), "B02"):
    print("held", flush=True)
    time.sleep(60)
"""


def _start_run(results):
    lock = RunLock(results / ".plan/lock")
    assert lock.take()
    lock.sign()
    lock.close()


def test_a_job_writes_nothing_when_another_run_has_started(tmp_path):
    _start_run(tmp_path)
    turn = Turn(tmp_path / "demo", "B02")
    with turn:
        turn.check()
        _start_run(tmp_path)
        with pytest.raises(SupersededError, match="another run started"):
            turn.check()
    with pytest.raises(SupersededError, match="nothing was written"), turn:
        pytest.fail("it was let in")
    with Turn(tmp_path / "demo", "B02"):
        pass  # what was refused did not keep the place


def test_compiling_or_looking_disturbs_no_job(tmp_path):
    _start_run(tmp_path)
    turn = Turn(tmp_path / "demo", "B02")
    RunLock(tmp_path / ".plan/lock").close()
    with turn:
        turn.check()


def test_jobs_without_any_run_and_those_whose_lock_was_removed_go_on(tmp_path):
    with Turn(tmp_path / "demo", "B02"):
        pass
    _start_run(tmp_path)
    turn = Turn(tmp_path / "demo", "B02")
    (tmp_path / ".plan/lock").unlink()
    with turn:
        pass


def test_one_job_at_a_time_writes_a_well_until_it_is_killed(tmp_path):
    plate_dir = tmp_path / "demo"
    command = [sys.executable, "-c", HOLD, str(plate_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"held\n"
        with Turn(plate_dir, "B03"):
            pass
        held = RunLock(plate_dir.parent / ".plan/locks" / plate_dir.name / "B02")
        assert not held.take()
        held.close()
        child.kill()
        child.wait()
    with Turn(plate_dir, "B02"):
        pass


def test_being_superseded_is_no_failure_of_the_well(tmp_path):
    job = Job(Path(tmp_path), "count")
    with pytest.raises(SupersededError), recorded(job, "B02"):
        raise SupersededError("another run started")
    assert read_failure(tmp_path, "count", "B02") is None
