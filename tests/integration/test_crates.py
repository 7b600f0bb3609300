"""Crates through the real snakemake: a run is repeated from its crate alone, by somebody else."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import tifffile
from rocrate.rocrate import ROCrate

from openhcs_core.testing.plates import image_path

ROOT = Path(__file__).parents[2]
VALIDATE = ROOT / "tests/data/rocrate/validate.py"
MODULE = """import time
from pathlib import Path

from helpers import scale

from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.memory import numpy
from openhcs_core.pipeline import special_outputs


@numpy
@special_outputs(("peaks", MaterializationSpec(CsvOptions())))
def find_peak(image_stack, factor: int = 2):
    while Path("../wait").exists():  # of the tests that interrupt it
        Path("../began").touch()
        time.sleep(0.1)
    return image_stack, {"peak": [scale(int(image_stack.max()), factor)]}
"""
PIPELINE = """from mine import find_peak

from openhcs_core.pipeline import FunctionStep

pipeline_steps = [
    FunctionStep(func=find_peak, factor=3, name="peaks"),
    FunctionStep(func="max_projection", name="after"),
]
"""
CONFIG = """plates:
  demo: {path: plate, plate_map: map.csv}
  other: {path: plate, wells: [A01]}
pipeline: config/pipeline.py
functions: [workflow/functions/mine.py]
storage: {cache_dir: my_cache}
"""


@pytest.fixture(scope="module")
def crate(new_small_project, tmp_path_factory):
    """A project whose run has a crate, which lies alone in another place; the plate was moved."""
    folder = tmp_path_factory.mktemp("crates")
    project = new_small_project(folder / "project", (1,))
    project.write("config/config.yaml", CONFIG)
    project.write("config/pipeline.py", PIPELINE)
    project.write("workflow/functions/mine.py", MODULE)
    project.write("workflow/functions/helpers.py", "def scale(value, by):\n    return value * by\n")
    project.write("map.csv", "well,dose\nA01,0.5\n")
    run = project.snakemake()
    assert run.returncode == 0, run.output
    made = project.command("rocrate", "results/demo", "--person", "A Person")
    assert made.returncode == 0, made.stderr
    shutil.copytree(project.results, folder / "crate")
    project.folder.rename(folder / "gone")
    (folder / "gone" / "plate").rename(folder / "plate")
    return folder


def _command(into, plate="plate"):
    command = [sys.executable, "-m", "openhcs_core", "rerun", "crate", "--plate", plate]
    return [*command, "--into", into, "--cores", "2", "--json"]


def _rerun(folder, into, plate="plate"):
    command = _command(into, plate)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_crate_describes_what_is_there_and_who_made_it_of_what(crate):
    described = ROCrate(crate / "crate")
    files = [entity for entity in described.get_by_type("File") if "sha256" in entity]
    for entity in files:
        content = (crate / "crate" / unquote(entity.id)).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entity["sha256"], entity.id
        assert entity["contentSize"] == str(len(content))
    (action,) = described.get_by_type("CreateAction")
    assert action["instrument"] is described.mainEntity
    assert action["agent"]["name"] == "A Person"
    results = {entity.id for entity in action["result"]}
    assert {"tables/peaks/peaks.csv", "after.ome.zarr/", "manifests/after/A01.json"} <= results
    given = {entity["name"]: entity.get("value") for entity in action["object"]}
    assert given["peaks/1 mine:find_peak/factor"] == 3
    assert {"demo", "config.yaml", "pipeline.py", "mine.py", "map.csv"} <= given.keys()
    software = {
        one["name"]: one["softwareVersion"] for one in described.mainEntity["softwareRequirements"]
    }
    assert {"python", "openhcs-core", "numpy", "snakemake"} <= software.keys()
    lines = (crate / "crate/ro-crate/inputs.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == [
        f"TimePoint_1/P_A01_s{site}_w1.TIF" for site in (1, 2)
    ]


def test_a_run_is_repeated_from_its_crate_alone_and_gives_the_same(crate):
    (crate / "images apart").mkdir()
    for name in ("after.ome.zarr", "tables", "logs", "benchmarks"):  # nobody sent these
        (crate / "crate" / name).rename(crate / "images apart" / name)
    run = _rerun(crate, "again")
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["is_same"]
    assert found["jobs"] == 2
    assert found["plans"] == {}
    again = crate / "again/results/demo/tables/peaks/peaks.csv"
    assert again.read_bytes() == (crate / "images apart/tables/peaks/peaks.csv").read_bytes()
    assert not (crate / "my_cache").exists()
    assert not (crate / "again/my_cache").exists()


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.thorough),
        pytest.param(signal.SIGHUP, marks=pytest.mark.thorough),
        pytest.param(signal.SIGKILL, marks=pytest.mark.thorough),
    ],
)
def test_what_ends_a_rerun_ends_its_snakemake(crate, number, until, processes_in):
    into = crate / f"ended by {number.name}"
    (crate / "wait").touch()
    (crate / "began").unlink(missing_ok=True)
    with subprocess.Popen(_command(into.name), cwd=crate, stderr=subprocess.PIPE) as process:
        try:
            until((crate / "began").exists, 120)
            process.send_signal(number)
            said = process.communicate(timeout=60)[1].decode()
        finally:
            process.kill()
            (crate / "wait").unlink()
    if number == signal.SIGKILL:
        until(lambda: processes_in(into) == [], 60)
    else:
        assert process.returncode == 130, said
        assert processes_in(into) == []
        assert said.splitlines()[-1] == "stopped"
    assert not list(into.glob("results/*/manifests/*/*.json"))


@pytest.mark.thorough
def test_differences_are_named_image_by_image_and_file_by_file(crate):
    shutil.copytree(crate / "plate", crate / "altered")
    path = image_path(crate / "altered", "A01", 2)
    image = tifffile.imread(path)
    image[0, 0] += 60000
    tifffile.imwrite(path, image)
    run = _rerun(crate, "other images", plate="altered")
    assert run.returncode == 3, run.stderr
    found = {
        (one["kind"], one["step"], one["name"]) for one in json.loads(run.stdout)["differences"]
    }
    plane = "A01_s002_w1_z001_t001.tif"
    assert ("input", "peaks", plane) in found
    assert ("image", "peaks", plane) in found
    assert ("file", "peaks", "tables/peaks/peaks.csv") in found
    assert ("input", "peaks", "A01_s001_w1_z001_t001.tif") not in found


@pytest.mark.thorough
def test_jobs_that_fail_give_their_exit_code(crate):
    shutil.copytree(crate / "plate", crate / "broken")
    image_path(crate / "broken", "A01", 2).write_bytes(b"no image")
    run = _rerun(crate, "broken again", plate="broken")
    assert run.returncode == 3
    (failure,) = json.loads(run.stdout)["failures"]
    assert failure["exit_code"] == 3
    assert "P_A01_s2_w1.TIF" in failure["message"]


@pytest.mark.thorough
def test_a_third_party_validator_finds_nothing_wrong(finished):
    python = ROOT / ".venv-tools/bin/python"
    if not python.exists():
        pytest.skip(f"needs roc-validator in {python} (make test-tools)")
    assert finished.command("rocrate", "results/demo").returncode == 0

    def validate():
        command = [python, VALIDATE, finished.results, "REQUIRED"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    run = validate()
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(run.stdout.split()[0]) > 50, "checks"

    path = finished.results / "ro-crate-metadata.json"
    data = json.loads(path.read_text())
    (action,) = (entity for entity in data["@graph"] if entity["@id"] == "#run")
    del action["instrument"]
    path.write_text(json.dumps(data))
    assert validate().returncode == 1, "a validator that finds nothing proves nothing"
