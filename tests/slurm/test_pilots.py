"""``snakemake --profile slurm-warm``: warm workers in Slurm jobs that stay."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys

import psutil
import pytest

MODULE = '''"""A function that tells where it is, and does what a well is there for."""

import json
import os
import signal
import time
from pathlib import Path

from openhcs_core.memory import numpy


@numpy
def act(image_stack, wait_s: float = 0.0, mode: str = ""):
    """Tell, wait, act."""
    first = not (Path("told") / (mode or "none")).exists()
    names = ("OPENHCS_GIVEN_GPUS", "SLURM_JOB_ID", "SLURM_CPUS_PER_TASK", "OMP_NUM_THREADS")
    told = {name: os.environ.get(name) for name in names}
    told |= {"pid": os.getpid(), "cwd": os.getcwd(), "mode": mode}
    Path("told").mkdir(exist_ok=True)
    Path(f"told/{time.time_ns()}.json").write_text(json.dumps(told))
    (Path("told") / (mode or "none")).touch()
    if mode == "crash once" and first:
        os.kill(os.getpid(), signal.SIGSEGV)
    if mode != "wait once" or first:
        time.sleep(wait_s)
    while mode == "hold" and not Path("told/go").exists():
        time.sleep(0.05)
    return image_stack
'''
PIPELINE = """steps:
  - {name: act, func: {mine:act: {wait_s: 0.0}}}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 20}}}
"""
OVERRIDE = (
    "overrides:\n  - {{wells: [A01], set: {{act: {{mine:act: {{mode: {}, wait_s: {}}}}}}}}}\n"
)
# one machine plays all nodes: its loopback is the network
GPUS = "CUDA_VISIBLE_DEVICES="  # as a function of the CPU finds what its job was given
HERE = ("--cores", "4", "--openhcs-pilot-interface", "lo", "--latency-wait", "10")


def _told(project):
    """What the jobs told, in their order."""
    return [json.loads(path.read_text()) for path in sorted(project.folder.glob("told/*.json"))]


def _has_begun(project, run, mode):
    """Whether a job of a run does what it is to be disturbed at."""
    assert run.poll() is None, project.log()
    return (project.folder / "told" / mode).exists()


def _pilot_folders(project):
    return sorted((project.folder / ".snakemake/openhcs-pilots").glob("openhcs-pilots-*"))


@pytest.fixture
def warm_project(new_project):
    def make(folder="warm", override=None, **how):
        project = new_project(folder, profile="slurm-warm", options=HERE, **how)
        project.write("workflow/functions/mine.py", MODULE)
        project.configure("functions: [workflow/functions/mine.py]\n")
        project.write("config/pipeline.yaml", PIPELINE)
        if override:
            project.write("config/pipeline.yaml", PIPELINE + OVERRIDE.format(*override))
        return project

    return make


def _listening(pids):
    return {
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }


def _pilot_processes(folder):
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "distributed.cli.dask_worker" in words and any(folder.name in word for word in words):
            found.append(process.pid)
    return found


def _names(project, pattern):
    return sorted(
        path.relative_to(project.results) for path in project.results.glob(f"*/{pattern}")
    )


def _answers_without_key(address):
    """Whether a scheduler or pilot says anything to someone who has no key of the run."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(address, timeout=3) as plain:
        try:
            with context.wrap_socket(plain) as tls:
                return tls.recv(1) != b""
        except (ssl.SSLError, ConnectionError, TimeoutError):
            return False


def test_pilots_give_what_a_local_run_gives(warm_project, until):
    project = warm_project(override=("hold", 0), columns=(1, 2, 3))
    local = warm_project("local", override=("hold", 0), columns=(1, 2, 3))
    size = ("--openhcs-pilots", "1", "--openhcs-gpu-pilots", "2")
    run = project.start("--set-resources", "act:gpu=1", *size)
    keys = until(
        lambda: list(project.folder.glob(".snakemake/openhcs-pilots/*/key.pem")),
        180,
        message=project.log,
    )
    folder = keys[0].parent
    assert keys[0].stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    pilots = until(lambda: _pilot_processes(folder))
    assert until(lambda: _listening([run.pid, *pilots])) == {"127.0.0.1"}
    for connection in psutil.Process(run.pid).net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN:
            assert not _answers_without_key(connection.laddr)
    for held in (project, local):
        held.write("told/go", "")
    assert run.wait() == 0, project.log()
    local.done("--executor", "openhcs", local=True)
    assert project.committed() == local.committed()
    assert len(project.committed()) > 10
    assert "Warm workers: " in project.log()
    assert "0 lost" in project.log()
    for record in ("logs/*/*.log", "benchmarks/*/*.tsv"):
        assert _names(project, record) == _names(local, record) != []
    told = _told(project)
    assert {told["OPENHCS_GIVEN_GPUS"] for told in told} <= {GPUS + "0", GPUS + "1"}
    assert None not in {told["SLURM_JOB_ID"] for told in told}
    assert project.queue("PD,R") == []
    assert not keys[0].exists()


