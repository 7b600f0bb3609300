"""Times and Snakemake's records mislead: what is computed is right all the same."""

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile

from openhcs_core.testing.plates import image_path

PIPELINE = """steps:
  - {name: blur, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 5}}}
"""
OTHER_NAMES = PIPELINE.replace("blur", "smooth").replace("name: count", "name: cells")
COUNT_JOBS = [("count", "A01"), ("count", "A02"), ("count", "cell_counts.csv")]


@pytest.fixture
def project(small_project):
    project = small_project((1, 2))
    project.write("config/pipeline.yaml", PIPELINE)
    _run(project)
    return project


def _run(project, *arguments):
    run = project.snakemake(*arguments)
    assert run.returncode == 0, run.output
    return run.jobs


def _table(project, step="count"):
    return (project.results / f"tables/{step}/cell_counts.csv").read_text()


def _replace_image(project, well="A02"):
    """Put another image in place of one of a well; return what brings it back with its time."""
    path = image_path(project.plate, well, 1)
    stat, content = path.stat(), path.read_bytes()
    image = tifffile.imread(path)
    tifffile.imwrite(path, np.ascontiguousarray(image[::-1] // 2))

    def put_back():
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    return put_back


def test_an_image_put_back_while_another_pipeline_was_in_force(project):
    put_back = _replace_image(project)
    project.write("config/pipeline.yaml", OTHER_NAMES)
    _run(project)
    put_back()
    project.write("config/pipeline.yaml", PIPELINE)
    assert _run(project) == []
    project.write("config/pipeline.yaml", OTHER_NAMES)
    assert ("smooth", "A02") in _run(project)
    assert _table(project, "cells") == _table(project)


def test_a_copy_of_results_put_back_under_newer_records_of_snakemake(project, tmp_path):
    shutil.copytree(project.folder / "results", tmp_path / "copy", symlinks=True)
    first = _table(project)
    project.edit("config/pipeline.yaml", "min_area: 5", "min_area: 300")
    _run(project)
    edited = _table(project)
    assert edited != first
    shutil.rmtree(project.folder / "results")
    shutil.copytree(tmp_path / "copy", project.folder / "results", symlinks=True)
    assert _table(project) == first
    assert _run(project, "--dry-run") == COUNT_JOBS
    assert _run(project) == COUNT_JOBS
    assert _table(project) == edited


def test_results_copied_between_a_look_and_the_run(project, tmp_path):
    _replace_image(project)
    expected = _run(project, "--dry-run")
    assert ("blur", "A02") in expected
    (project.folder / "results").rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", project.folder / "results", copy_function=shutil.copyfile)
    jobs = _run(project)
    assert ("blur", "A02") in jobs
    assert ("count", "A02") in jobs


def test_results_of_a_clock_that_was_ahead(project):
    results = (project.folder / "results").rglob("*")
    for path in {path.stat().st_ino: path for path in results}.values():
        stat = path.stat()
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 3600 * 10**9))
    _replace_image(project)
    run = project.snakemake()
    assert run.returncode == 0, run.output
    assert "ahead of this machine's clock" in run.output
    assert ("blur", "A02") in run.jobs
    assert ("count", "A01") not in run.jobs
    newest = max(path.stat().st_mtime for path in project.results.rglob("*"))
    assert newest <= time.time() + 1
    assert _run(project) == []


WAIT = """import time
from pathlib import Path

from openhcs_core.memory import numpy


@numpy
def wait(image):
    Path("started").touch()
    while not Path("go").exists():
        time.sleep(0.05)
    return image
"""


def test_an_image_that_changes_and_comes_back_while_a_run_lives(project):
    first = _table(project)
    project.write("mine.py", WAIT)
    project.write(
        "config/pipeline.yaml",
        PIPELINE.replace(
            "{skimage:filters.gaussian: {sigma: 1}}",
            "[mine:wait, {skimage:filters.gaussian: {sigma: 1}}]",
        ),
    )
    project.edit("config/config.yaml", "plates:", "functions: [mine.py]\nplates:")
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project.snakefile)]
    command += ["--directory", str(project.folder), "--cores", "1"]
    with subprocess.Popen(
        command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as main:
        while not (project.folder / "started").exists():
            assert main.poll() is None, main.stdout.read()
            time.sleep(0.05)
        last = max(
            (project.results / "logs/blur").glob("*.log"), key=lambda log: log.stat().st_mtime
        )
        put_back = _replace_image(project, {"A01": "A02", "A02": "A01"}[last.stem])
        (project.folder / "go").touch()
        said = main.stdout.read()
    assert main.returncode == 1, said
    assert "changed since it was indexed" in said
    put_back()
    _run(project)
    assert _table(project) == first
