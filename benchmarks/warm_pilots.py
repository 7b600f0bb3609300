"""What a job costs on pilots of a Slurm cluster, beside local warm workers and Slurm jobs.

python benchmarks/warm_pilots.py [--plates 2 10] [--wells 10] [--steps 4] [--pilots 1 4]
    [--interface lo] [--slurm-jobs 8]

Needs a Slurm cluster (sbatch on PATH) and the extra `slurm`. Each way does two numbers of jobs, a
max projection of images of 64 x 64 px each; what a run costs once (Snakemake's start, that of
pilots) does not count: time of a job = (time of the larger run - time of the smaller) / (jobs of
the larger - jobs of the smaller). Local runs with as many cores as there are pilots stand beside.
With --slurm-jobs, so many jobs through `--profile slurm` as well: their time is the whole run's.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from openhcs_core.testing.plates import write_imagexpress_plate

ROOT = Path(__file__).parents[1]


def make(folder: Path, plates: int, wells: int, steps: int) -> int:
    """Write a project; return the number of its jobs that run a step on a well."""
    names = [f"p{number}" for number in range(plates)]
    for name in names:
        write_imagexpress_plate(folder / name, range(1, wells + 1))
    (folder / "config").mkdir()
    listed = "".join(f"  {name}: {{path: {name}}}\n" for name in names)
    config = f"storage: {{materialization: disk}}\nplates:\n{listed}"
    (folder / "config/config.yaml").write_text(config)
    lines = (f"  - {{name: s{n}, func: {{openhcs:max_projection: {{}}}}}}\n" for n in range(steps))
    (folder / "config/pipeline.yaml").write_text("steps:\n" + "".join(lines))
    return plates * wells * steps


def run(plates: int, wells: int, steps: int, *arguments: str) -> tuple[int, float, str]:
    """Return jobs, seconds and what the run said of its workers."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        jobs = make(folder, plates, wells, steps)
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        start = time.monotonic()
        done = subprocess.run(
            [*command, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - start
        said = done.stdout + done.stderr
        if done.returncode:
            sys.exit(said)
    lines = [line for line in said.splitlines() if line.startswith("Warm workers")]
    return jobs, seconds, lines[0] if lines else ""


def compare(name: str, options: argparse.Namespace, *arguments: str) -> None:
    """Print what a job costs in one way."""
    (few, few_s, _), (many, many_s, said) = (
        run(plates, options.wells, options.steps, *arguments) for plates in options.plates
    )
    each = 1000 * (many_s - few_s) / (many - few)
    print(f"{name}: {many} jobs {many_s:.1f} s, {few} jobs {few_s:.1f} s: {each:.1f} ms a job")
    print(f"  {said}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--plates", nargs=2, type=int, default=[2, 10])
    parser.add_argument("--wells", type=int, default=10)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--pilots", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--interface", default="lo")
    parser.add_argument("--slurm-jobs", type=int, default=0)
    options = parser.parse_args()
    default = str(ROOT / "profiles/default")
    warm = ("--workflow-profile", default, "--executor", "openhcs")
    for count in options.pilots:
        cores = ("--cores", str(count))
        compare(f"local, {count} cores", options, *warm, *cores)
        pilots = ("--openhcs-pilots", str(count), "--openhcs-pilot-interface", options.interface)
        size = ("--openhcs-pilot-mem-mb", "1000")
        compare(f"{count} pilots", options, *warm, *cores, *pilots, *size)
    if options.slurm_jobs:
        profile = str(ROOT / "profiles/slurm")
        jobs, seconds, _ = run(1, options.slurm_jobs, 1, "--profile", profile)
        print(f"a Slurm job each: {jobs} jobs {seconds:.1f} s")


if __name__ == "__main__":
    main()
