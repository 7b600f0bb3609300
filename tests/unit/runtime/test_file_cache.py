"""Files that several jobs store at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

import pytest

from openhcs_core.runtime.file_cache import FileCache

JOBS, ROUNDS = 4, 40


def _digest(content):
    return blake2b(content, digest_size=16).hexdigest()


@pytest.mark.parametrize("is_shared", [True, False])
def test_jobs_that_store_equal_files_at_once_note_the_same_one(tmp_path, is_shared):
    cache = FileCache(tmp_path / "cache", _digest)
    barrier = threading.Barrier(JOBS)

    def store(number, job):
        path = tmp_path / f"{job}.{number}"
        path.write_bytes(b"%d" % number)
        barrier.wait()
        return cache.put_file(path, is_shared=is_shared)

    with ThreadPoolExecutor(JOBS) as pool:
        for number in range(ROUNDS):
            records = list(pool.map(store, [number] * JOBS, range(JOBS)))
            assert all(cache.find(record) == record for record in records), f"in round {number}"
    assert len([path for path in cache.root.rglob("*") if path.is_file()]) == ROUNDS


def test_a_damaged_file_is_stored_again(tmp_path):
    cache = FileCache(tmp_path / "cache", _digest)
    path = tmp_path / "file"
    path.write_bytes(b"sound")
    record = cache.put_file(path, is_shared=False)
    stored = cache.path(record.digest)
    stored.chmod(0o644)
    stored.write_bytes(b"other")
    again = cache.put_file(path, is_shared=False)
    assert stored.read_bytes() == b"sound"
    assert stored.stat().st_mode & 0o777 == 0o444
    assert cache.find(again) == again
