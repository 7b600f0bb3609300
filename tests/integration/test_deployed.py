"""The workflow where the Snakemake ecosystem expects it: report, catalogue, snakedeploy."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from openhcs_core.config import load_yaml

ROOT = Path(__file__).parents[2]


def test_the_report_of_snakemake_has_the_tables_by_plate_and_step(finished):
    run = finished.snakemake("--report", "report.html")
    assert run.returncode == 0, run.output
    report = (finished.folder / "report.html").read_text()
    for text in ("cell_counts.csv", "intensities.csv", "plate demo"):
        assert text in report


def test_the_catalogue_finds_what_it_looks_for():
    usage = load_yaml(ROOT / ".snakemake-workflow-catalog.yml").data["usage"]
    assert usage["report"] is True
    assert usage["software-stack-deployment"]["conda"] is True
    assert "openhcs-core" in usage["mandatory-flags"]["desc"]
    for path in ("workflow/Snakefile", "config/config.yaml", "config/README.md", "README.md"):
        assert (ROOT / path).is_file()
    assert list((ROOT / "workflow/schemas").glob("*.schema.json"))


@pytest.mark.thorough
def test_snakedeploy_from_a_local_clone_gives_a_project_that_runs(project_type, tmp_path):
    snakedeploy = ROOT / ".venv-tools/bin/snakedeploy"
    if not snakedeploy.exists():
        pytest.skip(f"needs {snakedeploy} (make test-tools)")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", clone], check=True)
    command = [snakedeploy, "deploy-workflow", clone, tmp_path / "screen", "--branch", "main"]
    subprocess.run([*command, "--name", "openhcs"], check=True, capture_output=True)

    project = project_type(tmp_path / "screen")
    assert (project.folder / "profiles/default/config.yaml").is_file()
    plate = ROOT / "data/demo/9987_Plate_3434"
    project.write("config/config.yaml", f"plates:\n  demo: {{path: {plate}, wells: [B02]}}\n")
    text = (project.folder / "workflow/Snakefile").read_text()
    assert '"workflow/Snakefile"' in text, "docs/deployment.md: the path of the clone is missing"
    text = text.replace('"workflow/Snakefile"', f'"{clone}/workflow/Snakefile"')
    _, hooks = re.findall(
        r"```(?:python)?\n(.*?)```", (ROOT / "docs/deployment.md").read_text(), re.S
    )[:2]
    project.write("workflow/Snakefile", f"{text}\n\n{hooks}")
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2"],
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "Results of plate 'demo' (1 wells) in results/demo/" in run.stderr
    assert (project.results / "tables/count/cell_counts.csv").is_file()
