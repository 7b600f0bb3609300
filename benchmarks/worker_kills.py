"""Runs under --executor openhcs whose workers, or whose main process, are killed at random.

python benchmarks/worker_kills.py [--trials 100] [--seed 0] [--workspace FOLDER]

Each trial kills workers of one run: at moments drawn at random, with SIGKILL, SIGSEGV or SIGTERM.
The run goes on without what they were doing. In every fifth trial the main process is killed
instead, and its workers have to end by themselves. Then the same command is given again,
undisturbed. At the end all files have to be, to the byte, those of an undisturbed run of jobs
that had a process each. Exit status 1 when one trial does not.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from kill_project import JOBS, Main, Project, Workspace

KINDS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM)
_EXECUTOR = ("--executor", "openhcs")
_MAIN_EVERY = 5
_GONE_S = 60.0
"""One that is still importing notices afterwards: 0.5 s of CPU, which a busy machine stretches."""
_LONGEST_S = 2.0


def find_workers(main: Main) -> list[int]:
    """Return the workers of a run."""
    return [pid for pid in main.processes() if _is_worker(pid)]


def _is_worker(pid: int) -> bool:
    try:
        return b"openhcs_core.workers.process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill_workers(main: Main, draw: random.Random, counts: Counter[str]) -> None:
    """Kill one to three workers while the run lasts."""
    for _ in range(draw.randint(1, 3)):
        while main.is_live and not find_workers(main):
            time.sleep(0.02)
        time.sleep(draw.uniform(0, _LONGEST_S))
        workers = find_workers(main)
        if not workers:
            return
        number = draw.choice(KINDS)
        main.send(number, [draw.choice(workers)])
        counts[f"workers killed by {number.name}"] += 1


def kill_main(main: Main, draw: random.Random, counts: Counter[str]) -> None:
    """Kill the main process once it has workers; see that they end."""
    while main.is_live and not find_workers(main):
        time.sleep(0.02)
    time.sleep(draw.uniform(0, _LONGEST_S))
    if not main.is_live:
        return
    main.send(signal.SIGKILL, [main.process.pid])
    main.process.wait()
    counts["main processes killed"] += 1
    deadline = time.monotonic() + _GONE_S
    begin = time.monotonic()
    while find_workers(main):
        if time.monotonic() > deadline:
            raise AssertionError(f"workers {find_workers(main)} outlived their main process")
        time.sleep(0.01)
    ended = "within 0.5 s" if time.monotonic() - begin < 0.5 else "later"
    counts[f"whose workers ended {ended}"] += 1


def run_trial(project: Project, number: int, draw: random.Random, counts: Counter[str]) -> None:
    """Disturb one run, and mend it with a second."""
    main = Main(project, *_EXECUTOR)
    try:
        if number % _MAIN_EVERY == _MAIN_EVERY - 1:
            kill_main(main, draw, counts)
        else:
            kill_workers(main, draw, counts)
        status = main.wait().returncode
    finally:
        main.end()
    counts["runs that failed" if status else "runs that did not notice"] += 1
    counts["jobs done in disturbed runs"] += main.finished_jobs()
    again = project.run(*_EXECUTOR)
    if again.returncode != 0:
        raise AssertionError(f"the next run failed:\n{again.output[-3000:]}")


def compare(project: Project, workspace: Workspace) -> None:
    """Compare every file with those of the undisturbed run."""
    found = project.digests()
    wrong = {
        name
        for name in found.keys() | workspace.expected.keys()
        if found.get(name) != workspace.expected.get(name)
    }
    if wrong or project.damaged_objects():
        raise AssertionError(f"differ: {sorted(wrong)}, damaged: {project.damaged_objects()}")


def main(trials: int, seed: int, folder: Path) -> int:
    """Print what was done and how many trials ended well; return the exit status."""
    workspace = Workspace(folder / "workspace")
    counts: Counter[str] = Counter()
    bad = 0
    for number in range(trials):
        place = folder / f"trial-{number}"
        project = workspace.new_project(place, has_older_results=bool(number % 2))
        try:
            run_trial(project, number, random.Random(seed + number), counts)
            compare(project, workspace)
        except AssertionError as error:
            bad += 1
            print(f"trial {number}: {error}")
        shutil.rmtree(place, ignore_errors=True)
    print(f"{trials - bad} of {trials} trials ended in the bytes of an undisturbed run")
    print(f"  {JOBS} jobs a run; " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
    return int(bad > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workspace", type=Path, help="kept, and used again")
    given = parser.parse_args()
    if given.workspace is not None:
        sys.exit(main(given.trials, given.seed, given.workspace))
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(main(given.trials, given.seed, Path(temporary)))
