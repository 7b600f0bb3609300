"""``openhcs-core run -- --profile slurm``: a snakemake a plate, their jobs side by side."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ARGUMENTS = ("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10")


def _command(*options):
    run = [sys.executable, "-m", "openhcs_core", "run", "--snakefile", str(ROOT / "Snakefile")]
    return [*run, *options, "--", "--profile", str(ROOT / "profiles/slurm"), *_ARGUMENTS]


def _states(project):
    with (project.results / "plates.csv").open(newline="") as stream:
        return {row["plate"]: row["state"] for row in csv.DictReader(stream)}


def _run(project, *options):
    return subprocess.run(
        _command(*options),
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_plates_side_by_side_give_what_a_local_run_gives(new_project):
    plates = ("one", "two", "three")
    project = new_project(plates=plates)
    project.configure("  gone: {path: gone}\nexecution: {granularity: fused, wells_per_job: 2}\n")
    run = _run(project, "--at-once", "3")
    assert "3 of 4 plates done" in run.stdout, run.stdout + run.stderr
    assert run.returncode == 2
    assert _states(project) == {**dict.fromkeys(plates, "done"), "gone": "broken"}
    local = new_project("local", plates=plates)
    local.done("--executor", "openhcs", local=True)
    assert project.committed() == local.committed()


def test_when_it_is_stopped_its_jobs_leave_the_queue_and_those_of_others_stay(new_project, until):
    project = new_project(plates=("one", "two"))
    other = project.cluster.call("sbatch", "--parsable", "--hold", "--wrap", "sleep 60").strip()
    with (project.folder / "main.log").open("w") as log:
        process = subprocess.Popen(
            _command("--at-once", "2", "--max-jobs", "0"),
            cwd=project.folder,
            env=project.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    until(lambda: len(project.queue("PENDING,RUNNING")) > 2, 120, project.log)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(120) == 130
    until(lambda: len(project.queue("PENDING,RUNNING,COMPLETING")) == 1, 60)
    assert project.queue("PENDING", "%i") == [other]
    run = _run(project, "--at-once", "2", "--max-jobs", "0")
    assert run.returncode == 0, run.stdout + run.stderr
    assert _states(project) == {"one": "done", "two": "done"}
