"""Many plates by one command, each by a real snakemake of its own."""

import csv
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from openhcs_core.testing.plates import image_path, write_imagexpress_plate

ROOT = Path(__file__).parents[2]
PIPELINE = "steps:\n  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 5}}}\n"
SLOW = """
import time
from pathlib import Path
from openhcs_core.memory import numpy


@numpy
def slow(image):
    Path("began").touch()
    time.sleep(0 if Path("quick").exists() else 600)
    return image + 1
"""


@pytest.fixture
def facility(tmp_path, project_type):
    """A project whose plates stand in a table: `good` ones and what else is asked for."""
    project = project_type(tmp_path / "facility")

    def make(good, others=""):
        rows = [f"{name}\tplates/{name}\n" for name in good]
        for name in good:
            write_imagexpress_plate(project.folder / "plates" / name, [1])
        project.write("config/config.yaml", "plates: config/plates.tsv\n")
        project.write("config/plates.tsv", "plate\tpath\n" + "".join(rows) + others)
        project.write("config/pipeline.yaml", PIPELINE)
        return project

    return make


def _command(*arguments):
    run = [sys.executable, "-m", "openhcs_core", "run", "--snakefile", str(ROOT / "Snakefile")]
    return [*run, "--cores", "2", *arguments]


def _run(project, *arguments):
    return subprocess.run(
        _command(*arguments), capture_output=True, text=True, cwd=project.folder, check=False
    )


def _table(project):
    with (project.folder / "results/plates.csv").open(newline="") as stream:
        return {row["plate"]: row for row in csv.DictReader(stream)}


def _jobs_since(project, plate, offset):
    log = (project.folder / f"results/.run/plates/{plate}.log").read_bytes()[offset:]
    return re.findall(rb"run-step .*--step (\S+)", log), len(log) + offset


def _bytes(project):
    results = project.folder / "results"
    return {
        path.relative_to(results).as_posix(): path.read_bytes()
        for folder in ("manifests", "tables", "rois", "count.ome.zarr")
        for path in results.glob(f"*/{folder}/**/*")
        if path.is_file() and path.name != ".snakemake_timestamp"
    }


def test_broken_plates_stop_no_other_and_are_named_with_their_errors(facility):
    project = facility(["007", "b"], "gone\tplates/gone\nempty\tplates/empty\n")
    (project.folder / "plates/empty").mkdir()
    run = _run(project, "--at-once", "2", "--", "--printshellcmds")
    assert run.returncode == 2, run.stdout
    assert "plate folder plates/gone does not exist" in run.stdout
    assert "2 of 4 plates done" in run.stdout
    table = _table(project)
    assert {name: row["state"] for name, row in table.items()} == {
        "007": "done",
        "b": "done",
        "gone": "broken",
        "empty": "broken",
    }
    assert [table["b"][key] for key in ("wells", "wells_done", "exit_code")] == ["1", "1", "0"]
    assert float(table["b"]["cpu_h"]) > 0
    assert "plates/empty is empty" in table["empty"]["reason"]
    with (project.folder / "results/b/tables/count/cell_counts.csv").open() as stream:
        assert {row["well"] for row in csv.DictReader(stream)} == {"A01"}
    done, offset = _jobs_since(project, "b", 0)
    assert done

    # the same command again does nothing more, whatever is still broken
    again = _run(project, "--plate", "b", "--", "--printshellcmds")
    assert again.returncode == 0, again.stdout
    assert _jobs_since(project, "b", offset)[0] == []


def test_a_wrong_config_runs_nothing(facility):
    project = facility(["a"], "b\tplates/b\t\n")
    project.edit("config/plates.tsv", "plate\tpath", "plate\tpaht")
    run = _run(project)
    assert run.returncode == 2
    assert "did you mean 'path'?" in run.stderr
    assert not (project.folder / "results").exists()


@pytest.mark.thorough
def test_a_failed_well_fails_its_plate_alone_and_is_tried_again(facility):
    project = facility(["a", "b"])
    bad = image_path(project.folder / "plates/a", "A01", 1)
    good = bad.read_bytes()
    bad.write_bytes(good[:200])
    run = _run(project, "--max-jobs", "0")
    assert run.returncode == 3, run.stdout
    table = _table(project)
    assert [table[name]["state"] for name in "ab"] == ["failed", "done"]
    assert "A01, step 'count'" in table["a"]["reason"]
    bad.write_bytes(good)
    assert _run(project, "--max-jobs", "0").returncode == 0
    assert [row["state"] for row in _table(project).values()] == ["done", "done"]


