"""Predicted memory against that of real jobs, and what their records change."""

import json
import subprocess
import sys

import pytest

from openhcs_core.session import compile_workflow


def _records(project, step):
    return [
        json.loads(path.read_bytes())
        for path in sorted((project.results / "benchmarks" / step).glob("*.json"))
    ]


def _compiled(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    (plate,) = compile_workflow("config/config.yaml").compiled.plates
    return plate


def test_memory_of_the_shipped_pipeline_is_predicted_within_a_half(finished, monkeypatch):
    measured = {
        plan.step_name: [record["peak_mb"] for record in _records(finished, plan.step_name)]
        for plan in _compiled(finished, monkeypatch).steps
    }
    for path in finished.results.glob("benchmarks/*/*.json"):
        path.unlink()
    plate = _compiled(finished, monkeypatch)
    for step, found in measured.items():
        took = plate.predictions[step]
        assert len(found) == 2
        assert took.records == 0
        for peak_mb in found:
            assert 1 / 1.5 < took.peak_mb / peak_mb < 1.5, (step, took.peak_mb, peak_mb)
            assert peak_mb < plate.resources[step].mem_mb


def test_records_better_predictions_and_repeat_nothing(finished, monkeypatch):
    plate = _compiled(finished, monkeypatch)
    for step, took in plate.predictions.items():
        assert took.records == 2
        assert took.peak_mb == max(record["peak_mb"] for record in _records(finished, step))
    run = finished.snakemake("-n")
    assert run.returncode == 0, run.output
    assert "Nothing to be done" in run.output
    index = json.loads((finished.folder / "results/.plan/plan.json").read_bytes())
    assert index["plates"]["demo"]["predictions"]["clean"]["records"] == 2


@pytest.mark.thorough
def test_a_job_that_takes_a_result_from_the_cache_records_nothing(finished):
    manifest = finished.results / "manifests/flatten/B02.json"
    record = finished.results / "benchmarks/flatten/B02.json"
    manifest.unlink()
    record.unlink()
    command = ["run-step", "--plate-dir", "results/demo", "--step", "flatten", "--well", "B02"]
    subprocess.run(
        [sys.executable, "-m", "openhcs_core", *command], cwd=finished.folder, check=True
    )
    assert manifest.exists()
    assert not record.exists()
