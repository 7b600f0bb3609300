"""CPU of `snakemake -n`: generated rules beside the same workflow written by hand, and a bare one.

python benchmarks/dry_run.py [--wells 384] [--steps 10] [--repeats 2] [--profile FILE]

All have the same jobs. The one by hand has what the generated rules have: inputs, outputs, log,
benchmark, constraints, priority, resources and params. The bare one has an input, an output and
a command a job. The last figure is of a whole project: `snakemake -n` with config, a plate of tiny
images on disk and the compiler.
"""

import argparse
import io
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from compile_plate import make_index, pipeline_text

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.emission import emit_plan_files, emit_plan_index, emit_rules
from openhcs_core.plan import CompiledPipeline, index_path
from openhcs_core.planes import row_number, split_well
from openhcs_core.registry import RegistryService

ROOT = Path(__file__).resolve().parents[1]
BUDGETS = "budgets: 1.1 x by hand; 1.5 x bare at 4,000 jobs, 2.2 x at 38,000"
TARGETS = 'rule all:\n    input: OPENHCS["targets"],\n'
GENERATED = f"""import json
with open("results/.plan/plan.json") as stream:
    OPENHCS = json.load(stream)
include: "{ROOT}/workflow/rules/common.smk"
{TARGETS}
include: "results/.plan/rules.smk"
"""


def write_project(folder: Path, well_count: int, step_count: int) -> None:
    """Write what the compiler makes of a plate that exists on paper, and files to start from."""
    index = make_index(well_count)
    pipeline = folder / "pipeline.yaml"
    pipeline.write_text(pipeline_text(step_count))
    document = load_yaml(pipeline)
    plan = compile_plate(
        CompileRequest(
            plate="plate",
            index=index,
            wells=index.wells,
            pipeline=validate(PipelineConfig, document),
            document=document,
            storage=VFSConfig(),
            functions=RegistryService(),
        )
    )
    compiled = CompiledPipeline(results="results", plates=(plan,))
    files = {f"plate/{path}": text for path, text in emit_plan_files(plan).items()}
    files |= {f"plate/{index_path(well)}": "{}" for well in index.wells}
    files[".plan/plan.json"] = emit_plan_index(compiled)
    files[".plan/rules.smk"] = emit_rules(compiled)
    for path, text in files.items():
        target = folder / "results" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    steps = [plan.step_name for plan in plan.steps]
    (folder / "generated.smk").write_text(GENERATED)
    (folder / "by_hand.smk").write_text(by_hand(steps, index.wells))
    (folder / "bare.smk").write_text(bare(steps, index.wells))


def by_hand(steps: list[str], wells: tuple[str, ...]) -> str:
    """Return the workflow that a person would write, with all the directives."""
    kept = steps[-1]
    images = f"results/plate/{kept}.ome.zarr"
    blocks = [
        f"""WELLS = {list(wells)!r}
ROWS = [well.rstrip("0123456789") for well in WELLS]
COLUMNS = [well[-2:] for well in WELLS]
rule all:
    input:
        expand("results/plate/manifests/{{step}}/{{well}}.json", step={steps!r}, well=WELLS),
        expand("results/plate/tables/{kept}/{{well}}.cell_counts.csv", well=WELLS),
        expand("results/plate/rois/{kept}/{{well}}.masks.roi.zip", well=WELLS),
        expand("{images}/{{row}}/{{column}}/zarr.json", zip, row=ROWS, column=COLUMNS),
        "{images}/zarr.json",
        "results/plate/tables/{kept}/cell_counts.csv",
"""
    ]
    for number, step in enumerate(steps):
        source = f"manifests/{steps[number - 1]}" if number else "index"
        is_kept = step == kept
        blocks.append(_step_by_hand(step, source, number, images if is_kept else None))
    blocks.append(_plate_job_by_hand(kept, "store", "", f"metadata='{images}/zarr.json'"))
    tables = f"expand('results/plate/tables/{kept}/{{well}}.cell_counts.csv', well=WELLS), "
    output = f"table='results/plate/tables/{kept}/cell_counts.csv'"
    blocks.append(_plate_job_by_hand(kept, "cell_counts.csv", tables, output))
    return "\n".join(blocks)


def _step_by_hand(step: str, source: str, priority: int, images: str | None) -> str:
    well = "{well}" if images is None else "{row}{column}"
    constraints = (
        r'well="[A-Z]{1,2}[0-9]{2}"' if images is None else ('row="[A-Z]{1,2}", column="[0-9]{2}"')
    )
    more = (
        ""
        if images is None
        else f"""
        images="{images}/{{row}}/{{column}}/zarr.json",
        table="results/plate/tables/{step}/{well}.cell_counts.csv",
        rois="results/plate/rois/{step}/{well}.masks.roi.zip","""
    )
    wildcards = well.replace("{", "{wildcards.")
    return f"""rule {step}:
    input:
        plan="results/plate/plan/{step}.json",
        source="results/plate/{source}/{well}.json",
    output:
        manifest="results/plate/manifests/{step}/{well}.json",{more}
    log: "results/plate/logs/{step}/{well}.log"
    benchmark: "results/plate/benchmarks/{step}/{well}.tsv"
    wildcard_constraints: {constraints}
    priority: {priority}
    conda: "{ROOT}/workflow/envs/openhcs-core.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * 2 ** (attempt - 1),
        runtime=lambda wildcards, attempt: 30 * attempt,
    params: sigma=1
    shell: "analyse --step {step} --well {wildcards} --sigma {{params.sigma}} --log {{log:q}}"
"""


