"""Many plates by one command: a snakemake a plate beside one for all, CPU, wall and memory.

python benchmarks/facility_run.py [--plates 10] [--checked 100] [--wells 384] [--steps 10]
    [--real-plates 100] [--real-wells 2] [--at-once 2]

Plates of one tiny image a well, hard links of each other. Looked at are `openhcs-core run -- -n` of
`--plates` plates, one after the other and as one workflow; checking `--checked` plates; and a plate
of which everything is done. There jobs are stand-ins that make their files and compute nothing.
`--real-plates` are run in earnest, with warm workers.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dry_run import ROOT, write_whole_project
from finished_plate import write_commands

RUN = (sys.executable, "-m", "openhcs_core", "run", "--snakefile", str(ROOT / "Snakefile"))
PROFILE = ("--workflow-profile", str(ROOT / "profiles/default"))
CHECK = """
import sys
from openhcs_core.session.facility import check_plate, plates_to_run
_, names, _ = plates_to_run("config/config.yaml", ())
checked = [check_plate("config/config.yaml", name) for name in names]
assert all(one.error is None for one in checked), checked
print(sum(one.jobs for one in checked))
"""
_AGAIN = 10
PIPELINE = """steps:
  - {name: smooth, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 5}}}
"""


def write_plates(folder: Path, plate_count: int, well_count: int, step_count: int) -> None:
    """Write a project of plates that are links of one."""
    write_whole_project(folder, well_count, step_count)
    first = folder / "plate"
    rows = ["plate\tpath\n"]
    for number in range(1, plate_count + 1):
        name = f"p{number:03d}"
        rows.append(f"{name}\tplates/{name}\n")
        for path in (path for path in first.rglob("*") if path.is_file()):
            target = folder / "plates" / name / path.relative_to(first)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
    (folder / "config/plates.tsv").write_text("".join(rows))
    (folder / "config/config.yaml").write_text("plates: config/plates.tsv\n")


def measure(folder: Path, what: str, command: tuple[str, ...]) -> str:
    """Print CPU, wall and the most memory of any process of a command; return what it said."""
    path = f"{folder / 'commands'}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryFile() as said:
        since = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PATH": path}, stdout=said, stderr=said
        )
        _, status, took = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - since
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode()
    if process.returncode != 0:
        sys.exit(f"{what} failed:\n{text[-3000:]}")
    cpu_s, peak_mb = took.ru_utime + took.ru_stime, took.ru_maxrss / 1024
    print(f"  {what:44} {cpu_s:8.1f} {wall_s:8.1f} {peak_mb:8.0f}", flush=True)
    return text


def look(plate_count: int, checked_count: int, well_count: int, step_count: int) -> None:
    """Measure what compiling and planning cost, and a plate that is done."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_plates(folder, checked_count, well_count, step_count)
        jobs = measure(folder, f"check {checked_count} plates", (sys.executable, "-c", CHECK))
        print(f"    ({int(jobs)} jobs)")
        table = folder / "config/plates.tsv"
        table.write_text("".join(table.read_text().splitlines(keepends=True)[: plate_count + 1]))
        every = (*RUN, "--max-jobs", "0", "--", *PROFILE)
        whole = (*RUN, "--max-jobs", str(10**9), "--", *PROFILE)
        measure(folder, f"-n of {plate_count} plates, a snakemake each", (*every, "-n"))
        measure(folder, f"-n of {plate_count} plates, one snakemake", (*whole, "-n"))
        write_commands(folder / "commands")
        one = (sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), *PROFILE)
        one += ("--cores", "2", "--quiet", "all", "--config", "plate=p001")
        measure(folder, "a plate by stand-ins", one)
        measure(folder, "a plate of which all is done", one)


def run(plate_count: int, well_count: int, at_once: int) -> None:
    """Measure real runs of many small plates, and the same commands when all is done."""
    for what, most in (("one snakemake", str(10**9)), ("a snakemake each", "0")):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            write_plates(folder, plate_count, well_count, 2)
            (folder / "config/pipeline.yaml").write_text(PIPELINE)
            command = (*RUN, "--max-jobs", most, "--at-once", str(at_once))
            snakemake = ("--", *PROFILE, "--executor", "openhcs")
            title = f"{plate_count} plates of {well_count} wells, {what}"
            said = measure(folder, title, (*command, *snakemake))
            if f"{plate_count} of {plate_count} plates done" not in said:
                sys.exit(said[-3000:])
            names = [f"p{number:03d}" for number in range(1, min(plate_count, _AGAIN) + 1)]
            chosen = [] if most != "0" else [part for name in names for part in ("--plate", name)]
            count = len(names) if chosen else plate_count
            measure(folder, f"again, {count} of them", (*command, *chosen, *snakemake))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plates", type=int, default=10)
    parser.add_argument("--checked", type=int, default=100)
    parser.add_argument("--wells", type=int, default=384)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--real-plates", type=int, default=100)
    parser.add_argument("--real-wells", type=int, default=2)
    parser.add_argument("--at-once", type=int, default=2)
    given = parser.parse_args()
    print(
        f"plates of {given.wells} wells x {given.steps} steps: CPU s, wall s, most MB of a process"
    )
    if given.plates:
        look(given.plates, max(given.plates, given.checked), given.wells, given.steps)
    if given.real_plates:
        run(given.real_plates, given.real_wells, given.at_once)
