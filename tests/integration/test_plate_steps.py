"""Steps over the whole plate, through the real snakemake, against independent numbers."""

import csv
import json
import os
import signal
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from openhcs_core.testing.plates import image_path

COLUMNS = (1, 2, 3, 4)
WELLS = tuple(f"A{column:02d}" for column in COLUMNS)
MAP = "well,treatment,control\nA01,dmso,low\nA02,dmso,low\nA03,drug,high\nA04,drug,high\n"
CONFIG = "plates:\n  demo: {path: plate, plate_map: map.csv}\n"
PIPELINE = """steps:
  - {name: light, scope: plate, func: {openhcs:estimate_illumination: {sigma: 6, dark: 50}}}
  - {name: even, func: {openhcs:correct_illumination: {dark: 50}}, keep: true}
  - {name: count, func: openhcs:count_cells_single_channel}
  - name: compare
    scope: plate
    func:
      openhcs:normalize_to_controls:
        {table: count/cell_counts, columns: [objects, area_px], method: z_score, negative: low}
  - name: rate
    scope: plate
    func:
      openhcs:z_prime:
        {table: compare/normalized, columns: [area_px], negative: low, positive: high}
"""
OF_PLATE = [("compare", "plate"), ("rate", "plate")]
ALL_JOBS = sorted(
    [
        *((step, well) for step in ("even", "count") for well in WELLS),
        *((step, "plate") for step in ("light", "compare", "rate")),
        ("count", "cell_counts.csv"),
    ]
)


@pytest.fixture
def plate_project(small_project):
    """Make a project with controls in its plate map."""

    def make(folder="small"):
        project = small_project(COLUMNS, folder)
        project.write("config/config.yaml", CONFIG)
        project.write("config/pipeline.yaml", PIPELINE)
        project.write("map.csv", MAP)
        return project

    return make


def _rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def _jobs(run):
    return [job for job in run.jobs if job[1] != "store"]


def _images(project):
    return {
        (well, site): tifffile.imread(image_path(project.plate, well, site)).astype(float)
        for well in WELLS
        for site in (1, 2)
    }


def _bytes(project):
    return {
        path.relative_to(project.results).as_posix(): path.read_bytes()
        for folder in ("manifests", "tables", "tiff", "special", "even.ome.zarr")
        for path in (project.results / folder).rglob("*")
        if path.is_file()
    }


def _check_numbers(project):
    """Compare illumination, normalised values and Z' with numpy and the standard library."""
    images = _images(project)
    field = gaussian_filter(np.mean(list(images.values()), axis=0) - 50, 6)
    field /= field.mean()
    found = tifffile.imread(project.results / "tiff/light/plate.illumination.tif")
    np.testing.assert_allclose(found, field, rtol=1e-12)

    areas = {well: [] for well in WELLS}
    for row in _rows(project.results / "tables/count/cell_counts.csv"):
        areas[row["well"]].append(float(row["area_px"]))
    values = {
        "objects": {well: float(len(found)) for well, found in areas.items()},
        "area_px": {well: statistics.fmean(found) for well, found in areas.items()},
    }
    rows = _rows(project.results / "tables/compare/plate.normalized.csv")
    assert [(row["well"], row["treatment"]) for row in rows] == [
        (well, "dmso" if well in WELLS[:2] else "drug") for well in WELLS
    ]
    for column, of in values.items():
        low = [of[well] for well in WELLS[:2]]
        for row in rows:
            score = (of[row["well"]] - statistics.fmean(low)) / statistics.stdev(low)
            assert float(row[column]) == pytest.approx(of[row["well"]])
            assert float(row[f"{column}_z_score"]) == pytest.approx(score)
    low, high = ([values["area_px"][well] for well in of] for of in (WELLS[:2], WELLS[2:]))
    spread = statistics.stdev(low) + statistics.stdev(high)
    apart = abs(statistics.fmean(high) - statistics.fmean(low))
    (row,) = _rows(project.results / "tables/rate/plate.z_prime.csv")
    assert float(row["z_prime"]) == pytest.approx(1 - 3 * spread / apart)


