"""The workflow as a module of somebody else's Snakefile."""

from pathlib import Path

import pytest

WORKFLOW = Path(__file__).parents[2] / "workflow/Snakefile"
SNAKEFILE = """
rule summary:
    input:
        "results/demo/tables/count/cell_counts.csv",
    output:
        "summary.txt",
    shell:
        "wc -l < {{input}} > {{output}}"


module openhcs:
    snakefile:
        "{workflow}"
    config:
        config


use rule * from openhcs as openhcs_*
"""


@pytest.mark.parametrize("executor", ["local", pytest.param("openhcs", marks=pytest.mark.thorough)])
def test_another_snakefile_builds_on_tables_and_keeps_its_own_target(project, executor):
    project.write("Snakefile", SNAKEFILE.format(workflow=WORKFLOW))
    snakefile = project.folder / "Snakefile"
    run = project.snakemake("--keep-going", "--executor", executor, snakefile=snakefile)
    assert run.returncode == 0, run.output
    table = (project.results / "tables/count/cell_counts.csv").read_text()
    assert int((project.folder / "summary.txt").read_text()) == table.count("\n")
    assert ("count", "intensities.csv") not in run.jobs, "nobody asked for it"

    if executor == "openhcs":  # two wells of one step; what makes tables is one of them
        assert "Warm workers: " in run.output

    everything = project.snakemake("openhcs_all", snakefile=snakefile)
    assert everything.returncode == 0, everything.output
    assert everything.jobs == [("count", "intensities.csv"), ("count", "store")]
