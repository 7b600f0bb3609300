"""What a job costs beyond its function: in a warm worker, as a process, and as a job of nothing.

python benchmarks/warm_jobs.py [--plates 1 5] [--steps 4] [--torch-jobs 12] [--cores 2]
    [--repeats 1] [--without-demo]

Runs of two sizes are compared, so that what a run costs once (Snakemake's start, compiling, the
start of workers and their imports) does not count: cost of a job = (CPU of the larger run - CPU
of the smaller) / (jobs of the larger - jobs of the smaller). CPU is of the main process and all
its children; on a quiet machine wall time is told as well.

- nothing: a hand-written workflow whose jobs run `touch`, with the directives of generated rules
- warm: a max projection of images of 64 x 64 px under --executor openhcs
- torch: jobs that keep torch busy for 50 ms, each in a new process and warm
- the pipeline of the demo plate, as processes and warm
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from incremental_run import ROOT, measure

from openhcs_core.testing.plates import write_imagexpress_plate

COLUMNS = range(1, 13)
BUSY_MS = 50
MODULE = f'''"""A function that takes its time."""

import time

from openhcs_core.memory import torch


@torch
def busy(image_stack):
    """Compute for {BUSY_MS} ms."""
    end = time.process_time() + {BUSY_MS / 1000}
    total = image_stack.float()
    while time.process_time() < end:
        total = (total + 1).sqrt()
    return image_stack
'''
DISK = "storage: {materialization: disk}\n"
NOTHING = """NUMBERS = range({count})


rule all:
    input:
        expand("manifests/{{number}}.json", number=NUMBERS),


rule nothing:
    input:
        plan="plan/nothing.json",
    output:
        manifest="manifests/{{number}}.json",
    log:
        "logs/{{number}}.log",
    benchmark:
        "benchmarks/{{number}}.tsv"
    priority: 1
    resources:
        mem_mb=lambda w, attempt: 400 * attempt,
        runtime=lambda w, attempt: 30 * attempt,
    params:
        digest=lambda w: "0123456789abcdef",
    shell:
        "touch {{output.manifest}} # {{params.digest}} {{log:q}}"
"""

Cost = tuple[float, float]
"""CPU and wall seconds."""


def snakemake(folder: Path, snakefile: Path, cores: int, executor: str) -> Cost:
    """Return what one run costs."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)]
    command += ["--workflow-profile", str(ROOT / "profiles/default"), "--cores", str(cores)]
    return measure([*command, "--executor", executor], folder)[:2]


def run_nothing(folder: Path, count: int, cores: int) -> Cost:
    """Return the cost of a run of jobs that do nothing."""
    (folder / "plan").mkdir(parents=True)
    (folder / "plan/nothing.json").write_text("{}\n")
    (folder / "Snakefile").write_text(NOTHING.format(count=count))
    return snakemake(folder, folder / "Snakefile", cores, "local")


def run_steps(folder: Path, plates: int, steps: int, cores: int, executor: str) -> Cost:
    """Return the cost of a run of plates of 12 wells and two images each."""
    write_imagexpress_plate(folder / "plate", list(COLUMNS))
    names = "".join(f"  p{number}: {{path: plate}}\n" for number in range(plates))
    chain = "".join(
        f"  - {{name: s{number}, func: {{openhcs:max_projection: {{}}}}}}\n"
        for number in range(steps)
    )
    return _run(folder, f"plates:\n{names}{DISK}", f"steps:\n{chain}", cores, executor)


def run_torch(folder: Path, wells: int, cores: int, executor: str) -> Cost:
    """Return the cost of a run of jobs of 50 ms."""
    write_imagexpress_plate(folder / "plate", list(COLUMNS)[:wells])
    (folder / "busy.py").write_text(MODULE)
    config = f"plates:\n  p: {{path: plate}}\nfunctions: [busy.py]\n{DISK}"
    return _run(folder, config, "steps:\n  - {name: s, func: busy:busy}\n", cores, executor)


def run_demo(folder: Path, cores: int, executor: str) -> Cost:
    """Return the cost of the shipped pipeline on the shipped plate."""
    config = f"plates:\n  demo: {{path: {ROOT / 'data/demo/9987_Plate_3434'}}}\n"
    folder.mkdir(parents=True, exist_ok=True)
    pipeline = (ROOT / "config/pipeline.yaml").read_text()
    return _run(folder, config, pipeline, cores, executor)