def _check_memory(project):
    """Compare what was predicted before the run with what jobs over the plate took."""
    index = json.loads((project.folder / "results/.plan/plan.json").read_bytes())
    plate = index["plates"]["demo"]
    for step in ("light", "compare", "rate"):
        record = json.loads((project.results / f"benchmarks/{step}/plate.json").read_bytes())
        assert 1 / 1.5 < plate["predictions"][step]["peak_mb"] / record["peak_mb"] < 1.5
        assert record["peak_mb"] < plate["resources"][step]["mem_mb"]


def test_illumination_controls_and_z_prime_and_an_edit_of_one(plate_project):
    project = plate_project()
    run = project.snakemake()
    assert run.returncode == 0, run.output
    assert _jobs(run) == ALL_JOBS
    assert "table   results/demo/tables/compare/plate.normalized.csv" in run.output
    _check_numbers(project)
    _check_memory(project)
    before = _bytes(project)
    assert project.command("verify", "results").returncode == 0
    assert "4 done" in project.command("status").stdout
    why = project.command("why", "light", "plate").stdout
    assert "made from the images of 4 wells of the plate by plan" in why
    why = project.command("why", "compare", "plate").stdout
    assert "made from plan/count/cell_counts.csv.json, tables/count/cell_counts.csv by" in why

    project.edit("config/pipeline.yaml", "method: z_score", "method: percent_of_control")
    why = project.command("why", "compare", "plate").stdout
    assert "method: z_score → percent_of_control" in why
    edited = project.snakemake()
    assert edited.returncode == 0, edited.output
    assert _jobs(edited) == OF_PLATE
    project.edit("config/pipeline.yaml", "method: percent_of_control", "method: z_score")
    back = project.snakemake()
    assert _jobs(back) == OF_PLATE
    assert "taken from the cache" in (project.results / "logs/compare/plate.log").read_text()
    assert _bytes(project) == before
    assert project.snakemake().jobs == []


@pytest.mark.thorough
def test_a_touched_image_computes_nothing_and_another_one_all_that_depends(plate_project):
    project = plate_project()
    assert project.snakemake().returncode == 0
    before = _bytes(project)
    path = image_path(project.plate, "A03", 1)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))
    touched = project.snakemake()
    assert touched.returncode == 0, touched.output
    for step, target in _jobs(touched):
        log = (project.results / f"logs/{step}/{target}.log").read_text()
        assert "taken from the cache" in log or target == "cell_counts.csv", (step, target)
    assert ("light", "plate") in _jobs(touched)
    assert _bytes(project) == before

    tifffile.imwrite(path, tifffile.imread(path)[::-1])
    changed = project.snakemake()
    assert changed.returncode == 0, changed.output
    assert _jobs(changed) == ALL_JOBS
    _check_numbers(project)
    undisturbed = plate_project("undisturbed")
    tifffile.imwrite(image_path(undisturbed.plate, "A03", 1), tifffile.imread(path))
    assert undisturbed.snakemake().returncode == 0
    assert _bytes(project) == _bytes(undisturbed)


@pytest.mark.thorough
@pytest.mark.parametrize("step", ["light", "compare"])
def test_killed_while_it_does_the_plate_and_run_again(plate_project, step):
    project = plate_project()
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project.snakefile)]
    run = subprocess.Popen(
        [*command, "--cores", "2"],
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    log = project.results / f"logs/{step}/plate.log"
    while not log.exists() and run.poll() is None:
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    again = project.snakemake()
    assert again.returncode == 0, again.output
    assert (step, "plate") in again.jobs
    undisturbed = plate_project("undisturbed")
    assert undisturbed.snakemake().returncode == 0
    assert _bytes(project) == _bytes(undisturbed)


@pytest.mark.thorough
def test_gc_and_verify_know_a_step_over_the_plate_that_was_removed(plate_project):
    project = plate_project()
    assert project.snakemake().returncode == 0
    steps = PIPELINE[: PIPELINE.index("  - name: compare")]
    project.write("config/pipeline.yaml", steps)
    assert project.snakemake().returncode == 0
    verified = project.command("verify", "results")
    assert "tables/compare" in verified.stdout
    assert "leftover" in verified.stdout
    assert project.command("gc", "--stale").returncode == 0
    assert not list(project.results.glob("*/compare"))
    assert not list(project.results.glob("*/rate"))
    assert (project.results / "tiff/light/plate.illumination.tif").exists()
    assert project.command("verify", "results").returncode == 0
