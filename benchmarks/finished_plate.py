"""CPU of snakemake when all is done: this workflow beside the same one written by hand.

python benchmarks/finished_plate.py [--wells 384] [--steps 10] [--repeats 2] [--profile FILE]

Jobs are stand-ins that make their files and compute nothing, so that outputs, times and
Snakemake's records are those of a real run; the first run takes minutes. Measured are then
`snakemake -n` and a real run, in which there is nothing to do. The generated rules are measured
without their compiler too. CSV and images are empty: nobody reads them.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from dry_run import GENERATED, ROOT, write_project, write_whole_project

# what a job of either workflow leaves behind; both lay their files out alike
_MAKE_WELL = """
make_well() {
    printf '{\\n "digest": "%s"\\n}\\n' "$4" > "$1/manifests/$2/$3.json"
    [ -d "$1/rois/$2" ] || return 0
    row=${3%??}
    : > "$1/rois/$2/$3.masks.roi.zip"
    : > "$1/tables/$2/$3.cell_counts.csv"
    # a well without fields, so that none is missing
    echo '{"attributes": {"ome": {"well": {"images": []}}}}' \\
        > "$1/$2.ome.zarr/$row/${3#"$row"}/zarr.json"
}
"""
COMMANDS = {
    "openhcs-core": """case $6 in
    --well) make_well "$3" "$5" "$7" "$9" ;;
    --store) echo '{}' > "$3/$5.ome.zarr/zarr.json" ;;
    --table) : > "$3/tables/$5/$7" ;;
esac
""",
    "analyse": 'make_well results/plate "$2" "$4" none\n',
    "join": "for output in results/plate/*.ome.zarr; do step=$(basename $output .ome.zarr); done\n"
    "case $* in\n"
    '    *store*) echo "{}" > $output/zarr.json ;;\n'
    "    *) : > results/plate/tables/$step/cell_counts.csv ;;\n"
    "esac\n",
}
STATES = {"-n": ("-n",), "run": ("--cores", "2")}


def write_commands(folder: Path) -> None:
    """Write programs that take the place of those that the jobs start."""
    folder.mkdir()
    for name, text in COMMANDS.items():
        path = folder / name
        path.write_text(f"#!/bin/sh\n{_MAKE_WELL}{text}")
        path.chmod(0o755)


def snakemake(
    folder: Path, snakefile: Path, *arguments: str, python: tuple[str, ...] = ()
) -> tuple[float, str]:
    """Return the CPU seconds of a command, and what it said."""
    command = [sys.executable, *python, "-m", "snakemake", "--snakefile", str(snakefile)]
    command += ["--workflow-profile", str(ROOT / "profiles/default")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env={**os.environ, "PATH": f"{folder / 'commands'}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = run.stdout + run.stderr
    if run.returncode != 0:
        sys.exit(f"{snakefile.name} failed:\n{said[-3000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, said


def measure(folder: Path, snakefile: Path, state: str, python: tuple[str, ...] = ()) -> float:
    """Return the CPU seconds of a command that has nothing to do."""
    cpu_s, said = snakemake(folder, snakefile, *STATES[state], python=python)
    if "Nothing to be done" not in said:
        sys.exit(f"{snakefile.name} has something to do:\n{said[-3000:]}")
    return cpu_s


def main(well_count: int, step_count: int, repeats: int, profile: str | None) -> None:
    """Print the least CPU of each workflow and state, and the ratios."""
    seconds: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as parts, tempfile.TemporaryDirectory() as project:
        by_hand, ours = Path(parts), Path(project)
        write_project(by_hand, well_count, step_count)
        write_whole_project(ours, well_count, step_count)
        (ours / "generated.smk").write_text(GENERATED)
        workflows = {
            "by_hand": (by_hand, by_hand / "by_hand.smk"),
            "generated": (ours, ours / "generated.smk"),
            "whole": (ours, ROOT / "Snakefile"),
        }
        for name in ("by_hand", "whole"):
            write_commands(workflows[name][0] / "commands")
            snakemake(*workflows[name], "--cores", "4", "--quiet", "all")
        for _ in range(repeats):
            for state in STATES:
                for name, (folder, snakefile) in workflows.items():
                    cpu_s = measure(folder, snakefile, state)
                    seconds.setdefault((state, name), []).append(cpu_s)
        if profile is not None:
            python = ("-m", "cProfile", "-o", str(Path(profile).resolve()))
            measure(*workflows["whole"], "-n", python)
    print(f"{well_count} wells x {step_count} steps, all done, CPU of snakemake:")
    for state in STATES:
        best = {name: min(seconds[state, name]) for name in workflows}
        for name in workflows:
            print(f"  {state:3} {name:10} {best[name]:7.2f} s  {best[name] / best['by_hand']:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wells", type=int, default=384)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--profile", help="also write a cProfile of -n of the whole project here")
    given = parser.parse_args()
    main(given.wells, given.steps, given.repeats, given.profile)
