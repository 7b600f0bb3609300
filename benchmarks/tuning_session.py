"""A session of tuning: what each run does, what it takes back from the cache, and what it costs.

python benchmarks/tuning_session.py [--wells 4 16] [--size 1024] [--option=--executor
    --option=openhcs]

The pipeline normalises stacks, projects along z and counts, on a plate with 4 sites, 2 channels
and 3 z planes a well. A parameter of the last step is edited, edited again and put back; then one
of the first step, and put back; at last all results are deleted, the cache is not.

Each row is a run: jobs of steps and tables, how many of them took their result from the cache,
seconds of CPU (with all child processes) and wall, and the bytes of files that are new or others
than before. With two numbers of wells the last line says what a job costs that puts back its
result, from the difference of both runs, beside a job of Snakemake's that runs `touch`.
"""

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple

from incremental_run import PIPELINE, ROOT, empty_jobs, measure, write_project
from synthetic_plate import write_plate

FIRST, LAST = "high_percentile: 99.5", "min_area: 40"
TAKEN = "taken from the cache"
DELETED = "results deleted, the cache kept"
SESSION = {
    "everything, for the first time": PIPELINE,
    "count: min_area 40 → 45": PIPELINE.replace(LAST, "min_area: 45"),
    "count: 45 → 50": PIPELINE.replace(LAST, "min_area: 50"),
    "count: back to 40": PIPELINE,
    "normalize: high_percentile 99.5 → 99": PIPELINE.replace(FIRST, "high_percentile: 99"),
    "normalize: back to 99.5": PIPELINE,
    DELETED: PIPELINE,
    "nothing": PIPELINE,
}
PUT_BACK = "normalize: back to 99.5"
EMPTY = "Snakemake's own with as many empty jobs"


class Row(NamedTuple):
    """What one run did."""

    jobs: int
    restored: int
    cpu_s: float
    wall_s: float
    written: int


def file_states(folder: Path) -> dict[int, tuple[int, int]]:
    """Return size and time of each file, by inode: a file under two names counts once."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            status = path.stat()
            found[status.st_ino] = (status.st_size, status.st_mtime_ns)
    return found


def run(folder: Path, options: list[str]) -> Row:
    """Run snakemake on the project as it is."""
    results = folder / "results"
    logs = {path: path.stat().st_mtime_ns for path in results.glob("plate/logs/*/*.log")}
    before = file_states(results)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--workflow-profile", str(ROOT / "profiles/default"), "--cores", "2", *options]
    cpu_s, wall_s, said = measure(command, folder)
    done = re.findall(r"(\d+) of \1 steps \(100%\) done", said)
    new = [
        path
        for path in results.glob("plate/logs/*/*.log")
        if path.stat().st_mtime_ns != logs.get(path)
    ]
    restored = sum(TAKEN in path.read_text(encoding="utf-8") for path in new)
    written = (
        size
        for inode, (size, changed) in file_states(results).items()
        if before.get(inode) != (size, changed)
    )
    jobs = int(done[-1]) - 1 if done else 0  # without `all`
    return Row(jobs, restored, cpu_s, wall_s, sum(written))


def run_session(wells: int, size: int, options: list[str]) -> dict[str, Row]:
    """Return what each run of the session did."""
    rows = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "project")
        write_plate(write_project(folder), wells, size)
        for name, pipeline in SESSION.items():
            (folder / "config/pipeline.yaml").write_text(pipeline, encoding="utf-8")
            if name == DELETED:
                rmtree(folder / "results/plate")
            rows[name] = run(folder, options)
        jobs = rows[PUT_BACK].jobs
        cpu_s, wall_s = empty_jobs(folder / "empty", jobs, 2, options)
        rows[EMPTY] = Row(jobs, 0, cpu_s, wall_s, 0)
    return rows


def print_table(wells: int, rows: dict[str, Row]) -> None:
    """Print a row a run, beside the first one of them."""
    whole, *_ = rows.values()
    print(f"\n{wells} wells\n")
    print("| edit | jobs | restored | CPU s | of the first | wall s | MB written |")
    print("|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        part = f"{100 * row.cpu_s / whole.cpu_s:.0f} %"
        amounts = f"{row.cpu_s:.1f} | {part} | {row.wall_s:.1f} | {row.written / 1e6:.1f}"
        print(f"| {name} | {row.jobs} | {row.restored} | {amounts} |", flush=True)


def ms_a_job(less: dict[str, Row], more: dict[str, Row], name: str) -> float:
    """Return CPU of one more job, in ms."""
    jobs = more[name].jobs - less[name].jobs
    return 1000 * (more[name].cpu_s - less[name].cpu_s) / jobs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wells", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--option", action="append", default=[], help="for snakemake")
    given = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    print(f"4 sites x 2 channels x 3 z of {given.size} x {given.size} px; {' '.join(given.option)}")
    sessions = []
    for wells in given.wells:
        sessions.append(run_session(wells, given.size, given.option))
        print_table(wells, sessions[-1])
    if len(sessions) > 1:
        ends = sessions[0], sessions[-1]
        own, empty = ms_a_job(*ends, PUT_BACK), ms_a_job(*ends, EMPTY)
        print(f"\na job that puts back: {own:.0f} ms of CPU, an empty one of Snakemake {empty:.0f}")


if __name__ == "__main__":
    main()
