"""The command line: help, output, exit codes."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLATE = ROOT / "data/demo/9987_Plate_3434"


def _run(*arguments, cwd=ROOT):
    return subprocess.run(
        [sys.executable, "-m", "openhcs_core", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    shutil.copytree(PLATE, folder / "plate")
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text("plates:\n  demo: {path: plate}\n")
    (folder / "config/pipeline.yaml").write_text(
        "steps:\n"
        "  - name: clean\n"
        "    func: {openhcs:stack_percentile_normalize:"
        " {low_percentile: 60, high_percentile: 50}}\n"
    )
    run = _run("compile", cwd=folder)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("compile",),
        ("functions",),
        ("gc",),
        ("index",),
        ("run-step",),
        ("verify",),
        ("why",),
        ("convert",),
        ("init",),
        ("watch",),
    ],
)
def test_every_command_has_help_with_an_example(command):
    run = _run(*command, "--help")
    assert run.returncode == 0
    assert "Example" in run.stdout
    assert "openhcs-core" in run.stdout


def test_index_says_what_is_on_the_plate():
    run = _run("index", str(PLATE))
    assert run.returncode == 0
    assert "wells     2: B02, B03" in run.stdout
    assert "planes    16 (left out: 4 projections, 16 copies)" in run.stdout
    assert "channel 4 'Cy5'" in run.stderr


def test_json_goes_to_stdout_alone():
    run = _run("index", str(PLATE), "--json")
    data = json.loads(run.stdout)
    assert data["pixel_size_um"] == 1.3672
    assert len(data["images"]) == 16


def test_functions_can_be_listed_searched_and_shown():
    assert "openhcs:max_projection" in _run("functions", "list").stdout
    assert _run("functions", "search", "gauss").stdout.split()[0] == "skimage:filters.gaussian"
    shown = _run("functions", "show", "openhcs:tophat").stdout
    assert "selem_radius = 50" in shown
    assert json.loads(_run("functions", "show", "openhcs:tophat", "--json").stdout)["doc"]


def test_exit_code_2_for_a_wrong_command_line_config_or_name(tmp_path):
    assert _run("no-such-command").returncode == 2
    assert _run("compile", "--config", "nothing.yaml", cwd=tmp_path).returncode == 2
    assert _run("run-step", "--plate-dir", str(tmp_path), "--step", "x").returncode == 2
    run = _run("functions", "show", "openhcs:max_proj")
    assert run.returncode == 2
    assert "did you mean 'openhcs:max_projection'" in run.stderr


def test_exit_code_2_for_a_job_of_another_plan(compiled):
    run = _run(
        *("run-step", "--plate-dir", "results/demo", "--step", "clean", "--well", "B02"),
        *("--digest", "0" * 32),
        cwd=compiled,
    )
    assert run.returncode == 2
    assert "changed since this job was planned" in run.stderr
    assert not (compiled / "results/demo/manifests").exists()


def test_exit_code_3_for_a_folder_that_is_no_plate(tmp_path):
    run = _run("index", str(tmp_path))
    assert run.returncode == 3
    assert str(tmp_path) in run.stderr


def test_exit_code_3_for_a_plate_with_missing_images(compiled, tmp_path):
    shutil.copytree(compiled, tmp_path / "copy")
    (tmp_path / "copy/plate/TimePoint_1/ZStep_1/9987_B02_s1_w1.TIF").unlink()
    run = _run("compile", cwd=tmp_path / "copy")
    assert run.returncode == 3
    assert "B02_s001_w1_z001_t001.tif" in run.stderr


def test_exit_code_4_for_a_function_that_raises(compiled):
    run = _run(
        *("run-step", "--plate-dir", "results/demo", "--step", "clean", "--well", "B02"),
        *("--log", "log.txt"),
        cwd=compiled,
    )
    assert run.returncode == 4
    assert "step 'clean', well B02: openhcs:stack_percentile_normalize raised" in run.stderr
    assert "Traceback" not in run.stderr
    assert "stack_percentile_normalize raised" in (compiled / "log.txt").read_text()


def test_exit_code_2_for_a_job_with_another_library_version(compiled, tmp_path):
    shutil.copytree(compiled, tmp_path / "copy")
    plan = tmp_path / "copy/results/demo/plan/clean.json"
    data = json.loads(plan.read_text())
    data["groups"][0]["functions"][0]["versions"]["scipy"] = "0.1"
    plan.write_text(json.dumps(data))
    run = _run(
        *("run-step", "--plate-dir", "results/demo", "--step", "clean", "--well", "B02"),
        cwd=tmp_path / "copy",
    )
    assert run.returncode == 2
    assert "step 'clean' was planned with scipy 0.1 (here: " in run.stderr
    assert not (tmp_path / "copy/results/demo/manifests").exists()


def test_explain_says_where_values_come_from_and_writes_nothing(compiled, tmp_path):
    shutil.copytree(compiled, tmp_path / "copy", ignore=shutil.ignore_patterns("results"))
    text = _run("compile", "--explain", "--well", "B03", cwd=tmp_path / "copy").stdout
    assert text.startswith("plate demo, well B03\n\nstep clean (reads the plate, images kept")
    assert re.search(r"low_percentile +60 +config/pipeline.yaml:3 steps\[0\]\n", text)
    assert re.search(r"target_min +0.0 +default of the function\n", text)
    shown = _run("compile", "--explain", "--json", "--step", "clean", cwd=tmp_path / "copy")
    (step,) = json.loads(shown.stdout)[0]["steps"]
    assert step["settings"][0] == {
        "name": "variable_components",
        "value": ["site"],
        "origin": "default",
        "note": "",
        "wells": [],
    }
    assert not (tmp_path / "copy/results").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--step", "clean"), "are for --explain"),
        (("--explain", "--step", "cuont"), "no step 'cuont'; there is clean"),
        (("--explain", "--plate", "x"), "no plate 'x'; there is demo"),
        (("--explain", "--well", "H12"), "no well 'H12'; there is B02, B03"),
    ],
)
def test_exit_code_2_for_something_to_explain_that_is_not_there(compiled, options, message):
    run = _run("compile", *options, cwd=compiled)
    assert run.returncode == 2
    assert message in run.stderr
