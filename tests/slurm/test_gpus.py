"""Steps that use a GPU get one, and others never hold one."""

import importlib.util

import pytest

PIPELINE = """
steps:
  - {name: clean, func: {openhcs:tophat: {selem_radius: 10}}}
  - {name: work, func: 'mine:invert', keep: true, resources: {gpu: 1, gpu_model: fake}}
"""
FUNCTIONS = '''"""A function of torch's, which on a machine without GPUs finds none."""

from openhcs_core.memory import torch


@torch
def invert(image_stack):
    return image_stack.max() - image_stack
'''


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
def test_a_step_of_torch_gets_a_gpu_and_a_step_of_numpy_none(new_project):
    project = new_project(columns=(1,))
    project.write("mine.py", FUNCTIONS)
    project.configure("functions: [mine.py]\n")
    project.write("config/pipeline.yaml", PIPELINE)
    code, output = project.snakemake("--retries", "0")
    logs = project.results / "one/logs"
    assert "no GPU is asked for, and none is seen" in (logs / "clean/A01.log").read_text()
    worked = (logs / "work/A01.log").read_text()
    # Slurm gave it one of those that the node declares; there is none, which torch says
    assert "device: CUDA_VISIBLE_DEVICES=0" in worked
    assert "was given 0, but torch sees no GPUs here" in worked
    assert code == 1, output
    cpu, gpu = project.cluster.call("scontrol", "--oneliner", "show", "job").splitlines()[-2:]
    assert "Partition=cpu" in cpu
    assert "gres:gpu" not in cpu
    assert "Partition=gpu" in gpu
    assert "TresPerJob=gres:gpu:fake:1" in gpu
