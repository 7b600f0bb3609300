"""Kill runs at random moments, run once more, and compare with an undisturbed run.

python benchmarks/kill_trials.py [--trials 200] [--seed 0] [--kind NAME] [--workspace FOLDER]

Trial N is made by seed N alone: `--seed N --trials 1` repeats it, up to what the machine's
speed makes different. Kinds take turns. A trial ends well when one plain `snakemake -c2` after the
disturbance (two, when the first names a file that was removed behind its back) gives the bytes of
the undisturbed run and `snakemake -n` has nothing to do.
"""

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kill_kinds import KINDS, Scene, TrialError
from kill_project import Project, Workspace

_NEEDS_DISK = "full disk"
_MAY_FAIL_ONCE = "removed files"
_DISK_KB = 64 * 1024
SKIPPED = 75
"""Exit code when the only trial cannot be done here."""


@dataclass
class Trial:
    """One disturbed run and what came of it."""

    seed: int
    kind: str
    failure: str = ""
    recovery_s: float = 0.0
    notes: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """Return a line for people."""
        outcome = "FAILED" if self.failure else f"recovered in {self.recovery_s:.1f} s"
        return f"seed {self.seed}, {self.kind}: {outcome} ({', '.join(self.notes)})"


def run_trial(workspace: Workspace, folder: Path, seed: int, kind: str) -> Trial:
    """Disturb a run, recover, compare."""
    trial = Trial(seed, kind)
    chance = random.Random(seed)
    has_older = chance.random() < 0.5
    trial.notes.append("over older results" if has_older else "from nothing")
    with _place(folder, is_disk=kind == _NEEDS_DISK):
        project = workspace.new_project(folder, has_older_results=has_older)
        scene = Scene(project, chance, workspace.size_bytes, trial.notes)
        try:
            KINDS[kind](scene)
            trial.recovery_s = _recover(project, may_fail_once=kind == _MAY_FAIL_ONCE)
            _compare(project, workspace.expected)
        except (TrialError, TimeoutError, subprocess.TimeoutExpired) as error:
            trial.failure = str(error)
            keep = folder.with_name(f"{folder.name}-failed")
            shutil.rmtree(keep, ignore_errors=True)
            shutil.copytree(folder, keep, symlinks=True)
    return trial


def _recover(project: Project, *, may_fail_once: bool) -> float:
    started = time.monotonic()
    run = project.run()
    if run.returncode != 0 and may_fail_once and "run again" in run.output:
        run = project.run()
    wall_s = time.monotonic() - started
    if run.returncode != 0:
        raise TrialError(f"the next plain run failed:\n{run.output}")
    dry = project.run("-n")
    if dry.returncode != 0 or "Nothing to be done" not in dry.output:
        raise TrialError(f"after recovery there is still something to do:\n{dry.output}")
    return wall_s


def _compare(project: Project, expected: dict[str, str]) -> None:
    found = project.digests()
    differences = [f"left out: {name}" for name in sorted(expected.keys() - found.keys())]
    differences += [f"too many: {name}" for name in sorted(found.keys() - expected.keys())]
    differences += [
        f"other bytes: {name}"
        for name in sorted(expected.keys() & found.keys())
        if expected[name] != found[name]
    ]
    differences += [f"damaged in the cache: {name}" for name in project.damaged_objects()]
    for status in project.results.glob("*/status.csv"):
        states = {line.split(",")[1] for line in status.read_text().splitlines()[1:]}
        differences += [f"status.csv says {state!r}" for state in sorted(states - {"done"})]
    if differences:
        raise TrialError("not the bytes of an undisturbed run:\n" + "\n".join(differences))


@contextmanager
def _place(folder: Path, *, is_disk: bool) -> Iterator[None]:
    """Make the trial's folder, a small disk of its own when wanted, and remove it afterwards."""
    folder.mkdir(parents=True)
    if is_disk:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_KB}k", "tmpfs", str(folder)]
        subprocess.run(mount, check=True, capture_output=True)
    try:
        yield
    finally:
        if is_disk:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder)


def can_mount() -> bool:
    """Return whether a small disk can be made here."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
        if os.geteuid() != 0 or shutil.which("mount") is None:
            return False
        if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            return False
        return subprocess.run(["umount", folder], check=False).returncode == 0


def summarise(trials: Sequence[Trial]) -> str:
    """Return a table of kinds."""
    lines = ["| kind | trials | recovered | median recovery, s |", "|---|---:|---:|---:|"]
    for kind in KINDS:
        mine = [trial for trial in trials if trial.kind == kind]
        well = [trial.recovery_s for trial in mine if not trial.failure]
        if mine:
            median = f"{statistics.median(well):.1f}" if well else "-"
            lines.append(f"| {kind} | {len(mine)} | {len(well)} | {median} |")
    recovered = sum(not trial.failure for trial in trials)
    lines.append(f"| all | {len(trials)} | {recovered} | |")
    return "\n".join(lines)


def main() -> int:
    """Run trials; 1 when one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    parser.add_argument("--kind", choices=KINDS, help="only this one")
    parser.add_argument("--workspace", type=Path, help="keep what trials share here")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # clean up
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.workspace or Path(temporary, "trials")).resolve()
        workspace = Workspace(folder)
        kinds = [arguments.kind] if arguments.kind else list(KINDS)
        if not can_mount() and _NEEDS_DISK in kinds:
            print(f"{_NEEDS_DISK!r} is left out: it needs root and mount")
            kinds.remove(_NEEDS_DISK)
            if not kinds:
                return SKIPPED
        trials = []
        for seed in range(arguments.seed, arguments.seed + arguments.trials):
            kind = kinds[seed % len(kinds)]
            trials.append(run_trial(workspace, folder / f"trial-{seed}", seed, kind))
            print(trials[-1].describe(), flush=True)
            if trials[-1].failure:
                print(f"repeat it with --seed {seed} --trials 1 --kind {kind!r}")
                print(trials[-1].failure, flush=True)
    print(summarise(trials))
    return int(any(trial.failure for trial in trials))


if __name__ == "__main__":
    sys.exit(main())
