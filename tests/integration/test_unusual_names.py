"""Names that are hard on shells, rules and file systems, through the real snakemake."""

import csv
import json
import os
import zipfile

import numpy as np
import pytest
import tifffile
import zarr

from openhcs_core.testing.plates import image_path

FUNCTIONS = '''
"""Functions whose outputs have unusual names, for one test."""
from openhcs_core.materialization import CsvOptions, MaterializationSpec, ROIOptions
from openhcs_core.plan import SpecialOutputPlan
from openhcs_core.registry.unified_registry import FunctionMetadata, LibraryRegistryBase


def find(image_stack):
    return image_stack, int(image_stack.max())


def use(image_stack, 最大_é):
    labels = (image_stack > 1500).astype("uint8")
    return image_stack, {"é": [最大_é]}, labels


class Registry(LibraryRegistryBase):
    library_name = "t"
    distributions = ("numpy",)

    def get_functions(self):
        return self.discover()

    def load_function(self, name):
        return {"find": find, "use": use}[name]

    def discover(self):
        table = MaterializationSpec(CsvOptions(filename_suffix="_1.5+a-b.csv"))
        common = {"module": __name__, "input_memory_type": "numpy", "output_memory_type": "numpy"}
        return {
            "t:find": FunctionMetadata(
                ref="t:find", attribute="find", **common,
                special_outputs=(SpecialOutputPlan(name="最大_é"),),
            ),
            "t:use": FunctionMetadata(
                ref="t:use", attribute="use", **common,
                special_inputs=("最大_é",),
                special_outputs=(
                    SpecialOutputPlan(name="表_é", spec=table),
                    SpecialOutputPlan(name="細胞", spec=MaterializationSpec(ROIOptions())),
                ),
            ),
        }
'''
START = """
from openhcs_core.registry.registry_service import REGISTRIES

REGISTRIES["t"] = "functions_of_unusual_names:Registry"
"""
CHANNEL = '{DAPI} "405", é\'s 細胞 $1 + (1.5)'
PLATE = "9 Größe (細胞) + 1.5"
FOLDER = "Platte é (1)"
RESULTS = "my results é"
FIND, USE = "1. find é+(細胞)", "2 use.v1 -- é"


@pytest.fixture
def project(small_project, monkeypatch):
    made = small_project((1, 2))
    made.plate.rename(made.folder / FOLDER)
    htd = made.folder / FOLDER / "P.HTD"
    htd.write_text(htd.read_text().replace('"DAPI"', f'"{CHANNEL}"'), encoding="utf-8-sig")
    made.write("python/functions_of_unusual_names.py", FUNCTIONS)
    made.write("python/sitecustomize.py", START)
    config = {"plates": {PLATE: {"path": FOLDER}}, "results": RESULTS}
    steps = [
        {"name": FIND, "func": {CHANNEL: "t:find"}},
        {"name": USE, "func": {CHANNEL: ["t:use", "openhcs:measure_intensity"]}},
    ]
    made.write("config/config.yaml", json.dumps(config))
    made.write("config/pipeline.yaml", json.dumps({"name": "é (1)", "steps": steps}))
    paths = [str(made.folder / "python"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    return made


def _rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_file_is_made_under_its_name_and_nothing_is_left_to_do(project):
    run = project.snakemake()
    assert run.returncode == 0, run.output
    results = project.folder / RESULTS / PLATE
    plate = zarr.open_group(results / f"{USE}.ome.zarr", mode="r")
    highest = {}
    for column, well in enumerate(("A01", "A02"), start=1):
        images = [
            tifffile.imread(image_path(project.folder / FOLDER, well, site)) for site in (1, 2)
        ]
        highest[well] = str(max(int(image.max()) for image in images))
        rows = _rows(results / f"tables/{USE}/{well}.1.表_é_1.5+a-b.csv")
        assert [row["é"] for row in rows] == [highest[well]]
        rows = _rows(results / f"tables/{USE}/{well}.1.intensities.csv")
        assert [float(row["mean_intensity"]) for row in rows] == [
            pytest.approx(image.mean()) for image in images
        ]
        with zipfile.ZipFile(results / f"rois/{USE}/{well}.1.細胞.roi.zip") as rois:
            assert rois.namelist()
        assert (results / f"special/{FIND}/{well}.1.最大_é.zip").exists()
        for field, image in enumerate(images):
            group = plate[f"A/{column:02d}/{field}"]
            (channel,) = group.attrs["ome"]["omero"]["channels"]
            assert channel["label"] == CHANNEL
            np.testing.assert_array_equal(group["0"][0, 0, 0], image)
    table = _rows(results / f"tables/{USE}/表_é_1.5+a-b.csv")
    assert {row["well"]: row["é"] for row in table} == highest
    again = project.snakemake("-n")
    assert again.returncode == 0, again.output
    assert "Nothing to be done" in again.output
