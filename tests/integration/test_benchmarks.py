"""Benchmarks can be run alone; what they measure is for people to judge."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("compile_plate.py", "8", "2"), "8 wells x 2 steps: "),
        (
            ("dry_run.py", "--wells", "3", "--steps", "2", "--repeats", "1"),
            "3 wells x 2 steps, 9 jobs, CPU of snakemake -n:",
        ),
        (
            ("finished_plate.py", "--wells", "2", "--steps", "2", "--repeats", "1"),
            "2 wells x 2 steps, all done, CPU of snakemake:",
        ),
        (
            ("memory_conversion.py", "--mb", "1", "--planes", "2", "--side", "8", "--turns", "1"),
            "memory types here: numpy",
        ),
        (
            ("incremental_run.py", "--wells", "1", "--size", "128", "--repeats", "1"),
            "seconds of CPU and wall, 2 cores, the least of 1",
        ),
        (
            ("fused_run.py", "--wells", "1", "--size", "128", "--repeats", "1"),
            "1 wells, 4 x 128 x 128 uint16 each",
        ),
        (("index_speed.py", "--files", "40", "--repeats", "1"), "40 files: indexed in "),
        (
            ("tiff_speed.py", "--size", "64", "--sites", "1", "--repeats", "1"),
            "20 planes of 64 x 64 uint16, 0.2 MB",
        ),
        (("zarr_speed.py", "--small"), "0.5 MB a well, "),
        pytest.param(
            (
                "facility_run.py",
                *("--plates", "1", "--checked", "2", "--wells", "2", "--steps", "2"),
                *("--real-plates", "2", "--real-wells", "1"),
            ),
            "plates of 2 wells x 2 steps: CPU s, wall s, most MB of a process",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            ("memory_by_groups.py", "--z", "1", "--size", "128"),
            "| stacks | MB a stack | MB a well | step | predicted MB | measured MB |",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            ("tuning_session.py", "--wells", "1", "--size", "64"),
            "4 sites x 2 channels x 3 z of 64 x 64 px",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            ("warm_jobs.py", "--plates", "1", "2", "--steps", "1", "--torch-jobs", "0"),
            "12 and 24 jobs, ms of CPU",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_it_runs_on_a_small_plate(tmp_path, arguments, expected):
    run = subprocess.run(
        [sys.executable, str(BENCHMARKS / arguments[0]), *arguments[1:]],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(expected)
