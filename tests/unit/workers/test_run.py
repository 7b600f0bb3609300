"""Jobs in real worker processes."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from openhcs_core.errors import EXIT_TOO_LONG, WorkerLostError
from openhcs_core.workers import JobTerms, WarmRun, WorkerLimits

ORPHAN = """
import sys
from openhcs_core.workers import JobTerms, WarmRun, WorkerLimits, read_step_line
WarmRun(WorkerLimits()).do(read_step_line(sys.argv[1]), JobTerms())
"""


@pytest.fixture
def warm():
    with closing(WarmRun(WorkerLimits(count=2))) as run:
        yield run


def test_one_process_does_jobs_in_turn_with_the_threads_that_each_has(project, warm):
    for well, threads in (("A01", 2), ("A03", 1)):
        outcome = warm.do(project.line("tell", well), JobTerms(threads=threads))
        assert outcome.exit_code == 0
    first, second = project.found("tell", "A01"), project.found("tell", "A03")
    assert first["pid"] == second["pid"] != str(os.getpid())
    assert (first["threads"], second["threads"]) == (str(min(2, os.cpu_count())), "1")


def test_the_next_step_reads_the_memory_of_the_worker_and_not_the_disk(project, warm):
    warm.do(project.line("tell", "A01"), JobTerms())
    for file in (project.folder / "results/.cache/objects").rglob("*.npy"):
        file.unlink()
    outcome = warm.do(project.line("after", "A01"), JobTerms())
    assert (outcome.exit_code, outcome.planes_held, outcome.planes_read) == (0, 2, 0)
    assert outcome.bytes_held == 2 * 64 * 64 * 2
    assert "recomputing" not in project.line("after", "A01").log.read_text()
    assert "2 of 2 images of earlier steps were in memory" in str(warm.close())


def test_a_job_whose_equal_was_done_needs_no_worker(project):
    line = project.line("tell", "A01")
    with closing(WarmRun(WorkerLimits())) as warm:
        warm.do(line, JobTerms())
    manifest = project.results / "manifests/tell/A01.json"
    content = manifest.read_bytes()
    manifest.unlink()
    with closing(WarmRun(WorkerLimits())) as warm:
        outcome = warm.do(line, JobTerms())
        assert (outcome.exit_code, manifest.read_bytes()) == (0, content)
        assert "taken from the cache" in line.log.read_text()
        summary = warm.close()
    assert (summary.jobs, summary.started, summary.put_back) == (0, 0, 1)
    assert str(summary).endswith("; 1 more put back what an equal job gave, without one.")


def test_a_worker_that_may_hold_nothing_reads_the_disk(project):
    with closing(WarmRun(WorkerLimits(held_mb=0))) as warm:
        warm.do(project.line("tell", "A01"), JobTerms())
        outcome = warm.do(project.line("after", "A01"), JobTerms())
    assert (outcome.exit_code, outcome.planes_held, outcome.planes_read) == (0, 0, 2)


def test_a_job_that_takes_too_long_is_stopped_and_says_so(project, warm):
    with pytest.raises(WorkerLostError, match=r"longer than the 0\.1 min") as error:
        warm.do(project.line("tell", "A02"), JobTerms(runtime_min=0.1))
    assert error.value.exit_code == EXIT_TOO_LONG
    failure = json.loads((project.results / "logs/tell/A02.failure.json").read_text())
    assert failure["exit_code"] == EXIT_TOO_LONG
    assert "resources.runtime" in failure["message"]
    assert not (project.results / "manifests/tell/A02.json").exists()
    assert warm.do(project.line("tell", "A01"), JobTerms()).exit_code == 0
    assert warm.close().lost == 1


def test_a_worker_killed_while_it_waits_fails_no_job(project, warm):
    warm.do(project.line("tell", "A01"), JobTerms())
    pid = int(project.found("tell", "A01")["pid"])
    os.kill(pid, signal.SIGKILL)
    assert warm.do(project.line("tell", "A03"), JobTerms()).exit_code == 0
    assert (warm.close().started, warm.close().lost) == (2, 1)


def test_a_worker_is_replaced_after_so_many_jobs(project):
    with closing(WarmRun(WorkerLimits(jobs=1))) as warm:
        warm.do(project.line("tell", "A01"), JobTerms())
        warm.do(project.line("tell", "A03"), JobTerms())
        assert (warm.close().started, warm.close().recycled) == (2, 2)
    assert project.found("tell", "A01")["pid"] != project.found("tell", "A03")["pid"]


def test_workers_of_a_killed_main_process_end_and_commit_nothing(project):
    begun = project.folder / "begun"
    line = "openhcs-core " + " ".join(project.line("tell", "A02").arguments)
    main = subprocess.Popen([sys.executable, "-c", ORPHAN, line])
    worker = int(_wait_for(begun))
    main.kill()
    main.wait()
    deadline = time.monotonic() + 10
    while _is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not (project.results / "manifests/tell/A02.json").exists()


def test_torch_has_a_worker_of_its_own_with_the_threads_of_the_job(project):
    pytest.importorskip("torch")
    with closing(WarmRun(WorkerLimits(count=3))) as warm:
        warm.do(project.line("tell", "A01"), JobTerms())
        outcome = warm.do(project.line("torch", "A01"), JobTerms(threads=2))
        assert (outcome.exit_code, outcome.frameworks) == (0, ("torch",))
        warm.do(project.line("torch", "A03"), JobTerms(threads=1))
        found = [project.found("torch", well) for well in ("A01", "A03")]
        assert found[0]["pid"] == found[1]["pid"] != project.found("tell", "A01")["pid"]
        assert [row["threads"] for row in found] == ["2", "1"]
        warm.do(project.line("changes", "A01"), JobTerms())
        assert warm.close().recycled == 1  # it changed a setting


def test_a_worker_for_gpu_jobs_sees_its_device_alone(project):
    with closing(WarmRun(WorkerLimits(gpus=("5", "6")))) as warm:
        warm.do(project.line("tell", "A01"), JobTerms(gpus=1))
        assert project.found("tell", "A01")["devices"] == "5"
        warm.do(project.line("tell", "A03"), JobTerms())
        assert project.found("tell", "A03")["devices"] != "5"
        assert "jobs had the GPUs" in str(warm.close())


@pytest.mark.thorough
def test_a_step_that_loads_a_library_by_itself_gets_workers_that_have_it(project, warm):
    pytest.importorskip("torch")
    warm.do(project.line("tell", "A01"), JobTerms())
    first = warm.do(project.line("more", "A01"), JobTerms())
    assert first.frameworks == ("torch",)
    warm.do(project.line("tell", "A03"), JobTerms())
    warm.do(project.line("more", "A03"), JobTerms())
    warm.do(project.line("torch", "A03"), JobTerms())
    pids = {step: project.found(step, "A03")["pid"] for step in ("tell", "torch", "more")}
    assert project.found("tell", "A01")["pid"] == pids["more"] == pids["torch"] != pids["tell"]


def _wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return path.read_text()


def _is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
