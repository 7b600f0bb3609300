"""A value that one step's jobs find and another's take, through the real snakemake."""

import csv
import json
import os

import tifffile

from openhcs_core.registry.registry_service import REGISTRIES
from openhcs_core.session import RunSession
from openhcs_core.testing.plates import image_path

FUNCTIONS = '''
"""Functions that hand a value on, for one test."""
from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.plan import SpecialOutputPlan
from openhcs_core.registry.unified_registry import FunctionMetadata, LibraryRegistryBase


def find(image_stack):
    return image_stack, int(image_stack.max())


def use(image_stack, highest):
    return image_stack, {"highest": [highest]}


class Registry(LibraryRegistryBase):
    library_name = "t"
    distributions = ("numpy",)

    def get_functions(self):
        return self.discover()

    def load_function(self, name):
        return {"find": find, "use": use}[name]

    def discover(self):
        told = SpecialOutputPlan(name="told", spec=MaterializationSpec(CsvOptions()))
        common = {"module": __name__, "input_memory_type": "numpy", "output_memory_type": "numpy"}
        return {
            "t:find": FunctionMetadata(
                ref="t:find", attribute="find", **common,
                special_outputs=(SpecialOutputPlan(name="highest"),),
            ),
            "t:use": FunctionMetadata(
                ref="t:use", attribute="use", **common,
                special_inputs=("highest",), special_outputs=(told,),
            ),
        }
'''
START = """
from openhcs_core.registry.registry_service import REGISTRIES

REGISTRIES["t"] = "functions_that_hand_on:Registry"
"""
PIPELINE = """steps:
  - {name: find, func: t:find}
  - {name: smooth, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: use, func: t:use}
"""
WELLS = ("A01", "A02")


def _column(path):
    with path.open() as stream:
        return [int(row["highest"]) for row in csv.DictReader(stream)]


def test_values_reach_later_jobs_and_what_is_gone_is_found_again(small_project, monkeypatch):
    project = small_project((1, 2))
    project.write("python/functions_that_hand_on.py", FUNCTIONS)
    project.write("python/sitecustomize.py", START)
    project.write("config/pipeline.yaml", PIPELINE)
    paths = [str(project.folder / "python"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))

    run = project.snakemake()
    assert run.returncode == 0, run.output
    for well in WELLS:
        highest = max(
            int(tifffile.imread(image_path(project.plate, well, site)).max()) for site in (1, 2)
        )
        assert _column(project.results / f"tables/use/{well}.told.csv") == [highest]
        name = f"special/find/{well}.highest.zip"
        made = json.loads((project.results / f"manifests/find/{well}.json").read_text())
        taken = json.loads((project.results / f"manifests/use/{well}.json").read_text())
        assert taken["special"] == {name: made["files"][name]["digest"]}

    monkeypatch.chdir(project.folder)
    monkeypatch.syspath_prepend(paths[0])
    monkeypatch.setitem(REGISTRIES, "t", "functions_that_hand_on:Registry")
    assert _states() == {"A01": "done", "A02": "done"}
    manifest = project.results / "manifests/find/A02.json"
    text = manifest.read_text()
    digest = json.loads(text)["files"]["special/find/A02.highest.zip"]["digest"]
    manifest.write_text(text.replace(digest, "0" * 32))  # as of a newer result of the first step
    assert _states() == {"A01": "done", "A02": "not run"}
    manifest.write_text(text)

    (project.results / "special/find/A01.highest.zip").unlink()
    run = project.snakemake()
    assert run.returncode == 0, run.output
    assert {("find", "A01"), ("use", "A01")} <= set(run.jobs)
    assert "A02" not in {name for _, name in run.jobs}
    assert (project.results / "special/find/A01.highest.zip").exists()


def _states():
    (status,) = RunSession("config/config.yaml").status()
    return {job.well: job.state for job in status.jobs}
