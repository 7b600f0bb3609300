"""CPU of a fused job against a plain script that does the same in one process.

python benchmarks/fused_run.py [--wells 8] [--size 1080] [--repeats 5] [--snakemake]

Four channels a well: a Gaussian on the first, Otsu's threshold on it, labels, area, centre and mean
intensity of each object in all four. The plain script is a loop over numpy, scikit-image and
pandas. The fused job is the command that a generated rule runs, with both steps and all wells; it
writes what every job does: manifests, cached images, tables and, as OME-Zarr, the image that the
last step gives, an eighth of the labels' rows and columns (all of them with ``--labels``).

Both are whole processes, imports included, one after the other in each repeat, and their tables
have to agree in every digit. Then the last step is edited: with the images of the first one in the
cache, and without. ``--snakemake`` adds whole runs, a job a step and well and fused.
"""

import argparse
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from synthetic_plate import write_plate

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """plates:
  plate: {{path: plate}}
functions: [parts.py]
execution: {{granularity: {granularity}, wells_per_job: {wells}}}
"""
PIPELINE = """steps:
  - name: smooth
    func: {"1": {skimage:filters.gaussian: {sigma: 2}}}
    passthrough: ["2", "3", "4"]
    output_dtype: uint16
  - name: measure
    func: {parts:measure: {least_area: 0}}
    variable_components: [channel]
"""
MODULE = """import numpy as np
from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.memory import numpy
from openhcs_core.pipeline import ProcessingContract, processing_contract, special_outputs
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops_table

EVERY = 8
PROPERTIES = ("label", "area", "centroid", "mean_intensity")


@numpy
@processing_contract(ProcessingContract.VOLUMETRIC_TO_SLICE)
@special_outputs(("objects", MaterializationSpec(CsvOptions())))
def measure(stack, least_area: int = 0):
    labels = label(stack[0] > threshold_otsu(stack[0])).astype(np.uint32)
    columns = regionprops_table(labels, np.moveaxis(stack, 0, -1), properties=PROPERTIES)
    keep = columns["area"] >= least_area
    return labels[None, ::EVERY, ::EVERY], {name: values[keep] for name, values in columns.items()}
"""
PLAIN = """import sys
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label, regionprops_table

PROPERTIES = ("label", "area", "centroid", "mean_intensity")
plate, out = Path(sys.argv[1]), Path(sys.argv[2])
out.mkdir()
for well in sys.argv[3:]:
    names = (f"TimePoint_1/ZStep_1/{well}_s1_w{channel}.tif" for channel in range(1, 5))
    stack = np.stack([tifffile.imread(plate / name) for name in names])
    stack[0] = np.rint(gaussian(stack[0], 2, preserve_range=True))
    labels = label(stack[0] > threshold_otsu(stack[0])).astype(np.uint32)
    columns = regionprops_table(labels, np.moveaxis(stack, 0, -1), properties=PROPERTIES)
    pd.DataFrame(columns).to_csv(out / f"{well}.csv", index=False)
"""


