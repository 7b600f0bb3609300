"""One bad image or one function that raises: its well fails, is named, and is tried again alone."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from openhcs_core.testing.plates import image_path

DEMO_PLATE = Path(__file__).parents[2] / "data/demo/9987_Plate_3434"
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 8192\n"
PIPELINE = """
steps:
  - name: count
    func:
      - skimage:filters.gaussian: {sigma: 1}
      - openhcs:count_cells_single_channel: {min_area: 20}
"""
OVERRIDE = """
overrides:
  - {wells: [A10], set: {count: {skimage:filters.gaussian: {sigma: -1}}}}
"""
DAMAGES = {
    "A02": (lambda content: b"not an image", "found other content beginning with b'not an image'"),
    "A03": (lambda content: b"", "found an empty file (0 bytes)"),
    "A04": (
        lambda content: content[: len(content) * 6 // 10],
        "truncated or damaged",
    ),
    "A05": (lambda content: content[:8] + bytes(len(content) - 8), "its end was lost"),
    "A06": (lambda content: np.zeros((16, 16), "u2"), "expected 64x64 uint16, found 16x16 uint16"),
    "A07": (lambda content: np.zeros((64, 64), "f4"), "expected 64x64 uint16, found 64x64 float32"),
    "A08": (lambda content: LFS_POINTER, "found a git-LFS pointer; run `git lfs pull`"),
}


def _rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def _damage(project, well, damage):
    path = image_path(project.plate, well, 2)
    content = damage(path.read_bytes())
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        tifffile.imwrite(path, content)


def test_from_seven_bad_images_and_a_raising_function_to_repaired(small_project, tmp_path):
    columns = [1, 2, 3, 4, 5, 6, 7, 8, 10]
    project = small_project(columns)
    sound = tmp_path / "sound"
    shutil.copytree(project.plate, sound)
    for well, (damage, _) in DAMAGES.items():
        _damage(project, well, damage)
    project.write("config/pipeline.yaml", PIPELINE + OVERRIDE)

    run = project.snakemake()
    assert run.returncode == 1
    assert "Traceback" not in run.output
    assert "1 of 9 wells done, 8 failed; see results/demo/status.csv" in run.output
    status = {row["well"]: row for row in _rows(project.results / "status.csv")}
    assert list(status) == [f"A{column:02d}" for column in columns]
    assert status["A01"]["state"] == "done"
    for well, (_, text) in DAMAGES.items():
        row = status[well]
        assert (row["state"], row["step"], row["exit_code"]) == ("failed", "count", "3")
        assert image_path(project.plate, well, 2).name in row["reason"]
        assert text in row["reason"]
        assert text in run.output
        assert text in (project.results / row["log"]).read_text()
    assert (status["A10"]["state"], status["A10"]["exit_code"]) == ("failed", "4")
    assert "skimage:filters.gaussian raised ValueError: Sigma" in status["A10"]["reason"]
    tables = project.results / "tables/count"
    assert (tables / "cell_counts.partial.csv").read_bytes() == (
        tables / "A01.cell_counts.csv"
    ).read_bytes()
    assert not (tables / "cell_counts.csv").exists()

    again = project.snakemake()
    assert again.returncode == 1
    assert again.jobs == [("count", well) for well in [*DAMAGES, "A10"]]

    shutil.copytree(sound, project.plate, dirs_exist_ok=True)
    project.write("config/pipeline.yaml", PIPELINE)
    repaired = project.snakemake()
    assert repaired.returncode == 0, repaired.output
    assert repaired.jobs == [*again.jobs, ("count", "cell_counts.csv")]
    assert {row["state"] for row in _rows(project.results / "status.csv")} == {"done"}
    assert not list(project.results.rglob("*.partial.csv"))
    assert not list(project.results.rglob("*.failure.json"))

    undisturbed = small_project(columns, "undisturbed")
    undisturbed.write("config/pipeline.yaml", PIPELINE)
    assert undisturbed.snakemake().returncode == 0
    assert project.tracked_bytes() == undisturbed.tracked_bytes()


def test_steps_after_a_failed_one_wait_and_all_others_go_on(project):
    bad = "TimePoint_1/ZStep_1/9987_B03_s1_w1.TIF"
    (project.plate / bad).write_bytes(b"version 1")
    run = project.snakemake()
    assert run.returncode == 1
    assert {job for job in run.jobs if job[1] == "B03"} == {("clean", "B03")}
    (done, failed) = _rows(project.results / "status.csv")
    assert (done["well"], done["state"], done["step"]) == ("B02", "done", "")
    assert (failed["well"], failed["state"], failed["step"]) == ("B03", "failed", "clean")
    rows = _rows(project.results / "tables/count/intensities.partial.csv")
    assert {row["well"] for row in rows} == {"B02"}
    shutil.copy2(DEMO_PLATE / bad, project.plate / bad)
    repaired = project.snakemake()
    assert repaired.returncode == 0, repaired.output
    assert {well for _, well in repaired.jobs} == {"B03", "cell_counts.csv", "intensities.csv"}


def test_after_an_edit_older_results_do_not_pass_for_new_ones(finished):
    before = (finished.results / "tables/count/cell_counts.csv").read_bytes()
    text = (finished.folder / "config/pipeline.yaml").read_text()
    broken = (
        "overrides:\n"
        "  - {wells: [B03], set: {clean: {DAPI: {skimage:filters.gaussian: {sigma: -1}}}}}\n"
    )
    finished.write("config/pipeline.yaml", text.replace("min_area: 20", "min_area: 60") + broken)
    run = finished.snakemake()
    assert run.returncode == 1
    assert "tables/count/cell_counts.csv is of an earlier run" in run.output
    (done, failed) = _rows(finished.results / "status.csv")
    assert (done["well"], done["state"]) == ("B02", "done")
    assert (failed["well"], failed["state"], failed["step"]) == ("B03", "failed", "clean")
    partial = finished.results / "tables/count/cell_counts.partial.csv"
    assert {row["well"] for row in _rows(partial)} == {"B02"}
    assert min(int(row["area_px"]) for row in _rows(partial)) >= 60
    assert (finished.results / "tables/count/cell_counts.csv").read_bytes() == before

    finished.write("config/pipeline.yaml", text)
    assert finished.snakemake().returncode == 0
    assert (finished.results / "tables/count/cell_counts.csv").read_bytes() == before
    assert not partial.exists()


def test_a_table_that_cannot_be_written_is_reported_too(finished):
    finished.write("map.csv", "well,site\nB02,left\nB03,right\n")
    finished.write("config/config.yaml", "plates:\n  demo: {path: plate, plate_map: map.csv}\n")
    assert finished.snakemake().returncode == 1
    rows = [row for row in _rows(finished.results / "status.csv") if row["state"] == "failed"]
    assert [(row["well"], row["step"], row["exit_code"]) for row in rows] == [
        ("", "count", "3")
    ] * 2
    assert "has columns that the table has too: site" in rows[0]["reason"]


def test_results_of_wells_without_tables_are_not_called_whole(finished):
    """Targets on the command line: the wells are new, the plate's table of counts is old.

    That of intensities has all rows of today, for the edit changes no well's.
    """
    finished.edit("config/pipeline.yaml", "min_area: 20", "min_area: 60")
    run = finished.snakemake("--until", "count")
    assert run.returncode == 0
    assert "tables/count/cell_counts.csv is of an earlier run" in run.output
    assert "Results of plate" not in run.output
    assert "does what is not done" in run.output
    rows = _rows(finished.results / "status.csv")
    assert [(row["well"], row["state"]) for row in rows] == [
        ("B02", "done"),
        ("B03", "done"),
        ("", "not run"),
    ]
    assert rows[-1]["step"] == "count"


def test_a_step_that_read_less_than_there_is_now_is_not_done(small_project):
    project = small_project([1, 2])
    project.write("config/config.yaml", "plates:\n  demo: {path: plate, missing_images: allow}\n")
    project.write(
        "config/pipeline.yaml",
        "steps:\n"
        "  - {name: smooth, func: {skimage:filters.gaussian: {sigma: 1}}}\n"
        "  - {name: count, func: openhcs:count_cells_single_channel}\n",
    )
    late = image_path(project.plate, "A01", 2)
    late.rename(project.folder / "late.tif")
    assert project.snakemake().returncode == 0
    (project.folder / "late.tif").rename(late)
    assert {row["state"] for row in _status(project).values()} == {"done", "not run"}
    assert project.snakemake("--until", "smooth").returncode == 0
    states = {row["well"]: row["state"] for row in _rows(project.results / "status.csv")}
    assert (states["A01"], states["A02"]) == ("not run", "done")


def test_status_after_an_edit_or_a_changed_image_speaks_of_no_failure(finished):
    assert {row["state"] for row in _status(finished).values()} == {"done"}
    image = finished.plate / "TimePoint_1/ZStep_1/9987_B03_s1_w1.TIF"
    image.write_bytes(image.read_bytes())
    status = _status(finished)
    assert (status["B02"]["state"], status["B03"]["state"]) == ("done", "not run")
    finished.edit("config/pipeline.yaml", "sigma: 1}", "sigma: 2}")
    assert {row["state"] for row in _status(finished).values()} == {"not run"}


def _status(project):
    command = [sys.executable, "-m", "openhcs_core", "status", "--json"]
    run = subprocess.run(
        command, capture_output=True, text=True, cwd=project.folder, check=True, timeout=60
    )
    return {row["well"]: row for row in json.loads(run.stdout)["demo"]["jobs"]}


def test_status_before_during_and_after_a_run_that_is_killed(project):
    assert {row["state"] for row in _status(project).values()} == {"not run"}
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project.snakefile)]
    with subprocess.Popen(
        [*command, "--directory", str(project.folder), "--cores", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as main:
        deadline = time.monotonic() + 60
        while not list(project.results.glob("logs/clean/*.log")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        subprocess.run(["pkill", "-STOP", "-s", str(main.pid)], check=True)
        during = _status(project)
        subprocess.run(["pkill", "-KILL", "-s", str(main.pid)], check=True)
        assert main.wait(30) == -signal.SIGKILL
    (well,) = (path.stem for path in project.results.glob("logs/clean/*.log"))
    other = {"B02": "B03", "B03": "B02"}[well]
    assert (during[well]["state"], during[other]["state"]) == ("running", "not run")
    after = _status(project)
    assert (after[well]["state"], after[other]["state"]) == ("failed", "not run")
    assert "killed, or out of memory" in after[well]["reason"]
    assert project.snakemake().returncode == 0
    assert {row["state"] for row in _status(project).values()} == {"done"}


@pytest.mark.parametrize("step", ["count", "clean"])
def test_a_failure_by_hand_ends_in_its_exit_code_and_is_repaired_by_the_next_try(finished, step):
    command = [sys.executable, "-m", "openhcs_core", "run-step", "--plate-dir", "results/demo"]
    command += ["--step", step, "--well", "B02"]
    for well_input in ("index/B02.json", "manifests/flatten/B02.json"):
        path = finished.results / well_input
        path.rename(path.with_suffix(".away"))
    run = subprocess.run(command, cwd=finished.folder, capture_output=True, text=True, check=False)
    assert run.returncode == 3
    assert (finished.results / f"logs/{step}/B02.failure.json").exists()
    for well_input in ("index/B02.json", "manifests/flatten/B02.json"):
        path = finished.results / well_input
        path.with_suffix(".away").rename(path)
    subprocess.run(command, cwd=finished.folder, check=True)
    assert not (finished.results / f"logs/{step}/B02.failure.json").exists()
