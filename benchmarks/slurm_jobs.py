"""Jobs and wall time on Slurm: a job a step and well, in batches, fused.

python benchmarks/slurm_jobs.py [--wells 100] [--plain-wells 100] [--minutes 1]

A plate of small images and four short steps, so that nearly all is what jobs cost around their
work: 100 wells are 400 step-wells. A cluster that is up (SLURM_CONF) is used, else one is started
on this machine (tests/slurm/cluster.py: two nodes of four declared cores). Where a job a step and
well would take too long, --plain-wells does fewer, and the last column scales jobs and time up:
without the start of snakemake itself, as every node is busy all the time.
"""

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, SIZE, STEPS = 10, 64, 4
CONFIG = """plates:
  plate:
    path: plate
    microscope: generic
    generic: {{pattern: "{{well}}_s{{site}}_w{{channel}}.tif"}}
execution: {{{execution}}}
"""
PIPELINE = """steps:
  - {name: flat, func: {openhcs:tophat: {selem_radius: 10}}}
  - {name: smooth, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: even, func: skimage:filters.median}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 20}}}
"""
_SUBMITTED = re.compile(r"has been submitted with SLURM jobid")
_START_S = 5.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wells", type=int, default=100)
    parser.add_argument("--plain-wells", type=int)
    parser.add_argument("--minutes", type=int, default=1, help="of a job that is chosen")
    given = parser.parse_args()
    few = min(given.plain_wells or given.wells, given.wells)
    auto = f"wells_per_job: auto, minutes_per_job: {given.minutes}"
    kinds = {
        "a job a step and well": ("granularity: step", few),
        f"batches ({auto})": (f"granularity: step, {auto}", given.wells),
        f"fused batches ({auto})": (f"granularity: fused, {auto}", given.wells),
    }
    print(f"{given.wells} wells x {STEPS} steps of {SIZE} x {SIZE} px on Slurm")
    all_of_them = given.wells * STEPS
    print(
        f"| jobs | step-wells | Slurm jobs | wall s | ms a step-well | {all_of_them} step-wells |"
    )
    print("|---|---:|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory(prefix="openhcs-slurm-") as folder:
        Path(folder).chmod(0o755)
        state, environment = _cluster(Path(folder) / "state")
        try:
            for kind, (execution, wells) in kinds.items():
                project = Path(folder) / f"{len(list(Path(folder).iterdir()))}"
                _write(project, execution, wells)
                print(_row(kind, given.wells, wells, *_run(project, environment)), flush=True)
        finally:
            if state is not None:
                state.down(Path(folder) / "state")


def _cluster(folder):
    """Return what starts and stops clusters (nothing where one is up), and the environment."""
    if "SLURM_CONF" in os.environ:
        return None, dict(os.environ)
    place = ROOT / "tests/slurm/cluster.py"
    spec = importlib.util.spec_from_file_location("openhcs_slurm_cluster", place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module, {**os.environ, **module.up(folder).environment}


def _write(project, execution, wells):
    (project / "plate").mkdir(parents=True)
    (project / "config").mkdir()
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE]
    for number in range(wells):
        well = f"{chr(65 + number // COLUMNS)}{number % COLUMNS + 1:02d}"
        image = random.poisson(200, (SIZE, SIZE))
        for at_y, at_x in random.integers(10, SIZE - 10, (4, 2)):
            image[(y - at_y) ** 2 + (x - at_x) ** 2 < 25] += 3000
        tifffile.imwrite(project / "plate" / f"{well}_s1_w1.tif", image.astype(np.uint16))
    (project / "config/config.yaml").write_text(CONFIG.format(execution=execution))
    (project / "config/pipeline.yaml").write_text(PIPELINE)


def _run(project, environment):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--profile", str(ROOT / "profiles/slurm")]
    command += ["--slurm-init-seconds-before-status-checks", "2"]
    begin = time.perf_counter()
    run = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    wall = time.perf_counter() - begin
    if run.returncode != 0:
        raise SystemExit(run.stdout + run.stderr)
    shutil.rmtree(project)
    return len(_SUBMITTED.findall(run.stdout + run.stderr)), wall


def _row(kind, all_wells, wells, jobs, wall):
    step_wells, scale = wells * STEPS, all_wells / wells
    took = f"{jobs * scale:.0f} jobs, {_START_S + (wall - _START_S) * scale:.0f} s"
    measured = f"{took}{' (scaled)' if wells != all_wells else ''}"
    each = 1000 * wall / step_wells
    return f"| {kind} | {step_wells} | {jobs} | {wall:.0f} | {each:.0f} | {measured} |"


if __name__ == "__main__":
    main()