def _run(folder: Path, config: str, pipeline: str, cores: int, executor: str) -> Cost:
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text(config)
    (folder / "config/pipeline.yaml").write_text(pipeline)
    return snakemake(folder, ROOT / "Snakefile", cores, executor)


def slope_ms(small: Cost, large: Cost, jobs: int) -> Cost:
    """Return the cost of one of so many more jobs, in ms."""
    return (large[0] - small[0]) / jobs * 1e3, (large[1] - small[1]) / jobs * 1e3


def least(folder: Path, repeats: int, run: object, *arguments: object) -> Cost:
    """Return the least of several runs, each in a folder of its own."""
    found = []
    for number in range(repeats):
        place = folder / str(number)
        found.append(run(place, *arguments))  # type: ignore[operator]  # one of the above
        shutil.rmtree(place)
    return min(cost[0] for cost in found), min(cost[1] for cost in found)


def compare_overhead(
    folder: Path, plates: tuple[int, int], steps: int, cores: int, repeats: int
) -> float:
    """Print what warm jobs cost beside jobs of nothing; return the latter's CPU in ms."""
    few, many = (number * len(COLUMNS) * steps for number in plates)
    nothing = [least(folder, repeats, run_nothing, jobs, cores) for jobs in (few, many)]
    warm = [least(folder, repeats, run_steps, each, steps, cores, "openhcs") for each in plates]
    empty_ms, warm_ms = (slope_ms(*costs, many - few) for costs in (nothing, warm))
    print(f"{few} and {many} jobs, ms of CPU (wall) a job")
    print(f"  {'nothing':32} {empty_ms[0]:8.1f} ({empty_ms[1]:.1f})")
    print(f"  {'warm, with its projection':32} {warm_ms[0]:8.1f} ({warm_ms[1]:.1f})")
    print(f"  {'beyond nothing (goal 15)':32} {warm_ms[0] - empty_ms[0]:8.1f}")
    print(f"  {many} jobs in all: nothing {nothing[1][0]:.1f} s, warm {warm[1][0]:.1f} s of CPU")
    return empty_ms[0]


def compare_torch(folder: Path, jobs: int, repeats: int, empty_ms: float) -> None:
    """Print what jobs with torch cost in processes of their own and warm.

    One after another: a second worker, whose start counts, would be in the larger run alone.
    """
    few, more = max(1, jobs // 4), jobs
    costs = {}
    for executor in ("local", "openhcs"):
        pair = [least(folder, repeats, run_torch, wells, 1, executor) for wells in (few, more)]
        costs[executor] = slope_ms(*pair, more - few)[0]
    print(f"{few} and {more} jobs of {BUSY_MS} ms with torch, ms of CPU a job")
    beyond = {executor: cost - BUSY_MS - empty_ms for executor, cost in costs.items()}
    for executor, name in (("local", "a process each"), ("openhcs", "warm")):
        more_ms = beyond[executor]
        print(f"  {name:32} {costs[executor]:8.1f}, {more_ms:.1f} beyond function and nothing")
    ratio = beyond["local"] / max(beyond["openhcs"], 0.1)
    print(f"  {'ratio (goal 20)':32} {ratio:8.1f}")


def compare_demo(folder: Path, cores: int, repeats: int) -> None:
    """Print what the shipped pipeline costs."""
    cold, warm = (
        least(folder, repeats, run_demo, cores, executor) for executor in ("local", "openhcs")
    )
    print("the demo's pipeline, s of CPU (wall)")
    print(f"  {'a process each':32} {cold[0]:8.1f} ({cold[1]:.1f})")
    print(f"  {'warm':32} {warm[0]:8.1f} ({warm[1]:.1f})")
    print(f"  {'ratio (goal 1.3)':32} {cold[0] / warm[0]:8.2f} ({cold[1] / warm[1]:.2f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plates", type=int, nargs=2, default=(1, 5))
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--torch-jobs", type=int, default=12, help="2 to 12; 0 leaves them out")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--without-demo", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        nothing_ms = compare_overhead(
            home, tuple(given.plates), given.steps, given.cores, given.repeats
        )
        if given.torch_jobs:
            compare_torch(home, given.torch_jobs, given.repeats, nothing_ms)
        if not given.without_demo:
            compare_demo(home, given.cores, given.repeats)
