"""Batches on disks that are full, closed or shared, and batches that are killed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from openhcs_core.errors import DiskFullError, InputDataError, StorageAccessError
from openhcs_core.storage import FileManager, create_storage_registry

NAMES = [f"B02_s{site:03d}_w1_z001_t001.tif" for site in range(1, 9)]
SHAPE = (256, 256)
FEW_KILLS, MANY_KILLS = 12, 50

_WRITER = f"""
import sys
import numpy as np
from openhcs_core.storage import FileManager, create_storage_registry

folder, (first, *values), names = sys.argv[1], range(*map(int, sys.argv[2:4])), sys.argv[4:]
files = FileManager(create_storage_registry())

def save(value):
    planes = [np.full({SHAPE}, value, "uint16") for _ in names]
    files.save_batch(planes, [folder + "/" + name for name in names], "disk")

save(first)
print("ready", flush=True)
for value in values:
    save(value)
"""


@pytest.fixture
def files():
    return FileManager(create_storage_registry())


def _planes(value):
    return [np.full(SHAPE, value, "uint16") for _ in NAMES]


def _start_writer(folder, first, end):
    """Start a process that saves batches of images of `first`, then the numbers up to `end`."""
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(folder), str(first), str(end), *NAMES],
        stdout=subprocess.PIPE,
        text=True,
    )


def _read_whole(files, folder, names):
    """Return the one value that each image has; a torn or mixed one fails the test."""
    values = {}
    for path in files.list_image_files(folder, "disk"):
        image = files.load_image(path, "disk", expected_shape=SHAPE, expected_dtype="uint16")
        (value,) = np.unique(image)
        values[Path(path).name] = int(value)
    assert set(values) <= set(names)
    return values


def _left_over(folder):
    return [path.name for path in folder.rglob(".tmp-*")]


def test_a_batch_that_fills_the_disk_is_not_written_at_all(files, small_disk):
    files.save_batch(_planes(1)[:2], [small_disk / name for name in NAMES[:2]], "disk")
    with pytest.raises(DiskFullError, match=r"B02_s00\d_w1_z001_t001\.tif: No space left") as full:
        files.save_batch(_planes(2), [small_disk / name for name in NAMES], "disk")
    assert ".tmp-" not in str(full.value)
    assert _read_whole(files, small_disk, NAMES) == dict.fromkeys(NAMES[:2], 1)
    assert _left_over(small_disk) == []
    files.save_batch(_planes(2)[:2], [small_disk / name for name in NAMES[:2]], "disk")


def test_a_disk_for_reading_only_is_named_with_the_file(files, tmp_path, small_disk, close_disk):
    folder, target = small_disk, small_disk / "b.tif"
    message = "b.tif: cannot be {}: Read-only file system; its disk is mounted for reading only"
    files.save(_planes(1)[0], folder / "a.tif", "disk")
    files.ensure_directory(tmp_path / "plate", "disk")
    close_disk()
    for action, call in {
        "written": lambda: files.save(_planes(2)[0], target, "disk"),
        "made": lambda: files.ensure_directory(target, "disk"),
        f"moved from {folder}/a.tif": lambda: files.move(folder / "a.tif", target, "disk"),
    }.items():
        with pytest.raises(StorageAccessError) as refused:
            call()
        assert str(refused.value).startswith(f"{folder}/{message.format(action)}")
    with pytest.raises(StorageAccessError, match=r"a\.tif: cannot be deleted: Read-only"):
        files.delete(folder / "a.tif", "disk")
    with pytest.raises(StorageAccessError, match=r"a\.tif: cannot be written: Read-only"):
        files.save_batch(_planes(2)[:1], [folder / "a.tif"], "disk")
    with pytest.raises(StorageAccessError, match=r"m: cannot be written: Read-only"):
        files.mirror_directory(tmp_path / "plate", folder / "m", "disk")
    assert _read_whole(files, folder, ["a.tif"]) == {"a.tif": 1}


def test_a_file_that_may_not_be_replaced_leaves_the_batch_as_it_was(files, tmp_path):
    paths = [tmp_path / name for name in NAMES]
    files.save_batch(_planes(1), paths, "disk")
    if subprocess.run(["chattr", "+i", paths[4]], capture_output=True, check=False).returncode:
        pytest.skip("no file can be made immutable here")
    try:
        with pytest.raises(StorageAccessError, match=rf"{NAMES[4]}: cannot be written: Operation"):
            files.save_batch(_planes(2), paths, "disk")
        with pytest.raises(StorageAccessError, match=rf"{NAMES[4]}: cannot be deleted"):
            files.delete(paths[4], "disk")
    finally:
        subprocess.run(["chattr", "-i", paths[4]], check=True)
    assert _read_whole(files, tmp_path, NAMES) == dict.fromkeys(NAMES, 1)
    assert _left_over(tmp_path) == []


_AS_NOBODY = """
import os, sys
from openhcs_core.storage import FileManager, create_storage_registry
import numpy, tifffile, natsort
os.setgid(65534); os.setuid(65534)
files = FileManager(create_storage_registry())
plane = numpy.ones((4, 4), "uint16")
for call in (
    lambda: files.save(plane, "shut/a.tif", "disk"),
    lambda: files.save_batch([plane], ["shut/a.tif"], "disk"),
    lambda: files.ensure_directory("shut/new", "disk"),
    lambda: files.delete("shut/there.txt", "disk"),
    lambda: files.move("open/a.txt", "shut/a.txt", "disk"),
    lambda: files.mirror_directory("open", "shut/m", "disk"),
    lambda: files.save(plane, "open/closed/x/a.tif", "disk"),
    lambda: files.save_batch([plane], ["open/closed/new/a.tif"], "disk"),
    lambda: files.delete("open/closed/x/y", "disk"),
    lambda: files.move("open/closed/x/y", "here/y", "disk"),
    lambda: files.mirror_directory("here", "open/closed/x", "disk"),
    lambda: files.list_dir("open/closed/x", "disk"),
    lambda: files.load("open/secret.txt", "disk"),
    lambda: files.list_image_files("open", "disk", [".txt"], recursive=True),
    lambda: files.list_dir("open/closed", "disk"),
    lambda: files.exists("open/closed/x/y", "disk"),
    lambda: files.mirror_directory("open", "here/m", "disk"),
):
    try:
        print("done", call())
    except Exception as error:
        print(type(error).__name__, error)
