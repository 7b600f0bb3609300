"""What goes wrong on a cluster: wells, memory, time, nodes, jobs, controller, main process."""

import csv
import re

import pytest

pytestmark = pytest.mark.thorough

FUNCTIONS = '''"""Functions that wait for a file to go, fail, or need much memory."""

import time
from pathlib import Path

import numpy as np

from openhcs_core.memory import numpy
from openhcs_core.pipeline import ProcessingContract, processing_contract

HERE = Path(__file__).parent


def called(name):
    with (HERE / f"{name}.calls").open("a") as stream:
        stream.write("x")
    return len((HERE / f"{name}.calls").read_text())


@numpy
@processing_contract(ProcessingContract.BATCH_2D)
def wait(image_stack, value=1):
    called("wait")
    while (HERE / "hold").exists():
        time.sleep(0.1)
    return image_stack + value


@numpy
@processing_contract(ProcessingContract.BATCH_2D)
def refuse(image_stack):
    called("refuse")
    raise ValueError("this well cannot be done")


@numpy
@processing_contract(ProcessingContract.BATCH_2D)
def hungry(image_stack):
    called("hungry")
    held = np.ones(450 * 2**17)
    time.sleep(4)
    return image_stack + held[:1].astype(image_stack.dtype)


@numpy
@processing_contract(ProcessingContract.BATCH_2D)
def late(image_stack):
    if called("late") == 1:
        time.sleep(600)
    return image_stack
'''


def _project(new_project, steps, folder="project", columns=(1, 2, 3)):
    project = new_project(folder, columns=columns)
    project.write("mine.py", FUNCTIONS)
    project.configure("functions: [mine.py]\n")
    project.write("config/pipeline.yaml", f"steps:\n{steps}")
    return project


def _calls(project, name):
    file = project.folder / f"{name}.calls"
    return len(file.read_text()) if file.exists() else 0


def test_memory_is_raised_and_what_fails_for_good_is_computed_once(new_project):
    steps = (
        "  - name: work\n    group_by: well\n    variable_components: [site]\n"
        "    func: {A01: 'mine:wait', A02: 'mine:refuse', A03: 'mine:hungry'}\n"
        "    resources: {mem_mb: 100}\n"
    )
    project = _project(new_project, steps)
    code, output = project.snakemake()
    assert code == 1, output
    with (project.results / "one/status.csv").open() as stream:
        states = {row["well"]: row for row in csv.DictReader(stream)}
    assert "this well cannot be done" in states["A02"]["reason"]
    done = (project.results / "one/manifests/work").glob("*.json")
    assert sorted(path.stem for path in done) == ["A01", "A03"]
    assert _calls(project, "refuse") == 1
    # 100, 200 and 400 MB, and 400 for Snakemake: the third is enough
    asked = re.findall(r"column=03.*?mem_mb=(\d+)", output, flags=re.DOTALL)
    assert asked == ["500", "600", "800"]
    assert _calls(project, "hungry") == 3


def test_a_job_that_runs_out_of_time_gets_more(new_project):
    steps = "  - {name: work, func: 'mine:late', resources: {runtime: 1}}\n"
    project = _project(new_project, steps, columns=(1,))
    output = project.done()
    assert "SLURM status is: 'TIMEOUT'" in output
    assert "runtime=2" in output
    assert (project.results / "one/manifests/work/A01.json").exists()


def test_a_node_drains_a_job_is_cancelled_and_the_controller_restarts(new_project, until, cluster):
    steps = "  - {name: work, func: 'mine:wait', resources: {mem_mb: 200}}\n"
    project = _project(new_project, steps, columns=(1, 2, 3, 4))
    project.write("hold", "")
    main = project.start()
    until(lambda: _calls(project, "wait") >= 4, 180, project.log)
    running = [line.split() for line in project.queue("RUNNING", "%i %N")]
    assert len(running) == 4
    try:
        cluster.call("scontrol", "update", "NodeName=n2", "State=DRAIN", "Reason=test")
        cluster.call("scancel", running[0][0])
        cluster.stop("slurmctld")
        cluster.start("slurmctld")
        # the cancelled job comes again, on the node that takes jobs
        until(lambda: _calls(project, "wait") >= 5, 180, project.log)
        now = dict(line.split() for line in project.queue("RUNNING", "%i %N"))
        assert [node for job, node in now.items() if job not in dict(running)] == ["n1"]
        (project.folder / "hold").unlink()
        assert main.wait(300) == 0, project.log()
    finally:
        cluster.call("scontrol", "update", "NodeName=n2", "State=RESUME")
    local = _project(new_project, steps, "local", columns=(1, 2, 3, 4))
    local.done("--executor", "openhcs", local=True)
    assert project.committed() == local.committed()


def test_a_killed_run_is_resumed_with_an_edit_while_its_jobs_still_run(new_project, until, kill):
    steps = "  - {name: work, func: {'mine:wait': {value: 1}}, resources: {mem_mb: 200}}\n"
    project = _project(new_project, steps)
    project.write("hold", "")
    main = project.start()
    until(lambda: _calls(project, "wait") >= 3, 180, project.log)
    kill(main)
    orphans = {line.split()[0] for line in project.queue("RUNNING")}
    assert len(orphans) == 3

    project.edit("config/pipeline.yaml", "value: 1", "value: 2")
    again = project.start()
    until(
        lambda: "cancelling 3 Slurm jobs that an earlier run left" in project.log(),
        120,
        project.log,
    )
    until(lambda: _calls(project, "wait") >= 6, 180, project.log)
    states = dict(line.split() for line in project.queue())
    assert {states[job] for job in orphans} == {"CANCELLED"}
    (project.folder / "hold").unlink()
    assert again.wait(300) == 0, project.log()
    assert project.done("-n").count("Nothing to be done") == 1
    assert (project.results / ".plan/cluster_jobs").read_text() == ""

    local = _project(new_project, steps.replace("value: 1", "value: 2"), "local")
    local.done("--executor", "openhcs", local=True)
    assert project.committed() == local.committed()
