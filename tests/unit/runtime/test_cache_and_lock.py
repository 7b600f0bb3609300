"""The image cache and the run lock."""

import subprocess
import sys

import numpy as np
import pytest

from openhcs_core.ground.lock import RunLock
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.cache import ImageCache
from openhcs_core.runtime.digests import plane_digest

KEYS = [PlaneKey("B02", site, "1", 1, 1) for site in (1, 2)]


def _planes():
    return [np.arange(6, dtype=np.uint16).reshape(2, 3) + number for number in (0, 10)]


def test_planes_come_back_as_they_were(tmp_path):
    cache = ImageCache(tmp_path)
    stack = cache.put(_planes(), KEYS)
    for number, plane in enumerate(_planes()):
        found = cache.get_plane(stack, number)
        np.testing.assert_array_equal(found, plane)
        assert found.dtype == plane.dtype
        assert not found.flags.writeable


def test_equal_images_are_one_object(tmp_path):
    cache = ImageCache(tmp_path)
    first = cache.put(_planes(), KEYS)
    big_endian = [plane.astype(">u2") for plane in _planes()]
    assert cache.put(big_endian, KEYS).object == first.object
    assert len(list(tmp_path.rglob("*.npy"))) == 1


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o444), (0o027, 0o440), (0o077, 0o400)])
def test_objects_can_be_read_by_whom_the_umask_lets_and_written_by_nobody(tmp_path, umask, mode):
    code = (
        "import os, sys; import numpy as np; from pathlib import Path\n"
        "from openhcs_core.planes import PlaneKey\n"
        "from openhcs_core.runtime.cache import ImageCache\n"
        f"os.umask({umask}); keys = [PlaneKey('B02', 1, '1', 1, 1)]\n"
        "ImageCache(Path(sys.argv[1], 'cache')).put([np.zeros((2, 2))], keys)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    (path,) = tmp_path.rglob("*.npy")
    assert path.stat().st_mode & 0o777 == mode
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_gone_torn_or_altered_objects_count_as_absent(tmp_path):
    cache = ImageCache(tmp_path)
    stack = cache.put(_planes(), KEYS)
    path = cache.path(stack.object)
    content = path.read_bytes()
    path.unlink()
    assert cache.get_plane(stack, 0) is None
    path.write_bytes(content[:-3])
    assert cache.get_plane(stack, 0) is None
    path.write_bytes(b"")
    assert cache.get_plane(stack, 0) is None
    path.write_bytes(content[:-1] + b"\xff")
    assert cache.get_plane(stack, 1) is None


def test_digest_is_of_dtype_shape_and_values():
    plane = np.arange(6, dtype=np.uint16).reshape(2, 3)
    same = plane_digest(plane)
    assert plane_digest(np.asfortranarray(plane)) == same
    assert plane_digest(plane.astype(">u2")) == same
    assert plane_digest(np.repeat(plane, 2, axis=1)[:, ::2]) == same
    assert plane_digest(plane.astype(np.int16)) != same
    assert plane_digest(plane.reshape(3, 2)) != same
    assert plane_digest(plane + 1) != same


def test_the_lock_is_free_as_soon_as_its_holder_is_killed(tmp_path):
    path = tmp_path / "lock"
    code = (
        "import sys, time; from pathlib import Path; "
        "from openhcs_core.ground.lock import RunLock; "
        "lock = RunLock(Path(sys.argv[1])); lock.take(); lock.sign(); "
        "print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"held\n"
        lock = RunLock(path)
        assert not lock.take()
        assert f"process {child.pid}" in lock.owner()
        child.kill()
        child.wait()
        assert lock.take(wait_s=30)
    lock.close()
