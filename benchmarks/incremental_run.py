"""CPU and wall time of a full run, of one with nothing to do, and after an edit of the last step.

python benchmarks/incremental_run.py [--wells 4] [--size 1024] [--plate FOLDER] [--repeats 3]
    [--option=--executor --option=openhcs] [--peer COMMAND]

The pipeline normalises stacks, projects along z and counts. Beside it stand the same functions in
a bare loop of one process: what there is to compute. Without a plate (ImageXpress) one is made:
4 sites, 2 channels and 3 z planes a well. A peer is a command line that analyses the plate whose
folder stands for ``{plate}``, a fresh copy each time, and writes into ``{out}``. The step's own
work is one process that does the edited step for all wells: read, compute, write. Each repeat
measures everything one after the other, and the least of each counts, so that other work on the
machine disturbs the ratios little.
"""

import argparse
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from synthetic_plate import write_plate

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = """steps:
  - name: normalize
    func: {openhcs:stack_percentile_normalize: {low_percentile: 0.5, high_percentile: 99.5}}
  - {name: flatten, func: {openhcs:max_projection: {}}, variable_components: [z_index]}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 40, max_area: 400}}}
"""
BARE = r"""
import json, re, sys, time
start = time.process_time()
from collections import defaultdict
from pathlib import Path
import numpy as np, tifffile
from openhcs_core.registry import RegistryService
load = RegistryService().load
names = "stack_percentile_normalize", "max_projection", "count_cells_single_channel"
normalize, flatten, count = (load(f"openhcs:{name}") for name in names)
count(np.zeros((1, 64, 64), np.uint16))  # imports what it uses
spent = {"import": time.process_time() - start}

def timed(what, function, *arguments, **options):
    before = time.process_time()
    result = function(*arguments, **options)
    spent[what] = spent.get(what, 0) + time.process_time() - before
    return result

stacks = defaultdict(list)
for path in sorted(Path(sys.argv[1]).glob("TimePoint_1/ZStep_*/*.[tT][iI][fF]")):
    well, site, channel = re.search(r"([A-Z]\d\d)_s(\d+)_w(\d+)", path.name).groups()
    stacks[well, channel, path.parent.name].append((int(site), path))
volumes = defaultdict(list)
for (well, channel, z), members in sorted(stacks.items()):
    images = timed("read", lambda: np.stack([tifffile.imread(path) for _, path in sorted(members)]))
    images = timed("normalize", normalize, images, low_percentile=0.5, high_percentile=99.5)
    for image, (site, _) in zip(images, sorted(members)):
        volumes[well, channel, site].append(image)
for volume in volumes.values():
    flat = timed("flatten", flatten, np.stack(volume))
    timed("count", count, flat, min_area=40, max_area=400)
print(json.dumps(spent))
"""


def measure(command: list[str], folder: Path) -> tuple[float, float, str]:
    """Return CPU and wall seconds of a command with all its children, and what it said."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    wall_s, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{run.stdout[-2000:]}{run.stderr[-3000:]}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu_s, wall_s, run.stdout + run.stderr


def snakemake(folder: Path, snakefile: Path, cores: int, options: list[str]) -> tuple[float, float]:
    """Return CPU and wall seconds of one run."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), *options]
    command += ["--workflow-profile", str(ROOT / "profiles/default"), "--cores", str(cores)]
    return measure(command, folder)[:2]


def write_project(folder: Path) -> Path:
    """Write config and pipeline; return the plate's folder, which is not there yet."""
    (folder / "config").mkdir(parents=True)
    (folder / "config/config.yaml").write_text("plates:\n  plate: {path: plate}\n")
    (folder / "config/pipeline.yaml").write_text(PIPELINE)
    return folder / "plate"


def step_alone(folder: Path, wells: list[str]) -> tuple[float, float]:
    """Return CPU and wall seconds of one process that does the last step for all wells anew."""
    shutil.rmtree(folder / "results/.cache/jobs")
    command = [sys.executable, "-m", "openhcs_core", "run-step", "--plate-dir", "results/plate"]
    command += ["--step", "count"]
    for well in wells:
        command += ["--well", well]
    return measure(command, folder)[:2]


