"""A disk without room is named; what was being written is not left behind."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from openhcs_core.errors import EXIT_MEMORY, DiskFullError
from openhcs_core.storage import naming_full_disk, replace_file


def test_the_disk_that_has_no_room_is_named(tmp_path):
    path = tmp_path / "not yet" / "table.csv"
    full = os.open("/dev/full", os.O_WRONLY)
    expected = pytest.raises(DiskFullError, match="No space left on its disk")
    with expected as raised, naming_full_disk(path):
        os.write(full, b"x")
    os.close(full)
    assert str(raised.value).startswith(f"{path}: ")
    assert "MB free" in str(raised.value)
    assert raised.value.exit_code == EXIT_MEMORY


def test_a_quota_is_a_full_disk_and_the_file_that_met_it_is_named(tmp_path):
    with pytest.raises(DiskFullError, match=r"^/elsewhere/x: "), naming_full_disk(tmp_path):
        raise OSError(errno.EDQUOT, "Disk quota exceeded", "/elsewhere/x")


def test_numpys_own_words_for_it_are_understood(tmp_path):
    """`ndarray.tofile` leaves the system's error code out."""
    expected = pytest.raises(DiskFullError)
    with Path("/dev/full").open("wb", buffering=0) as stream, expected, naming_full_disk(tmp_path):
        np.zeros(1 << 20).tofile(stream)


def test_other_errors_pass(tmp_path):
    with pytest.raises(PermissionError), naming_full_disk(tmp_path):
        raise PermissionError(errno.EACCES, "no")


def test_the_file_stays_as_it_was(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("before")
    with pytest.raises(DiskFullError), replace_file(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]
