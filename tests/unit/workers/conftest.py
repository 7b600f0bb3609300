"""A compiled project whose jobs are done by workers, without Snakemake."""

import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from openhcs_core.testing.plates import write_imagexpress_plate
from openhcs_core.workers import read_step_line

MODULE = '''"""Functions that tell what their process is like."""

import os
import time
from pathlib import Path

import numpy as np

from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.memory import numpy, torch
from openhcs_core.pipeline import special_outputs

FOUND = ("found", MaterializationSpec(CsvOptions()))


def started_with():
    """Return the devices that the process was started with: a job may change its environment."""
    lines = Path("/proc/self/environ").read_bytes().split(bytes(1))
    name = b"CUDA_VISIBLE_DEVICES="
    return next((line.removeprefix(name).decode() for line in lines if line.startswith(name)), "")


@numpy
@special_outputs(FOUND)
def tell(image_stack, wait_s: float = 0.0):
    """Say who does this, then wait."""
    from threadpoolctl import threadpool_info

    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    Path("begun").write_text(str(os.getpid()))
    time.sleep(wait_s)
    found = {"pid": [os.getpid()], "threads": [blas[0]], "devices": [started_with()]}
    return image_stack, found


@torch
@special_outputs(FOUND)
def tell_torch(image_stack, changes: bool = False):
    """Say what torch is like, then change it."""
    import torch

    found = {"pid": [os.getpid()], "threads": [torch.get_num_threads()]}
    if changes:
        torch.set_default_dtype(torch.float64)
    return image_stack, found


@numpy
@special_outputs(FOUND)
def load_more(image_stack):
    """Load a library that nothing declares."""
    import torch

    return image_stack, {"pid": [os.getpid()]}
'''
PIPELINE = """steps:
  - {name: tell, func: {mine:tell: {wait_s: 0}}}
  - {name: after, func: {openhcs:max_projection: {}}}
  - {name: torch, func: {mine:tell_torch: {changes: false}}, input_source: pipeline_start}
  - {name: changes, func: {mine:tell_torch: {changes: true}}, input_source: pipeline_start}
  - {name: more, func: {mine:load_more: {}}, input_source: pipeline_start}
overrides:
  - wells: [A02]
    set: {tell: {mine:tell: {wait_s: 60}}}
"""
CONFIG = "plates:\n  demo: {path: plate}\nfunctions: [mine.py]\nstorage: {materialization: disk}\n"


@dataclass(frozen=True)
class Project:
    """A working directory."""

    folder: Path

    @property
    def results(self):
        return self.folder / "results/demo"

    def line(self, step, well):
        """The command line of a job."""
        what = f"--plate-dir results/demo --step {step} --well {well}"
        return read_step_line(
            f"openhcs-core run-step {what} --log results/demo/logs/{step}/{well}.log"
        )

    def found(self, step, well):
        """What a function told."""
        with (self.results / f"tables/{step}/{well}.found.csv").open() as stream:
            (row, *_) = csv.DictReader(stream)
        return row


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The project, compiled; the working directory is in it."""
    write_imagexpress_plate(tmp_path / "plate", (1, 2, 3))
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(CONFIG)
    (tmp_path / "config/pipeline.yaml").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", str(tmp_path / ".cache")))
    command = [sys.executable, "-m", "openhcs_core", "compile"]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    return Project(tmp_path)
