"""Disks to run into, and property tests without a clock."""

import os
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, settings

# how long an example takes says more of the machine's other work
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def _mount(*arguments):
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to make a small disk")
    if not _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)):
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def close_disk(small_disk):
    """Return a function that lets the small disk be read only."""

    def close():
        if not _mount("-o", "remount,ro", str(small_disk)):
            pytest.skip("no disk can be mounted for reading only here")

    return close