def empty_jobs(folder: Path, count: int, cores: int, options: list[str]) -> tuple[float, float]:
    """Return CPU and wall seconds of Snakemake with as many jobs that do nothing.

    With a parameter, as any workflow has: Snakemake then imports pandas where it is installed.
    """
    folder.mkdir()
    names = [str(number) for number in range(count)]
    rule = "rule job:\n    output: '{name}'\n    params: sigma=1\n    shell: 'touch {output}'\n"
    (folder / "Snakefile").write_text(f"rule all:\n    input: {names!r}\n{rule}")
    return snakemake(folder, folder / "Snakefile", cores, options)


def run_peer(folder: Path, plate: Path, command: str) -> tuple[float, float]:
    """Return CPU and wall seconds of another program on a copy of the plate."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        copy = shutil.copytree(plate, Path(place, "plate"))
        line = command.format(plate=copy, out=Path(place, "out"))
        return measure(shlex.split(line), folder)[:2]


def repeat(
    folder: Path, plate: Path, number: int, cores: int, options: list[str], peer: str | None
) -> dict[str, tuple[float, float]]:
    """Return CPU and wall seconds of each kind of run, and CPU of the bare loop's parts."""
    rows: dict[str, tuple[float, float]] = {}
    _, _, said = measure([sys.executable, "-c", BARE, str(plate)], folder)
    rows |= {f"bare {part}": (cpu_s, cpu_s) for part, cpu_s in json.loads(said).items()}
    shutil.rmtree(folder / "results", ignore_errors=True)
    shutil.rmtree(folder / ".snakemake", ignore_errors=True)
    runs = {"full run": 40, "nothing to do": 40, "last step edited": 45, "put back": 40}
    for name, min_area in runs.items():
        text = PIPELINE.replace("min_area: 40", f"min_area: {min_area}")
        (folder / "config/pipeline.yaml").write_text(text)
        rows[name] = snakemake(folder, ROOT / "Snakefile", cores, options)
    wells = sorted(path.stem for path in (folder / "results/plate/manifests/count").glob("*.json"))
    rows["last step alone, one process"] = step_alone(folder, wells)
    for count in (0, len(wells) + 1):  # the edit's jobs: the step's and its table
        jobs = folder / f"empty_{number}_{count}"
        rows[f"Snakemake, {count} empty jobs"] = empty_jobs(jobs, count, cores, options)
    if peer is not None:
        rows["peer, everything again"] = run_peer(folder, plate, peer)
    return rows


def main(
    well_count: int,
    size: int,
    plate: str | None,
    cores: int,
    repeats: int,
    options: list[str],
    peer: str | None,
) -> None:
    """Print a table of runs, and what an edit cost beyond its functions and Snakemake."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "project")
        target = write_project(folder)
        if plate is None:
            write_plate(target, well_count, size)
        else:
            shutil.copytree(plate, target)
        found = [repeat(folder, target, number, cores, options, peer) for number in range(repeats)]
    best = {name: tuple(map(min, *(rows[name] for rows in found), (1e9, 1e9))) for name in found[0]}
    print(f"seconds of CPU and wall, {cores} cores, the least of {repeats}")
    for name, (cpu_s, wall_s) in best.items():
        print(f"  {name:28} {cpu_s:6.2f} {wall_s:6.2f}")
    start = best[next(name for name in reversed(best) if name.endswith("empty jobs"))][0]
    edit = best["last step edited"][0] - start
    alone = best["last step alone, one process"][0]
    print("last step edited, without what Snakemake needs for as many empty jobs:")
    print(f"  {edit / alone:.2f} x the step's own work in one process (goal 1.2)")
    print(f"  {edit / best['bare count'][0]:.2f} x its function alone, nothing written")
    if peer is not None:
        again = best["peer, everything again"][0]
        print(f"  {again / best['last step edited'][0]:.1f} x less than the peer, start included")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wells", type=int, default=4)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--plate", help="an ImageXpress plate with sites, waves and z steps")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--option", action="append", default=[], help="for snakemake")
    parser.add_argument("--peer", help="a command line with {plate} and {out}")
    given = parser.parse_args()
    main(given.wells, given.size, given.plate, given.cores, given.repeats, given.option, given.peer)
