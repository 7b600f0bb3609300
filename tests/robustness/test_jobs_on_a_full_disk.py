"""A job whose disk has no room says so, leaves nothing torn, and is repeated when there is room."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from openhcs_core.errors import EXIT_MEMORY
from openhcs_core.testing.plates import write_imagexpress_plate

PIPELINE = """steps:
  - name: hat
    func: {openhcs:tophat: {selem_radius: 2}}
  - name: count
    func: openhcs:count_cells_single_channel
"""


def _mount(*arguments):
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to make a small disk")
    if not _mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)):
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _openhcs(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "openhcs_core", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_compiling_and_jobs_name_the_full_disk_and_go_on_when_there_is_room(disk, tmp_path):
    write_imagexpress_plate(tmp_path / "plate", (1,), (256, 256))
    (disk / "config").mkdir()
    (disk / "config/config.yaml").write_text(
        f"plates:\n  demo: {{path: {tmp_path / 'plate'}}}\nstorage: {{check_space: false}}\n"
    )
    (disk / "config/pipeline.yaml").write_text(PIPELINE)
    _fill(disk, 0)
    run = _openhcs(disk, "compile")
    assert (run.returncode, "Traceback" in run.stderr) == (EXIT_MEMORY, False), run.stderr
    assert "No space left on its disk" in run.stderr
    _fill(disk, 200_000)
    assert _openhcs(disk, "compile").returncode == 0

    job = ["run-step", "--plate-dir", "results/demo", "--step", "hat", "--well", "A01"]
    job += ["--log", "results/demo/logs/hat/A01.log"]
    run = _openhcs(disk, *job)
    assert run.returncode == EXIT_MEMORY, run.stderr
    assert ".npy: No space left on its disk" in run.stderr
    failure = json.loads((disk / "results/demo/logs/hat/A01.failure.json").read_text())
    assert failure["exit_code"] == EXIT_MEMORY
    assert not list((disk / "results").rglob("*.npy"))
    assert not list((disk / "results").rglob(".tmp-*"))
    assert not (disk / "results/demo/manifests/hat/A01.json").exists()
    _fill(disk, 4_000_000)
    run = _openhcs(disk, *job)
    assert run.returncode == 0, run.stderr


def _fill(disk, left_bytes):
    """Leave so much room on the disk."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    room = os.statvfs(disk)
    with ballast.open("wb") as stream:
        os.posix_fallocate(stream.fileno(), 0, room.f_bavail * room.f_frsize - left_bytes)