"""


def test_what_is_not_permitted_is_named_by_its_path(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    for name in ("shut/there.txt", "open/a.txt", "open/secret.txt", "open/closed/x/y", "here/z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    (tmp_path / "open/secret.txt").chmod(0)
    (tmp_path / "open/closed").chmod(0)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "here").chmod(0o777)
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    run = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    denied = "Permission denied; check owner and permissions of it and its folder"
    closed = "cannot be read: Permission denied; check permissions and the disk"
    assert run.stdout.splitlines() == [
        f"StorageAccessError shut/a.tif: cannot be written: {denied}",
        f"StorageAccessError shut/a.tif: cannot be written: {denied}",
        f"StorageAccessError shut/new: cannot be made: {denied}",
        f"StorageAccessError shut/there.txt: cannot be deleted: {denied}",
        f"StorageAccessError shut/a.txt: cannot be moved from open/a.txt: {denied}",
        f"InputDataError open/closed: {closed}",
        f"StorageAccessError open/closed/x/a.tif: cannot be written: {denied}",
        f"StorageAccessError open/closed/new/a.tif: cannot be written: {denied}",
        f"StorageAccessError open/closed/x/y: cannot be deleted: {denied}",
        f"StorageAccessError here/y: cannot be moved from open/closed/x/y: {denied}",
        f"StorageAccessError open/closed/x: cannot be written: {denied}",
        f"InputDataError open/closed/x: {closed}",
        f"InputDataError open/secret.txt: {closed}",
        f"InputDataError open/closed: {closed}",
        f"InputDataError open/closed: {closed}",
        f"InputDataError open/closed/x/y: {closed}",
        f"InputDataError open/closed: {closed}",
    ]


def _kill_at_random(files, folder, trials):
    """Kill writers of batches at random moments; return how many were writing or renaming."""
    rng = random.Random(trials)
    files.save_batch(_planes(0), [folder / name for name in NAMES], "disk")
    hit = 0
    for trial in range(trials):
        writer = _start_writer(folder, 1, 1_000_000)
        try:
            assert writer.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0, 0.3))
        finally:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            writer.stdout.close()
        values = _read_whole(files, folder, NAMES)
        assert set(values) == set(NAMES), f"trial {trial}"
        hit += bool(_left_over(folder))
        for left in folder.glob(".tmp-*"):
            left.unlink()
    return hit


def test_a_batch_that_is_killed_leaves_whole_files(files, tmp_path):
    assert _kill_at_random(files, tmp_path, FEW_KILLS) > 0


@pytest.mark.thorough
def test_a_batch_that_is_killed_at_many_moments_leaves_whole_files(files, tmp_path):
    assert _kill_at_random(files, tmp_path, MANY_KILLS) > MANY_KILLS / 4


def test_two_writers_of_the_same_names_leave_whole_files(files, tmp_path):
    writers = [_start_writer(tmp_path, begin, begin + 12) for begin in (100, 200)]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        seen |= set(_read_whole(files, tmp_path, NAMES).values()) if tmp_path.exists() else set()
    for writer in writers:
        assert writer.wait() == 0
        writer.stdout.close()
    values = _read_whole(files, tmp_path, NAMES)
    assert set(values) == set(NAMES)
    assert set(values.values()) <= {111, 211}
    assert seen <= {*range(100, 112), *range(200, 212)}
    assert _left_over(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"II*\0"])
def test_a_batch_with_an_empty_file_names_it(files, tmp_path, content):
    paths = [tmp_path / name for name in NAMES]
    files.save_batch(_planes(1), paths, "disk")
    paths[3].write_bytes(content)
    with pytest.raises(InputDataError, match=NAMES[3]):
        files.load_batch(paths, "disk")