@pytest.mark.thorough
def test_a_pilot_that_is_lost_fails_its_job_once(warm_project, until):
    project = warm_project(override=("wait once", 60))
    local = warm_project("local", override=("wait once", 0))
    run = project.start("--retries", "1")
    until(lambda: _has_begun(project, run, "wait once"), 180, message=project.log)
    told = next(told for told in _told(project) if told["mode"])
    project.cluster.call("scancel", told["SLURM_JOB_ID"])
    assert run.wait() == 0, project.log()
    assert "ended while it did the job" in project.log()
    assert project.log().count("Trying to restart job") == 1
    assert [told["mode"] for told in _told(project)].count("wait once") == 2
    local.done(local=True)
    manifest = "one/manifests/count/A01.json"
    assert project.committed()[manifest] == local.committed()[manifest]


@pytest.mark.thorough
def test_a_crash_leaves_the_pilot_alone(warm_project):
    project = warm_project(override=("crash once", 0))
    output = project.done("--retries", "1", "--openhcs-pilots", "1")
    assert "SIGSEGV" in output
    assert "in 1 pilots (0 replaced, 0 lost)" in output
    assert len({told["SLURM_JOB_ID"] for told in _told(project)}) == 1


@pytest.mark.thorough
def test_a_main_process_that_is_killed_leaves_nothing_behind(warm_project, until, kill):
    project = warm_project(override=("wait", 20))
    # the second pilot does not fit beside the first, and waits for a node
    size = ("--openhcs-pilots", "2", "--openhcs-pilot-mem-mb", "15000")
    full = ("--openhcs-pilot-options=--nodelist=n1",)
    run = project.start(*size, *full)
    until(lambda: _has_begun(project, run, "wait"), 180, message=project.log)
    until(lambda: any("PENDING" in line for line in project.queue("PD")))
    (folder,) = _pilot_folders(project)
    pid = next(told["pid"] for told in _told(project) if told["mode"])
    kill(run)
    until(lambda: not psutil.pid_exists(pid), 5, "the job lives on")
    until(lambda: not _pilot_processes(folder), 15, "the pilot lives on")
    assert not (project.results / "one/manifests/act/A01.json").exists()
    project.edit("config/pipeline.yaml", "wait_s: 20", "wait_s: 0")
    project.done()
    assert folder not in _pilot_folders(project)  # swept, with its key
    assert project.queue("PD,R", "%j") == []
    assert (project.results / "one/manifests/count/A01.json").exists()


@pytest.mark.thorough
def test_pilots_go_on_while_slurm_does_not_answer(warm_project, until):
    project = warm_project(override=("wait", 10))
    run = project.start("--openhcs-pilots", "2")
    until(lambda: _has_begun(project, run, "wait"), 180, message=project.log)
    project.cluster.stop("slurmctld")
    try:
        assert run.wait() == 0, project.log()
    finally:
        project.cluster.start("slurmctld")
    assert "could not be cancelled" in project.log()
    assert "0 lost" in project.log()
    until(lambda: project.queue("PD,R") == [], 60)  # they ended by themselves


@pytest.mark.thorough
def test_ctrl_c_ends_jobs_and_pilots(warm_project, until):
    project = warm_project(override=("wait", 60))
    run = project.start()
    until(lambda: _has_begun(project, run, "wait"), 180, message=project.log)
    pid = next(told["pid"] for told in _told(project) if told["mode"])
    os.kill(run.pid, signal.SIGINT)
    assert run.wait(30) != 0
    assert not psutil.pid_exists(pid)
    until(lambda: project.queue("PD,R") == [], 10)
    assert "defect" not in project.log()
    assert "Traceback" not in project.log()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (("--openhcs-pilot-partition", "nowhere"), "sbatch refuses a pilot: sbatch: error"),
        (("--openhcs-pilot-setup", "echo no module; exit 1"), "no module"),
        (("--openhcs-pilot-options=--begin=now+1hour", "--openhcs-pilot-wait", "5"), "PENDING"),
    ],
)
def test_pilots_that_never_come_are_told(warm_project, setting, message):
    project = warm_project(columns=(1,))
    code, output = project.snakemake("--retries", "0", *setting)
    assert code == 1
    assert message in output
    assert "Traceback" not in output
    assert project.queue("PD,R") == []


