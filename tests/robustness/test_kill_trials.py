"""Runs that are killed, and one plain run after that: see benchmarks/kill_trials.py."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks/kill_trials.py"
COMMAND = [sys.executable, str(PROGRAM), "--trials", "1"]
KINDS = [
    *(f"{name} {whom}" for whom in ("main", "group", "job") for name in ("kill", "term", "int")),
    "orphans",
    "orphans, edit",
    "slow orphans",
    "slow orphans, edit",
    "removed files",
    "second run",
    "second run, edit",
    "full disk",
]
TRIALS = [
    *enumerate(KINDS),
    (100, "slow orphans, edit"),
    (101, "removed files"),
    (102, "kill main"),
]
SKIPPED = 75


@pytest.fixture(scope="session")
def workspace(tmp_path_factory):
    return tmp_path_factory.mktemp("trials") / "workspace"


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "kind"), TRIALS)
def test_one_plain_run_ends_in_the_bytes_of_an_undisturbed_one(workspace, seed, kind):
    run = subprocess.run(
        [*COMMAND, "--workspace", str(workspace), "--seed", str(seed), "--kind", kind],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode == SKIPPED:
        pytest.skip(run.stdout.strip())
    assert run.returncode == 0, run.stdout + run.stderr
