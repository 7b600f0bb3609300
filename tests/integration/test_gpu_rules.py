"""Rules of steps that use a GPU, read by the real snakemake: clean, and asking for it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.constants import MemoryType
from openhcs_core.emission import emit_plan_files, emit_plan_index, emit_rules
from openhcs_core.microscopes import get_handler
from openhcs_core.plan import CompiledPipeline, index_path
from openhcs_core.registry import FunctionMetadata

ROOT = Path(__file__).parents[2]
PIPELINE = """steps:
  - {name: clean, func: "t:torch"}
  - {name: flatten, func: "t:cupy", resources: {gpu: 2, gpu_model: a100.80gb}}
  - {name: smooth, func: "t:torch", resources: {gpu: 0}}
"""
SNAKEFILE = """import json
import os

OPENHCS = json.load(open("results/.plan/plan.json"))


include: "workflow/rules/common.smk"


rule all:
    input:
        OPENHCS["targets"],


include: os.path.abspath("results/.plan/rules.smk")
"""


class _Catalogue:
    def find(self, ref):
        kind = MemoryType(ref.partition(":")[2])
        return FunctionMetadata(
            ref=ref, module="t", attribute="t", input_memory_type=kind, output_memory_type=kind
        )


@pytest.fixture
def project(small_project):
    """Everything that a run would be made of, compiled for libraries that are not there."""
    project = small_project([1])
    project.write("config/pipeline.yaml", PIPELINE)
    index = get_handler("imagexpress", project.plate).index(project.plate)
    document = load_yaml(project.folder / "config/pipeline.yaml")
    plan = compile_plate(
        CompileRequest(
            plate="demo",
            index=index,
            wells=index.wells,
            pipeline=validate(PipelineConfig, document),
            document=document,
            storage=VFSConfig(),
            functions=_Catalogue(),
            memory_types=tuple(MemoryType),
        )
    )
    compiled = CompiledPipeline(results="results", plates=(plan,))
    for path, text in emit_plan_files(plan).items():
        project.write(f"results/demo/{path}", text)
    for well in plan.wells:
        project.write(f"results/demo/{index_path(well)}", "{}")
    project.write("results/.plan/plan.json", emit_plan_index(compiled))
    project.write("results/.plan/rules.smk", emit_rules(compiled))
    project.write("Snakefile", SNAKEFILE)
    shutil.copytree(ROOT / "workflow", project.folder / "workflow")
    return project


def test_schedulers_are_told_of_gpus(project):
    run = project.snakemake("-n", "--forceall", snakefile=project.folder / "Snakefile")
    assert run.returncode == 0, run.output
    asked = {
        name.strip(): [
            part
            for line in job.splitlines()
            if line.strip().startswith("resources:")
            for part in line.partition(":")[2].strip().split(", ")
            if part.startswith("gpu")
        ]
        for name, job in (part.split(":", 1) for part in run.output.split("\nrule ")[1:])
    }
    assert asked["clean"] == ["gpu=1"]
    assert asked["flatten"] == ["gpu=2", "gpu_model=a100.80gb"]
    assert asked["smooth"] == []


def test_the_rules_are_clean(project):
    command = [sys.executable, "-m", "snakemake", "--snakefile", "Snakefile", "--lint"]
    run = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
