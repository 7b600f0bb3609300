"""Runs of steps and batches of wells in one job: the same bytes, and nothing done twice."""

import csv
import json
import re
import subprocess
import sys

import pytest

from openhcs_core.testing.plates import image_path

PIPELINE = """
steps:
  - {name: clean, func: {openhcs:tophat: {selem_radius: 10}}}
  - {name: smooth, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 20}}}
overrides:
  - {wells: [A02], set: {count: {min_area: 30}}}
"""
STEPS = ("clean", "smooth", "count")
_COMMAND = re.compile(r"openhcs-core run-step (.*--well .*) --digest")


def _configure(project, granularity="step", wells_per_job=1):
    project.write(
        "config/config.yaml",
        "plates:\n  demo: {path: plate}\n"
        f"execution: {{granularity: {granularity}, wells_per_job: {wells_per_job}}}\n",
    )


def _shared(run):
    """Return the jobs of wells that ran: their steps and wells."""
    jobs = set()
    for arguments in _COMMAND.findall(run.output):
        words = arguments.split()
        steps = tuple(words[n + 1] for n, word in enumerate(words) if word == "--step")
        wells = tuple(words[n + 1] for n, word in enumerate(words) if word == "--well")
        jobs.add((steps, wells))
    return jobs


def _new_project(small_project, columns, folder="small"):
    project = small_project(columns, folder)
    project.write("config/pipeline.yaml", PIPELINE)
    return project


def _tell(project, *arguments):
    command = [sys.executable, "-m", "openhcs_core", *arguments]
    run = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def _done(project, *arguments):
    run = project.snakemake(*arguments)
    assert run.returncode == 0, run.output
    return run


def test_jobs_cut_anew_repeat_nothing_and_give_the_same_bytes(small_project, tmp_path):
    project = _new_project(small_project, [1, 2, 3])
    _configure(project)
    _done(project)
    of_steps = project.tracked_bytes()

    fused = _new_project(small_project, [1, 2, 3], "fused")
    _configure(fused, "fused", 2)
    batches = {(STEPS, ("A01", "A02")), (STEPS, ("A03",))}
    assert _shared(_done(fused)) == batches
    assert fused.tracked_bytes() == of_steps
    assert _shared(_done(fused, "-n")) == set()
    assert "all as written" in _tell(fused, "verify", "results")

    _configure(project, "fused", 2)
    assert "Nothing to be done" in _done(project).output
    assert project.tracked_bytes() == of_steps

    assert "up to date" in _tell(project, "why", "clean", "A03")
    project.edit("config/pipeline.yaml", "min_area: 20", "min_area: 25")
    assert "min_area: 20 → 25" in _tell(project, "why", "count", "A01")
    told = _tell(project, "why", "clean", "A02")
    assert "its job does step count of well A01 as well, which runs: its plan changed" in told
    assert _shared(_done(project)) == batches
    for step, text in [("clean", "taken from the cache"), ("count", "stack 1 of")]:
        assert text in (project.results / f"logs/{step}/A03.log").read_text()
    edited = project.tracked_bytes()
    assert {path for path in edited if edited[path] != of_steps.get(path)} >= {
        "manifests/count/A01.json",
        "manifests/count/A03.json",
    }
    assert "manifests/count/A02.json" not in {
        path for path in edited if edited[path] != of_steps[path]
    }, "A02 has a setting of its own"

    _configure(project)
    assert "Nothing to be done" in _done(project).output
    assert project.tracked_bytes() == edited


def _status(project):
    with (project.results / "status.csv").open() as stream:
        return {row["well"]: row for row in csv.DictReader(stream)}


