"""What a whole run takes, and refusing one that the disk has no room for."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from openhcs_core.plan import JobResources, PlatePlan, StepPlan, StepPrediction
from openhcs_core.session.files import changed_plans
from openhcs_core.session.totals import all_wells, describe_totals, missing_wells, total

ROOT = Path(__file__).parents[3]


@pytest.fixture
def plate():
    took = {
        "a": StepPrediction(peak_mb=100, cpu_s=36, cached_bytes=2 * 10**9, kept_bytes=0),
        "b": StepPrediction(peak_mb=300, cpu_s=72, cached_bytes=0, kept_bytes=10**9),
    }
    return PlatePlan(
        name="p",
        wells=("A01", "A02"),
        steps=(StepPlan(step_name="a"), StepPlan(step_name="b", source="a")),
        resources={
            "a": JobResources(mem_mb=200, runtime_min=10),
            "b": JobResources(mem_mb=400, runtime_min=10, gpu=1),
        },
        predictions=took,
    )


def test_a_run_takes_what_its_jobs_take(plate):
    totals = total([(plate, all_wells(plate))], cache_bytes=10**9)
    assert totals.cpu_h == pytest.approx(2 * (36 + 72) / 3600)
    assert totals.gpu_h == pytest.approx(2 * 72 / 3600)
    assert totals.peak_mb == 300
    assert totals.peak_bytes == 2 * 3 * 10**9
    assert totals.final_bytes == 10**9 + 2 * 10**9  # the cache is brought back to its size
    assert describe_totals(totals) == (
        "predicted 3.6 min of a core and 2.4 min of a GPU, up to 300 MB a job, "
        "6.0 GB on disk at peak and 3.0 GB in the end"
    )


def test_what_is_done_takes_nothing(plate, tmp_path):
    manifests = tmp_path / "manifests/a"
    manifests.mkdir(parents=True)
    (manifests / "A02.json").touch()
    (manifests / "H12.json").touch()  # no well of this plate any more
    assert missing_wells(plate, tmp_path) == {"a": 1, "b": 2}
    totals = total([(plate, {"a": 0, "b": 0})], cache_bytes=10**9)
    assert (totals.peak_mb, totals.peak_bytes, totals.cpu_h) == (0, 0, 0)


def test_better_predictions_are_no_other_plan(tmp_path):
    path = tmp_path / "plan.json"
    index = {"plates": {"p": {"digests": {"a": "1"}, "resources": {"a": {"mem_mb": 1}}}}}
    path.write_text(json.dumps(index))
    index["plates"]["p"]["resources"]["a"]["mem_mb"] = 2
    assert changed_plans({str(path): json.dumps(index)}) == []
    index["plates"]["p"]["digests"]["a"] = "2"
    assert changed_plans({str(path): json.dumps(index)}) == [str(path)]
    assert changed_plans({str(tmp_path / "none/plan.json"): json.dumps(index)})


def _compile(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "openhcs_core", "compile", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_disk_without_room_is_refused_before_any_job(small_disk, tmp_path):
    shutil.copytree(ROOT / "data/demo/9987_Plate_3434", tmp_path / "plate")
    (tmp_path / "config").mkdir()
    shutil.copy(ROOT / "config/pipeline.yaml", tmp_path / "config")
    config = tmp_path / "config/config.yaml"
    text = f"plates:\n  demo: {{path: plate}}\nstorage:\n  cache_dir: '{small_disk}/cache'\n"
    config.write_text(text)
    run = _compile(tmp_path)
    assert run.returncode == 5
    assert str(small_disk) in run.stderr
    assert "needs" in run.stderr
    assert "storage.check_space" in run.stderr
    config.write_text(text + "  check_space: false\n")
    run = _compile(tmp_path)
    assert run.returncode == 0, run.stderr
    assert "from nothing: predicted" in run.stdout