@pytest.mark.thorough
def test_a_part_that_was_asked_for_is_no_failure(facility):
    project = facility(["a", "b"])
    part = _run(project, "--", "--until", "count")
    assert part.returncode == 0, part.stdout
    assert {row["state"] for row in _table(project).values()} == {"partly done"}
    assert list(project.folder.glob("results/*/manifests/count/A01.json"))
    assert not list(project.folder.glob("results/*/tables/count/cell_counts.csv"))
    for arguments, said in [
        (("-n", "--forcerun", "count"), "6 jobs to do"),
        (("-nq",), "its jobs are not in the log (--quiet)"),
        (("--config", "mine=1", "-n"), "4 jobs to do"),
    ]:
        looked = _run(project, "--", *arguments)
        assert looked.returncode == 0, looked.stdout
        assert said in looked.stdout
    assert {row["state"] for row in _table(project).values()} == {"partly done"}
    assert _run(project).returncode == 0
    assert {row["state"] for row in _table(project).values()} == {"done"}


@pytest.mark.thorough
def test_few_jobs_are_one_workflow_with_the_same_results(facility, tmp_path):
    together = facility(["a", "b"])
    apart = together.copy_to(tmp_path / "apart")
    one = _run(together)
    assert one.returncode == 0, one.stdout
    assert "1 snakemake, 1 at a time" in one.stdout
    assert (together.folder / "results/.run/all.log").exists()
    looked = _run(apart, "--max-jobs", "0", "--at-once", "2", "--", "-n")
    assert looked.returncode == 0, looked.stdout
    assert looked.stdout.count("3 jobs to do") == 2
    assert not list(apart.folder.glob("results/*/manifests"))
    assert _run(apart, "--max-jobs", "0", "--at-once", "2").returncode == 0
    assert _bytes(together) == _bytes(apart)
    verified = apart.command("verify", "results")
    assert verified.returncode == 0, verified.stdout
    assert _run(together, "--max-jobs", "0", "--", "-n").stdout.count("0 jobs to do") == 2


@pytest.mark.thorough
@pytest.mark.parametrize("max_jobs", ["0", "100"])
def test_plates_that_are_running_are_looked_at_without_waiting(facility, until, max_jobs):
    project = facility(["a", "b"])
    folder = project.folder
    project.write("mine.py", SLOW)
    project.write("config/config.yaml", "plates: config/plates.tsv\nfunctions: [mine.py]\n")
    project.write("config/pipeline.yaml", "steps:\n  - {name: count, func: mine:slow}\n")
    quiet = {"stdout": subprocess.DEVNULL, "cwd": folder}
    with subprocess.Popen(_command("--max-jobs", max_jobs), **quiet) as process:
        try:
            until(lambda: process.poll() is not None or (folder / "began").exists(), 300)
            looked = _run(project, "--max-jobs", max_jobs, "--", "-n")
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGINT)
    assert looked.returncode == 0, looked.stdout
    assert looked.stdout.count("jobs to do") == (2 if max_jobs == "0" else 1)
    assert "waits" not in looked.stdout


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_it_ends_with_all_that_it_started_and_the_same_command_goes_on(
    facility, number, until, processes_in
):
    project = facility(["a", "b", "c"])
    folder = project.folder
    project.write("mine.py", SLOW)
    project.write("config/config.yaml", "plates: config/plates.tsv\nfunctions: [mine.py]\n")
    project.write("config/pipeline.yaml", "steps:\n  - {name: count, func: mine:slow}\n")
    arguments = ("--at-once", "2", "--max-jobs", "0")
    quiet = {"stdout": subprocess.DEVNULL, "cwd": folder}
    with subprocess.Popen(_command(*arguments), **quiet) as process:
        until(lambda: process.poll() is not None or (folder / "began").exists(), 300)
        process.send_signal(number)
        code = process.wait(90)
    until(lambda: processes_in(folder) == [])
    if number != signal.SIGKILL:
        assert code == 130
        states = [row["state"] for row in _table(project).values()]
        assert states[2:] == ["waiting"]
        assert set(states[:2]) <= {"stopped", "failed"}
    assert not list(folder.glob("results/*/manifests/*/*.json"))
    (folder / "quick").touch()
    run = _run(project, *arguments)
    assert run.returncode == 0, run.stdout
    assert [row["state"] for row in _table(project).values()] == ["done"] * 3


@pytest.mark.thorough
@pytest.mark.parametrize("max_jobs", ["0", "100"])
def test_two_commands_at_once_share_the_plates_and_none_fails(facility, max_jobs):
    project = facility(["a", "b"])
    command = _command("--max-jobs", max_jobs)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    runs = [subprocess.Popen(command, cwd=project.folder, **pipes) for _ in range(2)]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert all("2 of 2 plates done" in text for text in said), said
    logs = "".join(path.read_text() for path in project.folder.glob("results/.run/**/*.log"))
    assert logs.count("Finished jobid: 0 (Rule: all)") == (2 if max_jobs == "0" else 1)