def measure_cpu(command: list[str], folder: Path) -> float:
    """Return CPU seconds of a command with its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = os.environ | threads | {"PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{run.stdout[-2000:]}{run.stderr[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Project:
    """A plate with its pipeline, and a plain script beside it."""

    def __init__(self, folder: Path, well_count: int, size: int, every: int) -> None:
        self.folder = folder
        self.wells = [f"A{number:02d}" for number in range(1, well_count + 1)]
        write_plate(folder / "plate", well_count, size, sites=1, channels=4, z_planes=1)
        (folder / "config").mkdir()
        (folder / "parts.py").write_text(MODULE.replace("EVERY = 8", f"EVERY = {every}"))
        (folder / "plain.py").write_text(PLAIN)
        self.configure("fused", well_count)

    def configure(self, granularity: str, wells: int, least_area: int = 0) -> None:
        """Write config and pipeline."""
        text = CONFIG.format(granularity=granularity, wells=wells)
        (self.folder / "config/config.yaml").write_text(text)
        pipeline = PIPELINE.replace("least_area: 0", f"least_area: {least_area}")
        (self.folder / "config/pipeline.yaml").write_text(pipeline)

    def forget(self, name: str = "results") -> None:
        """Remove results, or a part of them, and what Snakemake knows."""
        for path in (self.folder / name, self.folder / ".snakemake"):
            shutil.rmtree(path, ignore_errors=True)

    def plain(self) -> float:
        """Run the plain script; return its CPU seconds."""
        self.forget("plain")
        command = [sys.executable, "plain.py", "plate", "plain", *self.wells]
        return measure_cpu(command, self.folder)

    def fused(self) -> float:
        """Compile, then run the fused job; return the job's CPU seconds."""
        measure_cpu([sys.executable, "-m", "openhcs_core", "compile"], self.folder)
        command = [sys.executable, "-m", "openhcs_core", "run-step"]
        command += ["--plate-dir", "results/plate", "--step", "smooth", "--step", "measure"]
        command += [word for well in self.wells for word in ("--well", well)]
        return measure_cpu([*command, "--logs"], self.folder)

    def snakemake(self, granularity: str, wells: int) -> float:
        """Run everything from nothing; return CPU seconds."""
        self.forget()
        self.configure(granularity, wells)
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--workflow-profile", str(ROOT / "profiles/default"), "--cores", "2"]
        return measure_cpu(command, self.folder)

    def check_tables(self) -> int:
        """Return the number of objects, the same in both; end where a value differs."""
        count = 0
        for well in self.wells:
            plain = read_table(self.folder / f"plain/{well}.csv")
            ours = read_table(self.folder / f"results/plate/tables/measure/{well}.objects.csv")
            for row, own in zip(plain, ours, strict=True):
                if any(float(own[name]) != float(value) for name, value in row.items()):
                    sys.exit(f"well {well}: {own} is not {row}")
            count += len(plain)
        return count


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def run_repeats(project: Project, repeats: int) -> dict[str, list[float]]:
    """Return CPU seconds of each kind of run, one of each repeat."""
    spent: dict[str, list[float]] = {}
    for number in range(1, repeats + 1):
        project.forget()
        project.configure("fused", len(project.wells))
        turn = {"plain script": project.plain(), "fused job": project.fused()}
        if number == 1:
            print(f"{project.check_tables()} objects, the same values in both")
        project.configure("fused", len(project.wells), least_area=number)
        for step in ("smooth", "measure"):  # as Snakemake does it with a job that is to run
            shutil.rmtree(project.folder / f"results/plate/manifests/{step}")
        turn["last step edited"] = project.fused()
        project.forget()
        turn["the same without the cache"] = project.fused()
        for what, cpu_s in turn.items():
            spent.setdefault(what, []).append(cpu_s)
    return spent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wells", type=int, default=8)
    parser.add_argument("--size", type=int, default=1080)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--snakemake", action="store_true", help="whole runs as well")
    parser.add_argument("--labels", action="store_true", help="keep the labels whole")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"{arguments.wells} wells, 4 x {arguments.size} x {arguments.size} uint16 each")
        every = 1 if arguments.labels else 8
        project = Project(Path(folder), arguments.wells, arguments.size, every)
        spent = run_repeats(project, arguments.repeats)
        if arguments.snakemake:
            for granularity, wells in (("step", 1), ("fused", 1), ("fused", arguments.wells)):
                what = f"snakemake, {granularity}, {wells} wells a job"
                spent[what] = [project.snakemake(granularity, wells)]
    if arguments.json:
        print(json.dumps(spent))
        return
    plain = spent["plain script"]
    for what, values in spent.items():
        ratios = [value / floor for value, floor in zip(values, plain, strict=False)]
        print(f"{what:28} {min(values):7.2f} CPU s   {median(ratios):5.2f} x plain")


if __name__ == "__main__":
    main()
