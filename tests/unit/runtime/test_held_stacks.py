"""Images in memory between steps of a job: as many as fit, the rest in files, never lost."""

import numpy as np
import pytest

from openhcs_core.planes import PlaneKey
from openhcs_core.runtime import ImageCache
from openhcs_core.runtime.held import HeldStacks

KEYS = [PlaneKey("A01", 1, "1", z_index, 1) for z_index in (1, 2)]


def _planes(value):
    return [np.full((8, 8), value + number, np.uint16) for number in range(2)]


def _files(root):
    return list(root.glob("objects/*/*.npy"))


def test_a_stack_is_held_and_written_and_read_without_its_file(tmp_path):
    cache = ImageCache(tmp_path, HeldStacks())
    record = cache.put(_planes(1), KEYS)
    (file,) = _files(tmp_path)
    file.unlink()
    cache.held.hand_on()
    assert (cache.get_plane(record, 1) == 2).all()
    cache.held.hand_on()
    assert cache.get_plane(record, 1) is None, "the step after the next does not read it"


def test_what_is_held_cannot_be_written_to(tmp_path):
    cache = ImageCache(tmp_path, HeldStacks())
    record = cache.put(_planes(1), KEYS)
    with pytest.raises(ValueError, match="read-only"):
        cache.get_plane(record, 0)[0, 0] = 9


def test_what_passes_is_not_written_while_it_is_held(tmp_path):
    one = _planes(1)[0].nbytes * 2
    cache = ImageCache(tmp_path, HeldStacks(limit_bytes=one))
    held = cache.put(_planes(1), KEYS, is_passing=True)
    assert _files(tmp_path) == []
    written = cache.put(_planes(5), KEYS, is_passing=True)
    assert len(_files(tmp_path)) == 1, "there was no room for another"
    for record, value in ((held, 1), (written, 5)):
        for number in range(2):
            assert (cache.get_plane(record, number) == value + number).all()


def test_the_record_is_the_same_held_or_not(tmp_path):
    held = ImageCache(tmp_path / "held", HeldStacks()).put(_planes(1), KEYS, is_passing=True)
    assert held == ImageCache(tmp_path / "written").put(_planes(1), KEYS)


def test_what_another_job_reads_is_written(tmp_path):
    cache = ImageCache(tmp_path, HeldStacks())
    cache.held.is_read_here = False
    cache.put(_planes(1), KEYS, is_passing=True)
    assert len(_files(tmp_path)) == 1
