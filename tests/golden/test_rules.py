"""Generated rules, as text: ``make golden`` rewrites the files, the diff is reviewed."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.constants import MemoryType
from openhcs_core.emission import emit_rules
from openhcs_core.microscopes import get_handler
from openhcs_core.plan import CompiledPipeline, SpecialOutputPlan
from openhcs_core.registry import RegistryService

HERE = Path(__file__).parent
PLATE = HERE.parents[1] / "data/demo/9987_Plate_3434"
CASES = {
    "demo": {"demo": "demo"},
    "kept_middle_and_override": {"demo": "kept_middle_and_override"},
    "two_plates_one_pipeline": {"demo": "demo", "Plate 2": "demo"},
    "two_plates_two_pipelines": {"demo": "demo", "other": "kept_middle_and_override"},
    "odd_names": {"Größe (1)": "odd_names"},
    "branches": {"demo": "branches"},
    "chains_by_channel": {"demo": "chains_by_channel"},
    "kept_as_tiff": {"demo": "kept_middle_and_override"},
    "linked": {"demo": "linked"},
    "gpu": {"demo": "gpu", "other": "gpu"},
    "gpu_none": {"demo": "gpu_or_cpu"},
    "sub_dirs": {"demo": "sub_dirs", "other": "demo"},
    "by_well": {"demo": "by_well"},
    "fused": {"demo": "demo"},
    "fused_to_the_kept_step": {"demo": "kept_first", "other": "kept_first"},
    "fused_by_device": {"demo": "gpu_between"},
    "fused_by_well": {"demo": "by_well"},
    "batches": {"demo": "demo"},
    "batches_of_rows": {"demo": "kept_middle_and_override"},
    "fused_batches": {"demo": "demo", "Plate 2": "demo"},
    "batches_by_well": {"demo": "by_well"},
    "plate_wide": {"demo": "plate_wide", "other": "plate_wide"},
}
WELLS = ("A01", "A02", "A03", "B01", "B02", "B03", "C02")
"""Of plates whose wells are done in batches."""
BATCHES = {"batches": 2, "batches_of_rows": 6, "fused_batches": 2, "batches_by_well": 2}
LEAVES_OUT = {"plate_wide"}
GPU = {"gpu_none": "none"}
STORAGE = {"kept_as_tiff": VFSConfig(materialization="disk")}


class _Functions:
    """The functions that there are, some that hand values on, and some of array libraries."""

    def __init__(self):
        self._service = RegistryService()

    def find(self, ref):
        if not ref.startswith("t:"):
            return self._service.find(ref)
        numpy = self._service.find("openhcs:tophat")
        memory_type = {"t:torch": MemoryType.TORCH, "t:cupy": MemoryType.CUPY}.get(ref)
        return numpy.model_copy(
            update={
                "ref": ref,
                "input_memory_type": memory_type or MemoryType.NUMPY,
                "output_memory_type": memory_type or MemoryType.NUMPY,
                "special_inputs": ("positions",) if ref == "t:stitch" else (),
                "special_outputs": (SpecialOutputPlan(name="positions"),)
                if ref == "t:find"
                else (),
            }
        )


def _with_wells(index, wells):
    """Return an index whose wells are copies of the first."""
    copied = [image for image in index.images if image.key.well == index.wells[0]]
    images = (
        image._replace(key=image.key._replace(well=well)) for well in wells for image in copied
    )
    return replace(index, images=tuple(images))


def _rules(case):
    index = get_handler("imagexpress", PLATE).index(PLATE)
    functions = _Functions()
    plates = []
    for plate, pipeline in CASES[case].items():
        if case in BATCHES and pipeline != "by_well":  # which names its wells
            index = _with_wells(index, WELLS)
        document = load_yaml(HERE / "pipelines" / f"{pipeline}.yaml")
        request = CompileRequest(
            plate=plate,
            index=index,
            wells=index.wells,
            pipeline=validate(PipelineConfig, document),
            document=document,
            storage=STORAGE.get(case, VFSConfig()),
            functions=functions,
            memory_types=tuple(MemoryType),
            gpu=GPU.get(case, "auto"),
            granularity="fused" if case.startswith("fused") else "step",
            wells_per_job=BATCHES.get(case, 1),
        )
        compiled = compile_plate(request)
        plates.append(compiled.model_copy(update={"leaves_out": case in LEAVES_OUT}))
    return emit_rules(CompiledPipeline(results="results", plates=tuple(plates)))


@pytest.mark.parametrize("case", CASES)
def test_rules_are_as_reviewed(case):
    path = HERE / "rules" / f"{case}.smk"
    text = _rules(case)
    if os.environ.get("OPENHCS_REWRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_rules_are_formatted():
    run = subprocess.run(
        [sys.executable, "-m", "snakefmt", "--check", "--diff", str(HERE / "rules")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