def _plate_job_by_hand(step: str, what: str, inputs: str, output: str) -> str:
    return f"""rule {step}_{what.partition(".")[0]}:
    input: {inputs}plan="results/plate/plan/{step}/{what}.json"
    output: {output}
    log: "results/plate/logs/{step}/{what}.log"
    localrule: True
    conda: "{ROOT}/workflow/envs/openhcs-core.yaml"
    params: limit=1
    shell: "join {{input}} {{params.limit}}"
"""


def bare(steps: list[str], wells: tuple[str, ...]) -> str:
    """Return a workflow of as many jobs that says no more than it must."""
    last = f"expand('{steps[-1]}/{{well}}', well=WELLS)"
    blocks = [f"WELLS = {list(wells)!r}", f"rule all:\n    input: {last}, 'store', 'table'\n"]
    sources = ["results/plate/index/{well}.json", *(f"{step}/{{well}}" for step in steps)]
    rules = [
        (step, f"'{source}'", f"{step}/{{well}}")
        for step, source in zip(steps, sources, strict=False)
    ]
    rules += [
        ("store", f"'results/plate/plan/{steps[-1]}.json'", "store"),
        ("table", last, "table"),
    ]
    blocks += [
        f"rule {name}:\n    input: {source}\n    output: '{output}'\n    shell: 'do {{input}}'\n"
        for name, source, output in rules
    ]
    return "\n".join(blocks)


def write_whole_project(folder: Path, well_count: int, step_count: int) -> None:
    """Write a project with a plate of one tiny image a well."""
    wells = make_index(well_count).wells
    columns, rows = (24, 16) if well_count <= 384 else (48, 32)
    chosen = {split_well(well) for well in wells}
    places = {(row_number(row), int(column)) for row, column in chosen}
    lines = ['"HTSInfoFile", Version 1.0', '"TimePoints", 1', '"ZSeries", FALSE']
    lines += [f'"XWells", {columns}', f'"YWells", {rows}']
    for row in range(rows):
        selected = ("TRUE" if (row, x) in places else "FALSE" for x in range(1, columns + 1))
        lines.append(f'"WellsSelection{row + 1}", {", ".join(selected)}')
    lines += ['"Sites", FALSE', '"Waves", TRUE', '"NWavelengths", 1', '"WaveName1", "DAPI"']
    lines += ['"WaveCollect1", 1', '"EndFile"']
    images = folder / "plate" / "TimePoint_1"
    images.mkdir(parents=True)
    (folder / "plate" / "P.HTD").write_text("\n".join(lines) + "\n")
    for number, well in enumerate(wells):
        stream = io.BytesIO()
        tifffile.imwrite(stream, np.full((8, 8), number, np.uint16))
        (images / f"P_{well}_w1.TIF").write_bytes(stream.getvalue())
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text("plates:\n  plate: {path: plate}\n")
    (folder / "config" / "pipeline.yaml").write_text(pipeline_text(step_count))


def measure(folder: Path, snakefile: Path, *python: str) -> tuple[float, int]:
    """Return the CPU seconds of a dry run and how many jobs it found."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [sys.executable, *python, "-m", "snakemake", "-n", "--snakefile", str(snakefile)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"^total +(\d+)$", run.stdout + run.stderr, re.MULTILINE)
    if run.returncode != 0 or found is None:
        sys.exit(f"{snakefile.name} failed:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, int(found[1])


def main(well_count: int, step_count: int, repeats: int, profile: str | None) -> None:
    """Print the least CPU of each workflow and the ratios."""
    names = ("generated", "by_hand", "bare", "whole")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as parts, tempfile.TemporaryDirectory() as project:
        write_project(Path(parts), well_count, step_count)
        write_whole_project(Path(project), well_count, step_count)
        jobs = set()
        for _ in range(repeats):
            for name in names[:-1]:
                cpu_s, count = measure(Path(parts), Path(parts, f"{name}.smk"))
                seconds[name].append(cpu_s)
                jobs.add(count)
            cpu_s, count = measure(Path(project), ROOT / "Snakefile")
            seconds["whole"].append(cpu_s)
            jobs.add(count)
        if len(jobs) > 1:
            sys.exit(f"the workflows differ in their jobs: {sorted(jobs)}")
        if profile is not None:
            arguments = ("-m", "cProfile", "-o", str(Path(profile).resolve()))
            measure(Path(parts), Path(parts, "generated.smk"), *arguments)
    best = {name: min(values) for name, values in seconds.items()}
    print(f"{well_count} wells x {step_count} steps, {jobs.pop()} jobs, CPU of snakemake -n:")
    for name in names:
        print(f"  {name:10} {best[name]:7.2f} s")
    for name in ("by_hand", "bare"):
        print(f"  generated / {name:8} {best['generated'] / best[name]:.2f}")
    print(f"  {BUDGETS}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wells", type=int, default=384)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--profile", help="also write a cProfile of the generated rules here")
    given = parser.parse_args()
    main(given.wells, given.steps, given.repeats, given.profile)
