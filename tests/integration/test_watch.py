"""Plates of a drop folder, run through the real snakemake."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openhcs_core.testing.plates import image_path, write_imagexpress_plate

ROOT = Path(__file__).parents[2]
PIPELINE = "steps:\n  - {name: count, func: openhcs:count_cells_single_channel}\n"
SLOW = """
import time
from pathlib import Path
from openhcs_core.memory import numpy


@numpy
def slow(image):
    Path("began").touch()
    time.sleep(30 if not Path("quick").exists() else 0)
    return image
"""


@pytest.fixture
def drop(tmp_path):
    (tmp_path / "drop").mkdir()
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return tmp_path / "drop"


def command(drop, *arguments):
    watch = [sys.executable, "-m", "openhcs_core", "watch", str(drop)]
    watch += ["--pipeline", "pipeline.yaml", "--settle", "0s", "--cores", "2"]
    return [*watch, "--snakefile", str(ROOT / "Snakefile"), *arguments]


def watch_once(drop, *arguments):
    run = subprocess.run(
        command(drop, "--once", *arguments),
        capture_output=True,
        text=True,
        cwd=drop.parent,
        check=False,
    )
    lines = [line.split("  ", 1)[1] for line in run.stdout.splitlines()]
    return run.returncode, lines, run.stderr


def counted_wells(drop, plate):
    with (drop.parent / f"results/{plate}/tables/count/cell_counts.csv").open() as file:
        return sorted({row["well"] for row in csv.DictReader(file)})


def test_finished_plates_are_run_and_bad_ones_stop_nobody(drop):
    write_imagexpress_plate(drop / "a bad", (1,))
    (drop / "a bad/P.HTD").write_text("nothing of the kind")
    write_imagexpress_plate(drop / "damaged", (1, 2))
    path = image_path(drop / "damaged", "A02", 2)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    write_imagexpress_plate(drop / "good", (1, 2))
    code, lines, stderr = watch_once(drop)
    assert code == 3, stderr
    assert [line.split(",")[0] for line in lines] == [
        "a bad: refused",
        "damaged: ready",
        "damaged: running",
        "damaged: failed",
        "good: ready",
        "good: running",
        "good: done",
    ]
    assert "1 of 2 wells done; A02, step 'count'" in lines[3]
    assert path.name in lines[3]
    assert counted_wells(drop, "good") == ["A01", "A02"]

    # a new process finds the same in plates and results, and runs nothing
    code, lines, _ = watch_once(drop)
    assert [line.split(",")[0] for line in lines] == [
        "a bad: refused",
        "damaged: failed",
        "good: done",
    ]

    path.write_bytes(whole)
    code, lines, _ = watch_once(drop)
    assert [line.split(",")[0] for line in lines] == [
        "a bad: refused",
        "damaged: ready",
        "damaged: running",
        "damaged: done",
        "good: done",
    ]
    assert counted_wells(drop, "damaged") == ["A01", "A02"]


def test_complete_wells_are_run_first_and_the_rest_when_it_is_there(drop):
    write_imagexpress_plate(drop / "p", (1, 2))
    late = image_path(drop / "p", "A02", 2)
    content = late.read_bytes()
    late.unlink()
    arguments = ("--complete-wells", "--", "--printshellcmds")
    code, lines, stderr = watch_once(drop, *arguments)
    assert (code, lines[-1].split(",")[0]) == (0, "p: partly done"), stderr
    assert "waits for 1 images: A02_s002_w1_z001_t001.tif" in lines[-1]
    assert counted_wells(drop, "p") == ["A01"]
    log = drop.parent / "results/.watch/p.log"
    log.unlink()
    late.write_bytes(content)
    code, lines, stderr = watch_once(drop, *arguments)
    assert (code, lines[-1]) == (0, "p: done, 2 wells in results/p"), stderr
    assert counted_wells(drop, "p") == ["A01", "A02"]
    wells = re.findall(r"run-step .*--step count --well (\S+)", log.read_text())
    assert set(wells) == {"A02"}


@pytest.mark.thorough
def test_ctrl_c_ends_it_cleanly_and_a_new_start_goes_on(drop):
    folder = drop.parent
    write_imagexpress_plate(drop / "p", (1,))
    (folder / "mine.py").write_text(SLOW)
    (folder / "settings.yaml").write_text("functions: [mine.py]\n")
    (folder / "pipeline.yaml").write_text(
        "steps:\n  - {name: count, func: mine:slow, keep: true}\n"
    )
    arguments = ("--settings", "settings.yaml", "--every", "1s")
    quiet = {"stdout": subprocess.DEVNULL, "cwd": folder}
    with subprocess.Popen(command(drop, *arguments), **quiet) as process:
        end = time.monotonic() + 300
        while not (folder / "began").exists() and time.monotonic() < end:
            assert process.poll() is None
            time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    left = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
    assert not list((folder / "results/p/manifests").rglob("*.json"))
    (folder / "quick").touch()
    code, lines, stderr = watch_once(drop, *arguments)
    assert (code, lines[-1]) == (0, "p: done, 1 wells in results/p"), stderr
