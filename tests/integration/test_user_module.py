"""A module of the user's own through the real snakemake: what an edit of it runs again."""

import csv
import subprocess
import sys

import tifffile

from openhcs_core.testing.plates import image_path

MINE = '''"""Functions of this screen."""

from helpers import scale

from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.memory import numpy
from openhcs_core.pipeline import special_outputs

print("imported")


@numpy
@special_outputs(("peaks", MaterializationSpec(CsvOptions())))
def find_peak(image_stack, factor: int = 2):
    """Find the brightest pixel."""
    return image_stack, {"peak": [scale(int(image_stack.max()), factor)]}
'''
HELPERS = """def scale(value, factor):
    return value * factor
"""
CONFIG = "plates:\n  demo: {path: plate}\nfunctions: [workflow/functions/mine.py]\n"
PIPELINE = """from mine import find_peak

from openhcs_core.pipeline import FunctionStep

pipeline_steps = [
    FunctionStep(func="max_projection", name="before"),
    FunctionStep(func=find_peak, factor=3, name="peaks"),
    FunctionStep(func="max_projection", name="after"),
]
"""
MODULE = "workflow/functions/mine.py"
CHANGED = [("after", "A01"), ("peaks", "A01"), ("peaks", "peaks.csv")]


def _peaks(project):
    with (project.results / "tables/peaks/peaks.csv").open() as stream:
        return [int(row["peak"]) for row in csv.DictReader(stream)]


def test_only_steps_of_an_edited_module_and_those_after_them_run_again(small_project):
    project = small_project((1,))
    project.write(MODULE, MINE)
    project.write("workflow/functions/helpers.py", HELPERS)
    project.write("config/config.yaml", CONFIG + "pipeline: config/pipeline.py\n")
    project.write("config/pipeline.py", PIPELINE)
    run = project.snakemake()
    assert run.returncode == 0, run.output
    highest = max(
        int(tifffile.imread(image_path(project.plate, "A01", site)).max()) for site in (1, 2)
    )
    assert _peaks(project) == [3 * highest]

    project.edit(MODULE, '"""Find the brightest pixel."""', "# a comment says more")
    project.edit("workflow/functions/helpers.py", "value * factor", "(value * factor)  # scaled")
    dry = project.snakemake("-n")
    assert "Nothing to be done" in dry.output, dry.output

    project.edit("workflow/functions/helpers.py", "value * factor", "value * factor + 1")
    stale = _run_step(project)
    assert stale.returncode == 2
    assert "other code than step 'peaks' was planned with" in stale.stderr
    run = project.snakemake()
    assert run.returncode == 0, run.output
    assert run.jobs == CHANGED
    assert _peaks(project) == [3 * highest + 1]

    project.edit(MODULE, "int(image_stack.max())", "int(image_stack.max()) - 1")
    run = project.snakemake()
    assert run.returncode == 0, run.output
    assert run.jobs == CHANGED
    assert _peaks(project) == [3 * (highest - 1) + 1]


def _run_step(project):
    """Run a job as another node does: with the results folder alone."""
    command = [sys.executable, "-m", "openhcs_core", "run-step", "--step", "peaks", "--well", "A01"]
    return subprocess.run(
        [*command, "--plate-dir", str(project.results)],
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
