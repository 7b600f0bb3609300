"""The table of edits where a job does several steps and wells: the jobs that the edited are in."""

import importlib.util
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "rerun_edits"
SAMPLE = (
    *("last-parameter", "first-parameter", "override-added", "override-removed", "function"),
    *("well-added", "well-removed", "map-changed", "image", "step-removed", "kept"),
)
REAL = ("middle-parameter", "image")
_RUN_STEP = re.compile(r"openhcs-core run-step (.*) --digest")


def _load_table():
    spec = importlib.util.spec_from_file_location(FOLDER.name, FOLDER / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[FOLDER.name] = module
    spec.loader.exec_module(module)
    return module


table = _load_table()
EDITS = {edit.name: edit for edit in table.EDITS}
pytestmark = pytest.mark.thorough


def _run(project, *arguments):
    """Return the jobs that ran: (steps, wells), or (step, table file or ``store``)."""
    places = [str(project.folder / "libraries"), os.environ.get("PYTHONPATH", "")]
    run = project.snakemake(*arguments, prefix=("env", f"PYTHONPATH={':'.join(places)}"))
    assert run.returncode == 0, run.output
    jobs = set()
    for text in _RUN_STEP.findall(run.output):
        words = text.split()
        steps, wells, tables = (
            tuple(words[n + 1] for n, word in enumerate(words) if word == option)
            for option in ("--step", "--well", "--table")
        )
        jobs.add((steps, wells) if wells else (steps[0], *(tables or ("store",))))
    return jobs


def _expected(project, edit):
    """Return the shared jobs that have a member among the jobs of the table, and their tables."""
    plates = json.loads((project.folder / "results/.plan/plan.json").read_bytes())["plates"]
    jobs = set()
    for step, target in edit.jobs:
        (plate,) = (one for one in plates.values() if step in one["steps"])
        if target not in plate["wells"]:
            jobs.add((step, target))
            continue
        (run,) = (run for run in plate["runs"] if step in run)
        (batch,) = (batch for batch in plate["batches"] if target in batch)
        jobs.add((tuple(run), tuple(batch)))
        tables = (name.split("/") for name in plate["tables"])
        jobs |= {(of, file) for of, file in tables if of in run}
    return jobs


def _share(project):
    path = project.folder / "config/config.yaml"
    path.write_text(path.read_text() + "execution: {granularity: fused, wells_per_job: 2}\n")


@pytest.fixture(scope="module")
def finished(project_type, tmp_path_factory):
    project = project_type(tmp_path_factory.mktemp("edits") / "project")
    table.write_project(project)
    _share(project)
    assert (("clean", "flatten", "count"), ("A01", "A02")) in _run(project)
    assert _run(project, "-n") == set()
    return project


def _edited(finished, folder, edit):
    project = finished.copy_to(folder)
    if edit.before is not None:
        edit.before(project)
        assert _run(project)
    edit.do(project)
    return project


@pytest.mark.parametrize("name", SAMPLE)
def test_an_edit_runs_the_jobs_it_is_in(name, finished, tmp_path):
    project = _edited(finished, tmp_path / "project", EDITS[name])
    jobs = _run(project, "-n", *EDITS[name].arguments)
    assert jobs == _expected(project, EDITS[name])


@pytest.mark.parametrize("name", REAL)
def test_results_are_those_of_jobs_of_one_step_and_well(name, finished, project_type, tmp_path):
    project = _edited(finished, tmp_path / "project", EDITS[name])
    _run(project)
    assert _run(project, "-n") == set()
    fresh = project_type(tmp_path / "fresh")
    fresh.folder.mkdir()
    for part in table.INPUTS:
        path = project.folder / part
        (shutil.copytree if path.is_dir() else shutil.copy2)(path, fresh.folder / part)
    fresh.edit("config/config.yaml", "granularity: fused, wells_per_job: 2", "gpu: auto")
    assert _run(fresh)
    found = {
        path.relative_to(fresh.results): path.read_bytes()
        for folder in ("manifests", "tables", "rois", "*.ome.zarr")
        for top in fresh.results.glob(folder)
        for path in top.rglob("*")
        if path.is_file()
    }
    assert found == {name: (project.results / name).read_bytes() for name in found}
