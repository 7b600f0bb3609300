"""Warm workers that are killed: see benchmarks/worker_kills.py."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks/worker_kills.py"


@pytest.mark.slow
@pytest.mark.thorough
def test_runs_whose_workers_die_end_in_the_bytes_of_an_undisturbed_one(tmp_path):
    run = subprocess.run(
        [sys.executable, str(PROGRAM), "--trials", "5", "--workspace", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "5 of 5 trials" in run.stdout