@pytest.mark.thorough
def test_no_job_is_begun_that_the_time_of_its_pilot_would_cut_off(warm_project):
    project = warm_project(columns=(1,))
    # the first pilot says that it began 100 s ago, of 180
    old = "mkdir old 2>/dev/null && export OPENHCS_PILOT_STARTED=$(( $(date +%s) - 100 ))"
    setup = ("--openhcs-pilot-setup", f"{old} || true")
    runtime = ("--set-resources", "act:runtime=1", "count:runtime=1")
    output = project.done("--openhcs-pilots", "1", "--openhcs-pilot-minutes", "3", *setup, *runtime)
    assert "in 2 pilots (0 replaced, 0 lost)" in output
    (told,) = _told(project)
    (folder,) = _pilot_folders(project)  # called as its pilots
    pilots = project.cluster.call(
        *("squeue", "-h", "--states=all", "--name", folder.name, "-o", "%i")
    ).split()
    assert len(pilots) == 2
    assert told["SLURM_JOB_ID"] == max(pilots, key=int)


@pytest.mark.thorough
def test_jobs_with_more_threads_and_gpus_get_pilots_of_their_size(warm_project):
    project = warm_project(columns=(1,))
    project.done("--set-threads", "act=3", "--set-resources", "act:gpu=2")
    (told,) = _told(project)
    assert (told["SLURM_CPUS_PER_TASK"], told["OMP_NUM_THREADS"]) == ("3", "3")
    assert told["OPENHCS_GIVEN_GPUS"] == GPUS + "0,1"


@pytest.mark.thorough
def test_a_main_process_in_a_slurm_job_gives_pilots_what_they_ask_for(warm_project, until):
    project = warm_project(columns=(1,))
    script = (
        "#!/bin/bash\n" + " ".join(f"'{word}'" for word in project.command()) + " > main.log 2>&1"
    )
    project.write("main.sh", script)
    subprocess.run(
        ["sbatch", "--cpus-per-task=2", "--gpus=1", "--mem=5000", "--wait", "main.sh"],
        cwd=project.folder,
        env=project.environment,
        check=True,
    )
    (told,) = _told(project)
    assert told["SLURM_CPUS_PER_TASK"] == "1"
    assert told["OPENHCS_GIVEN_GPUS"] == "unset"
    assert "Warm workers: " in project.log()


@pytest.fixture
def dask_cluster(tmp_path, until):
    """A scheduler and two workers that others have started: its address, and their processes."""
    started = []

    def start(kind, *arguments):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments]
        with (tmp_path / f"{kind}.log").open("a") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path))
        return started[-1]

    file = tmp_path / "scheduler.json"
    here = ("--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard")
    scheduler = ("--dashboard-address", "127.0.0.1:0", "--port", "0")
    start("scheduler", *here, *scheduler)
    address = until(lambda: file.exists() and json.loads(file.read_text())["address"])
    workers = [start("worker", *here, "--no-nanny", "--nthreads", "2") for _ in range(2)]
    yield address, workers
    for process in started:
        process.kill()
        process.wait()


def _on(address):
    return ("--openhcs-scheduler", address, "--openhcs-pilots", "0", "--openhcs-gpu-pilots", "0")


@pytest.mark.thorough
def test_workers_of_another_dask_cluster_do_jobs_and_may_be_lost(warm_project, dask_cluster, until):
    address, workers = dask_cluster
    project = warm_project(columns=(1, 2, 3), override=("wait once", 60))
    local = warm_project("local", columns=(1, 2, 3), override=("wait once", 0))
    run = project.start("--retries", "1", *_on(address))
    until(lambda: _has_begun(project, run, "wait once"), 180, message=project.log)
    told = next(told for told in _told(project) if told["mode"])
    lost = psutil.Process(told["pid"]).ppid()
    next(worker for worker in workers if worker.pid == lost).kill()
    assert run.wait() == 0, project.log()
    assert project.log().count("ended while it did the job") == 1
    assert "1 lost" in project.log()
    assert [told["mode"] for told in _told(project)].count("wait once") == 2
    local.done("--executor", "openhcs", local=True)
    steps = "one/manifests/count"
    found, wanted = project.committed(), local.committed()
    assert {name: found[name] for name in found if name.startswith(steps)} == {
        name: wanted[name] for name in wanted if name.startswith(steps)
    }


@pytest.mark.thorough
def test_another_dask_cluster_ends_jobs_of_a_main_process_that_is_killed(
    warm_project, dask_cluster, until, kill
):
    address, _ = dask_cluster
    project = warm_project(override=("wait", 60))
    run = project.start(*_on(address))
    until(lambda: _has_begun(project, run, "wait"), 180, message=project.log)
    pid = next(told["pid"] for told in _told(project) if told["mode"])
    kill(run)
    until(lambda: not psutil.pid_exists(pid), 90, "the job lives on")
    assert not (project.results / "one/manifests/act/A01.json").exists()
    project.edit("config/pipeline.yaml", "wait_s: 60", "wait_s: 0")
    assert "in 2 pilots" in project.done(*_on(address))


@pytest.mark.thorough
def test_a_scheduler_that_is_not_there_is_told(warm_project):
    project = warm_project(columns=(1,))
    code, output = project.snakemake("--retries", "0", *_on("tcp://127.0.0.1:9"))
    assert code == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in output
