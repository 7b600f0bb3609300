"""Six steps for five array libraries through the real snakemake, each job with what it needs."""

import csv
import os

import numpy as np
import pytest
import tifffile

from openhcs_core.memory import get_framework
from openhcs_core.testing.plates import image_path

LIBRARIES = ("torch", "jax", "tensorflow", "pyclesperanto")
FUNCTIONS = '''"""A function for each array library; what it loads is noted."""

import sys

from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.memory import jax, memory_types, numpy, pyclesperanto, tensorflow, torch
from openhcs_core.pipeline import special_outputs

LIBRARIES = ("torch", "jax", "tensorflow", "pyclesperanto", "cupy")


def _loaded():
    return {"library": [name for name in LIBRARIES if name in sys.modules] or ["none"]}


@numpy
@special_outputs(("loaded", MaterializationSpec(CsvOptions())))
def with_numpy(image_stack):
    image_stack += 1  # in place: of its own stack, not of the images
    return image_stack.astype("float32"), _loaded()


@torch
@special_outputs(("loaded", MaterializationSpec(CsvOptions())))
def with_torch(image_stack):
    image_stack.mul_(2)
    return image_stack.transpose(1, 2).transpose(1, 2), _loaded()


@jax
@special_outputs(("loaded", MaterializationSpec(CsvOptions())))
def with_jax(image_stack):
    return image_stack - 3, _loaded()


@tensorflow
@special_outputs(("loaded", MaterializationSpec(CsvOptions())))
def with_tensorflow(image_stack):
    import tensorflow

    return tensorflow.reverse(tensorflow.maximum(image_stack, 500), [1]), _loaded()


@pyclesperanto
@special_outputs(("loaded", MaterializationSpec(CsvOptions())))
def with_pyclesperanto(image_stack):
    import pyclesperanto

    return pyclesperanto.add_image_and_scalar(image_stack, scalar=0.5), _loaded()


@memory_types(input_type="numpy", output_type="torch")
@special_outputs(("loaded", MaterializationSpec(CsvOptions())))
def last(image_stack):
    import torch

    return torch.from_numpy(image_stack[:, ::-1].copy()), _loaded()
'''
STEPS = ("numpy", *LIBRARIES)
PIPELINE = "steps:\n" + "".join(
    f"  - {{name: {name}, func: 'mixed:with_{name}', keep: true}}\n" for name in STEPS
)
CONFIG = """plates:
  demo: {path: plate}
functions: [mixed.py]
pipeline: config/pipeline.yaml
storage: {materialization: disk}
execution: {gpu: none}
"""


def _expected(image):
    value = (image + image.dtype.type(1)).astype("float32")
    yield "numpy", value
    yield "torch", (value := value * 2)
    yield "jax", (value := value - 3)
    yield "tensorflow", (value := np.maximum(value, 500)[::-1])
    yield "pyclesperanto", (value := value + np.float32(0.5))
    yield "last", value[::-1]


def _rows(path):
    with path.open() as stream:
        return {row["library"] for row in csv.DictReader(stream)}


@pytest.mark.parametrize("executor", ["local", pytest.param("openhcs", marks=pytest.mark.thorough)])
def test_one_pipeline_over_five_libraries_gives_the_values_of_numpy(small_project, executor):
    asked = os.environ.get("OPENHCS_TEST_MEMORY_TYPES")
    for name in LIBRARIES:
        if asked is None and not get_framework(name).is_installed:
            pytest.skip(f"{name} is not installed")
        if asked is not None and name not in asked.split(","):
            pytest.skip(f"OPENHCS_TEST_MEMORY_TYPES does not ask for {name}")
    project = small_project((1,))
    project.write("mixed.py", FUNCTIONS)
    project.write("config/config.yaml", CONFIG)
    project.write(
        "config/pipeline.yaml", PIPELINE + "  - {name: last, func: 'mixed:last', keep: true}\n"
    )
    run = project.snakemake("--executor", executor)
    assert run.returncode == 0, run.output
    for site in (1, 2):
        image = tifffile.imread(image_path(project.plate, "A01", site))
        for step, expected in _expected(image):
            (path,) = (project.results / "images" / step / "A01").glob(f"*_s{site:03d}_*.tif")
            np.testing.assert_array_equal(tifffile.imread(path), expected, err_msg=step)
    for step in STEPS:
        loaded = _rows(project.results / f"tables/{step}/loaded.csv")
        if step == "tensorflow":  # which imports jax itself where it finds it
            loaded -= {"jax"}
        assert loaded == ({step} if step != "numpy" else {"none"})
    assert _rows(project.results / "tables/last/loaded.csv") == {"torch"}
    if executor == "openhcs":
        (closing,) = (line for line in run.output.splitlines() if "Warm workers: " in line)
        assert closing.startswith("Warm workers: 12 jobs in ")
        assert " 0 lost)" in closing
