"""What a pilot does with jobs that are sent to it, in real worker processes; no cluster."""

import os
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from openhcs_core import __version__
from openhcs_core.errors import EXIT_STOPPED
from openhcs_core.runtime import RunLock
from openhcs_core.workers.messages import Task
from openhcs_core.workers.pilot import Pilot, PilotAnswer, PilotTask, facts
from openhcs_core.workers.policy import Need, WorkerLimits
from openhcs_core.workers.slurm_pilots import PilotFolder, sweep


@pytest.fixture
def pilot():
    with closing(Pilot(WorkerLimits(count=2))) as made:
        yield made


def _text(project, step, well, **environment):
    arguments = project.line(step, well).arguments
    folder = str(project.folder)
    task = Task(arguments=arguments, folder=folder, environment=environment, threads=1)
    return PilotTask(need=Need(well=(step, well)), task=task).model_dump_json()


def _begun(project):
    marker = project.folder / "begun"
    deadline = time.monotonic() + 60
    while not marker.exists() or not marker.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(marker.read_text())


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _in_background(pilot, key, text):
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(PilotAnswer.model_validate_json(pilot.do(key, text)))
    )
    thread.start()
    return thread, answers


def test_a_job_is_done_as_a_local_worker_does_it_once_an_attempt(project, pilot):
    answer = PilotAnswer.model_validate_json(pilot.do("k1", _text(project, "tell", "A01")))
    assert answer.outcome.exit_code == 0
    assert project.found("tell", "A01")["pid"] != str(os.getpid())
    again = PilotAnswer.model_validate_json(pilot.do("k1", _text(project, "tell", "A01")))
    assert (again.outcome, again.exit_code) == (None, EXIT_STOPPED)
    assert "already begun" in again.lost


def test_a_job_of_a_main_process_that_is_not_heard_of_ends_and_the_pilot_goes_on(project, pilot):
    thread, answers = _in_background(pilot, "k1", _text(project, "tell", "A02"))  # waits for 60 s
    pid = _begun(project)
    pilot.end_unseen(60)
    assert _is_alive(pid)
    pilot.end_unseen(0)
    thread.join(10)
    assert "SIGKILL" in answers[0].lost
    assert not _is_alive(pid)
    assert not (project.results / "manifests/tell/A02.json").exists()
    pilot.see()
    answer = PilotAnswer.model_validate_json(pilot.do("k2", _text(project, "tell", "A03")))
    assert answer.outcome.exit_code == 0


def test_a_pilot_that_closes_leaves_nothing_running_and_begins_nothing(project, pilot):
    thread, answers = _in_background(pilot, "k1", _text(project, "tell", "A02"))
    pid = _begun(project)
    pilot.close()
    assert not _is_alive(pid)
    thread.join(10)
    assert answers[0].outcome is None
    refused = PilotAnswer.model_validate_json(pilot.do("k2", _text(project, "tell", "A01")))
    assert "about to end" in refused.lost


def test_a_job_has_the_variables_of_its_node_and_those_of_its_run(project, pilot, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("OPENHCS_PILOT_STARTED", str(int(time.time()) - 100))
    pilot.do("k1", _text(project, "tell", "A01", OMP_NUM_THREADS="1"))
    assert project.found("tell", "A01")["devices"] == "3"
    found = facts()
    assert (found.version, found.gpus) == (__version__, ("3",))
    assert 100 <= found.age_s < 110


def test_folders_of_dead_runs_are_swept_and_those_of_live_ones_are_not(tmp_path):
    live = PilotFolder.create(tmp_path)
    dead = PilotFolder.create(tmp_path)
    dead.lock.close()  # as the kernel does
    assert live.path.stat().st_mode & 0o777 == 0o700
    assert sweep(tmp_path) == [dead.name]
    assert [path.name for path in tmp_path.iterdir()] == [live.name]
    with closing(RunLock(live.path / "lock")) as lock:
        assert not lock.take()
    live.close()
    assert sweep(tmp_path / "none") == []


def test_keys_are_the_users_alone_and_gone_when_the_run_ends(tmp_path):
    class Security:
        tls_worker_key, tls_ca_file = "key", "certificate"

    folder = PilotFolder.create(tmp_path)
    options = folder.write_keys(Security)
    paths = [Path(path) for path in options.values()]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    folder.close()
    assert not any(path.exists() for path in paths)