@pytest.mark.parametrize("granularity", ["step", pytest.param("fused", marks=pytest.mark.thorough)])
def test_a_well_that_fails_fails_alone(granularity, small_project):
    project = _new_project(small_project, [1, 2, 3])
    _configure(project, granularity, 3)
    damaged = image_path(project.plate, "A02", 2)
    sound = damaged.read_bytes()
    damaged.write_bytes(sound[:8] + bytes(len(sound) - 8))

    run = project.snakemake()
    assert run.returncode == 1
    assert "1 of 3 wells failed, the others are done" in run.output
    failed = json.loads((project.results / "logs/clean/A02.failure.json").read_bytes())
    assert failed["exit_code"] == 3
    assert "its end was lost" in failed["message"]
    assert (_status(project)["A02"]["state"], _status(project)["A02"]["step"]) == (
        "failed",
        "clean",
    )
    done = {path.stem for path in (project.results / "manifests/clean").iterdir()}
    assert done == {"A01", "A03"}, "put back, though Snakemake removed them with the job"

    again = project.snakemake()
    assert again.returncode == 1
    first = ("clean",) if granularity == "step" else STEPS
    jobs = {(first, ("A02",))}
    if granularity == "step":
        jobs |= {((step,), ("A01", "A03")) for step in STEPS[1:]}
    assert _shared(again) == jobs, "the others go on without it"
    states = {well: row["state"] for well, row in _status(project).items()}
    assert states == {"A01": "done", "A02": "failed", "A03": "done"}

    damaged.write_bytes(sound)
    assert {wells for _, wells in _shared(_done(project))} == {("A02",)}
    assert "Nothing to be done" in _done(project).output, "together again"
    undisturbed = _new_project(small_project, [1, 2, 3], "undisturbed")
    _configure(undisturbed)
    _done(undisturbed)
    assert project.tracked_bytes() == undisturbed.tracked_bytes()


KILLER = '''
import os
import signal
from pathlib import Path

from openhcs_core.memory import numpy


@numpy
def pass_on(image):
    """Return the image; the first time, die."""
    marker = Path({marker!r})
    if image.mean() > {level} and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return image
'''


@pytest.mark.thorough
def test_a_job_that_is_killed_goes_on_where_it_was(small_project, tmp_path):
    project = _new_project(small_project, [1, 2])
    project.edit(
        "config/pipeline.yaml",
        "  - {name: count",
        "  - {name: pass, func: mine:pass_on}\n  - {name: count",
    )
    marker = tmp_path / "marker"
    project.write("mine.py", KILLER.format(marker=str(marker), level=-1))
    _configure(project, "fused", 2)
    project.edit("config/config.yaml", "execution", "functions: [mine.py]\nexecution")
    run = project.snakemake()
    assert run.returncode == 1
    assert marker.exists()
    log = project.results / "logs/smooth/A01.log"
    assert "stack 1 of" in log.read_text()
    _done(project)
    assert "taken from the cache" in log.read_text()

    undisturbed = _new_project(small_project, [1, 2], "undisturbed")
    undisturbed.write("config/pipeline.yaml", (project.folder / "config/pipeline.yaml").read_text())
    undisturbed.write("mine.py", (project.folder / "mine.py").read_text())
    _configure(undisturbed)
    undisturbed.edit("config/config.yaml", "execution", "functions: [mine.py]\nexecution")
    _done(undisturbed)
    assert project.tracked_bytes() == undisturbed.tracked_bytes()


PLATE_WIDE = """
steps:
  - {name: light, scope: plate, func: {openhcs:estimate_illumination: {sigma: 6, dark: 50}}}
  - {name: even, func: {openhcs:correct_illumination: {dark: 50}}}
  - {name: count, func: openhcs:count_cells_single_channel}
  - name: compare
    scope: plate
    func:
      openhcs:normalize_to_controls:
        {table: count/cell_counts, columns: [objects, area_px], method: z_score, negative: low}
"""


@pytest.mark.thorough
def test_steps_over_the_plate_are_jobs_of_their_own(small_project):
    projects = [small_project([1, 2, 3, 4], folder) for folder in ("small", "fused")]
    for project in projects:
        project.write("config/pipeline.yaml", PLATE_WIDE)
        project.write("map.csv", "well,control\nA01,low\nA02,low\nA03,high\nA04,high\n")
    single, fused = projects
    _configure(single)
    _configure(fused, "fused", 2)
    for project in projects:
        project.edit("config/config.yaml", "path: plate", "path: plate, plate_map: map.csv")
    jobs = {(("even", "count"), ("A01", "A02")), (("even", "count"), ("A03", "A04"))}
    assert jobs <= _shared(_done(fused))
    _done(single)
    assert single.tracked_bytes() == fused.tracked_bytes()
    fused.edit("config/config.yaml", "granularity: fused, wells_per_job: 2", "gpu: auto")
    assert "Nothing to be done" in _done(fused).output
