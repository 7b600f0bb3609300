"""``snakemake --profile slurm`` gives what a run on this machine gives."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SUBMITTED = "has been submitted with SLURM jobid"


def test_two_plates_give_what_a_local_run_gives(new_project):
    wells = range(1, 9)
    on_cluster = new_project("cluster", plates=("one", "two"), columns=wells)
    on_cluster.configure("execution: {granularity: fused, wells_per_job: 8}\n")
    assert on_cluster.done().count(_SUBMITTED) == 2

    # what jobs took was measured there, and is what the next run asks for
    on_cluster.done("-n")
    plan = json.loads((on_cluster.results / ".plan/plan.json").read_bytes())
    took = plan["plates"]["one"]["predictions"]
    assert [took[step]["records"] for step in ("clean", "count")] == [8, 8]

    local = new_project("local", plates=("one", "two"), columns=wells)
    local.done("--executor", "openhcs", local=True)
    assert on_cluster.committed() == local.committed()
    assert len(local.committed()) > 2 * len(wells) * 4


@pytest.mark.thorough
def test_two_hundred_step_wells_are_few_jobs(new_project):
    plates = tuple(f"plate{number}" for number in range(1, 10))
    on_cluster = new_project("cluster", plates=plates, columns=range(1, 13))
    on_cluster.configure("execution: {granularity: fused, wells_per_job: auto}\n")
    assert on_cluster.done().count(_SUBMITTED) == len(plates)
    local = new_project("local", plates=plates, columns=range(1, 13))
    local.done("--executor", "openhcs", local=True)
    assert on_cluster.committed() == local.committed()


@pytest.mark.thorough
def test_whole_rows_are_tasks_of_an_array(new_project):
    project = new_project(columns=range(1, 5))
    project.done("--slurm-array-jobs", "all")
    local = new_project("local", columns=range(1, 5))
    local.done("--executor", "openhcs", local=True)
    assert project.committed() == local.committed()


@pytest.mark.parametrize("place", ["root", pytest.param("installed", marks=pytest.mark.thorough)])
def test_the_profile_is_found_as_it_is_typed(new_project, tmp_path, place):
    """At the root of a fresh clone, and in any folder once it is installed."""
    project = new_project(columns=(1,))
    environment = {**project.environment, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    if place == "root":
        _clone(project.folder)
    else:
        install = [sys.executable, "-m", "openhcs_core", "profiles", "install"]
        subprocess.run(install, env=environment, check=True)
        shutil.copytree(ROOT / "workflow", project.folder / "workflow")
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "-n"]
    run = subprocess.run(
        command, cwd=project.folder, env=environment, capture_output=True, text=True, check=False
    )
    told = run.stdout + run.stderr
    assert run.returncode == 0, told
    assert "slurm" in next(line for line in told.splitlines() if line.startswith("Using profile"))


def _clone(folder):
    """Put what is at the root of a clone beside a project's config."""
    for name in ("workflow", "profiles"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "slurm").symlink_to((ROOT / "slurm").readlink())
