"""Functions by well: what a run says of its wells, its tables and what lies about."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from openhcs_core.cli.commands import cli
from openhcs_core.registry import RegistryService
from openhcs_core.runtime import Job, execute_step, gather_table
from openhcs_core.session import compile_workflow, write_files
from openhcs_core.session.job_states import LastRun
from openhcs_core.session.run_end import end_run
from openhcs_core.session.status import read_status
from openhcs_core.testing.plates import write_imagexpress_plate

COUNT = "{openhcs:count_cells_single_channel: {detection_method: threshold}}"
PIPELINE = f"""steps:
  - name: measure
    group_by: well
    func:
      A01: openhcs:measure_intensity
      A02: {COUNT}
      A03: openhcs:measure_intensity
"""
SCRIPT = """
from openhcs_core.pipeline import FunctionStep

count = ("count_cells_single_channel", {"detection_method": "threshold"})
measure = "measure_intensity"
pipeline_steps = [
    FunctionStep(func={"A03": measure, "A01": measure, "A02": count}, name="measure",
                 group_by="well"),
]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    write_imagexpress_plate(tmp_path / "plate", (1, 2, 3))
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    Path("config/config.yaml").write_text("plates:\n  demo: {path: plate}\n")
    Path("config/pipeline.yaml").write_text(PIPELINE)
    return tmp_path


def _compile():
    compilation = compile_workflow("config/config.yaml")
    write_files(compilation.files)
    return compilation


def _run(*wells):
    for well in wells:
        execute_step(Job(Path("results/demo"), "measure"), well, RegistryService().load)


def _wells(path):
    with Path("results/demo", path).open() as stream:
        return {row["well"] for row in csv.DictReader(stream)}


def test_a_table_waits_for_the_wells_that_have_it_and_no_others(project):
    compilation = _compile()
    _run("A01", "A02")
    text = end_run(compilation, LastRun(0))
    assert "intensities.partial.csv (1 of 2 wells)" in text
    assert "cell_counts.partial" not in text
    assert _wells("tables/measure/intensities.partial.csv") == {"A01"}
    (status,) = read_status(compilation, LastRun(0))
    waiting = [(job.well, job.step) for job in status.jobs if job.state != "done"]
    assert waiting == [("A03", "measure"), ("", "measure"), ("", "measure")], "table and store too"
    gather_table(Job(Path("results/demo"), "measure"), "cell_counts.csv")
    assert _wells("tables/measure/cell_counts.csv") == {"A02"}
    (status,) = read_status(compilation, LastRun(0))
    assert status.tables == {"tables/measure/cell_counts.csv"}


def test_files_of_the_function_a_well_had_are_left_over(project):
    _compile()
    _run("A01", "A02", "A03")
    assert not [text for text in _compile().warnings if "left by" in text]
    Path("config/pipeline.yaml").write_text(
        PIPELINE.replace(f"A02: {COUNT}", "A02: openhcs:tophat")
    )
    (left,) = [text for text in _compile().warnings if "left by" in text]
    assert "rois/measure, tables/measure/A02.cell_counts.csv;" in left


def test_wells_keep_plan_files_of_their_own_when_they_get_one_function_again(project):
    _compile()
    Path("config/pipeline.yaml").write_text(
        "steps:\n  - {name: measure, func: openhcs:measure_intensity}\n"
    )
    (plate,) = _compile().compiled.plates
    assert list(plate.well_steps["measure"]) == ["A01", "A02", "A03"]
    plan = json.loads(Path("results/demo/plan/measure/A02.json").read_text())
    assert plan["groups"][0]["functions"][0]["ref"] == "openhcs:measure_intensity"


def test_python_and_yaml_give_the_same_plans(project):
    compiled = _compile().compiled
    Path("config/pipeline.py").write_text(SCRIPT)
    Path("config/config.yaml").write_text(
        "plates:\n  demo: {path: plate}\npipeline: config/pipeline.py\n"
    )
    assert _compile().compiled == compiled


def test_compile_shows_which_wells_have_which_function(project):
    shown = CliRunner().invoke(cli, ["compile"]).stdout
    assert "A01, A03: openhcs:measure_intensity | A02: openhcs:count_cells_single_channel" in shown
    (plate,) = json.loads(CliRunner().invoke(cli, ["compile", "--json"]).stdout)
    assert plate["steps"][0]["functions"] == [
        "openhcs:measure_intensity",
        "openhcs:count_cells_single_channel",
    ]
