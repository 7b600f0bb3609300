"""Failed wells left out: the rest goes on, the run ends badly, and a repaired well joins again."""

import csv
import json
import shutil

import pytest

from openhcs_core.testing.plates import image_path

COLUMNS = (1, 2, 3)
WELLS = ("A01", "A02", "A03")
CONFIG = "plates:\n  demo: {path: plate, plate_map: map.csv}\nfailed_wells: leave_out\n"
MAP = "well,control\nA01,negative\nA02,negative\nA03,\n"
PIPELINE = """steps:
  - {name: smooth, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: count, func: openhcs:count_cells_single_channel}
  - name: compare
    scope: plate
    func: {openhcs:normalize_to_controls: {table: count/cell_counts, columns: [objects]}}
"""
OF_ALL = [("compare", "plate"), ("count", "cell_counts.csv")]


@pytest.fixture
def leaving_out(small_project):
    def make(folder="small", config=CONFIG):
        project = small_project(COLUMNS, folder)
        project.write("config/config.yaml", config)
        project.write("config/pipeline.yaml", PIPELINE)
        project.write("map.csv", MAP)
        return project

    return make


def _rows(path):
    with path.open() as stream:
        return list(csv.DictReader(stream))


def _jobs(run):
    return [job for job in run.jobs if job[1] != "store"]


def _manifest(project, step, target):
    return json.loads((project.results / f"manifests/{step}/{target}.json").read_bytes())


def test_a_bad_image_leaves_its_well_out_until_it_is_repaired(leaving_out, tmp_path):
    project = leaving_out()
    image = image_path(project.plate, "A02", 2)
    shutil.copy(image, tmp_path / "sound.tif")
    image.write_bytes(b"no image")

    run = project.snakemake()
    assert run.returncode == 1
    assert "error: plate 'demo': 1 well is left out; the next run tries it again: A02" in run.output
    assert "cell_counts.csv without A02, which failed" in run.output
    assert not (project.results / "check.txt").exists()
    states = {row["well"]: row for row in _rows(project.results / "status.csv")}
    assert [states[well]["state"] for well in WELLS] == ["done", "failed", "done"]
    assert (states["A02"]["step"], states["A02"]["exit_code"]) == ("smooth", "3")
    assert image.name in states["A02"]["reason"]

    for step in ("smooth", "count"):
        failure = _manifest(project, step, "A02")["failure"]
        assert (failure["step"], failure["exit_code"]) == ("smooth", 3)
    assert list(_manifest(project, "compare", "plate")["left_out"]) == ["A02"]
    tables = project.results / "tables"
    assert (tables / "count/A02.cell_counts.csv").read_text() == (
        "well,site,channel,z_index,timepoint\n"
    )
    assert {row["well"] for row in _rows(tables / "count/cell_counts.csv")} == {"A01", "A03"}
    (left_out,) = _rows(tables / "count/cell_counts.left_out.csv")
    assert (left_out["well"], left_out["step"], left_out["exit_code"]) == ("A02", "smooth", "3")
    normalized = _rows(tables / "compare/plate.normalized.csv")
    assert [row["well"] for row in normalized] == ["A01", "A03"]
    assert normalized[0]["objects_percent_of_control"] == "100.0"  # the only control left
    status = project.command("status").stdout
    assert "without  A02: compare" in status
    verified = project.command("verify", "results")
    assert verified.returncode == 3
    assert "found one without A02, which failed" in verified.stdout
    why = project.command("why", "count", "A02").stdout
    assert "last time it failed" in why

    shutil.copy(tmp_path / "sound.tif", image)
    repaired = project.snakemake()
    assert repaired.returncode == 0, repaired.output
    assert _jobs(repaired) == sorted([("smooth", "A02"), ("count", "A02"), *OF_ALL])
    assert (project.results / "check.txt").exists()
    assert not list(tables.rglob("*.left_out.csv"))
    assert project.command("verify", "results").returncode == 0
    assert project.snakemake().jobs == []

    undisturbed = leaving_out("undisturbed", CONFIG.replace("leave_out", "report"))
    shutil.copystat(image, image_path(undisturbed.plate, "A02", 2))
    assert undisturbed.snakemake().returncode == 0
    assert project.tracked_bytes() == undisturbed.tracked_bytes()


@pytest.mark.thorough
@pytest.mark.parametrize(
    "execution", ["granularity: fused", "wells_per_job: 2", "granularity: fused, wells_per_job: 3"]
)
def test_wells_that_share_a_job_are_left_out_alone(leaving_out, execution):
    storage = "storage: {materialization: disk}\n"
    project = leaving_out(config=f"{CONFIG}{storage}execution: {{{execution}}}\n")
    image = image_path(project.plate, "A02", 2)
    sound = image.read_bytes()
    image.write_bytes(b"no image")
    run = project.snakemake()
    assert run.returncode == 1
    states = {row["well"]: row["state"] for row in _rows(project.results / "status.csv")}
    assert states == {"A01": "done", "A02": "failed", "A03": "done"}
    folder = project.results / "images/count/A02"
    assert folder.is_dir()
    assert not list(folder.glob("*.tif"))
    image.write_bytes(sound)
    repaired = project.snakemake()
    assert repaired.returncode == 0, repaired.output
    undisturbed = leaving_out("undisturbed", CONFIG.replace("leave_out", "report") + storage)
    assert undisturbed.snakemake().returncode == 0
    assert project.tracked_bytes() == undisturbed.tracked_bytes()


@pytest.mark.thorough
def test_every_run_tries_again_also_when_nothing_changed(leaving_out):
    project = leaving_out()
    image_path(project.plate, "A02", 2).write_bytes(b"no image")
    assert project.snakemake().returncode == 1
    before = project.tracked_bytes()
    again = project.snakemake()
    assert again.returncode == 1
    assert {("smooth", "A02"), ("count", "A02"), *OF_ALL} <= set(again.jobs)
    assert not {("smooth", "A01"), ("count", "A03")} & set(again.jobs)
    assert project.tracked_bytes() == before
