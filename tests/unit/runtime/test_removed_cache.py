"""Somebody removes the cache while a job works: the job ends well, and results are whole."""

import errno
import os
import shutil

import numpy as np
import pytest

from openhcs_core.errors import StorageAccessError
from openhcs_core.ground.stored import CacheRemovedError
from openhcs_core.plan import digest_bytes
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.cache import ImageCache
from openhcs_core.runtime.file_cache import FileCache
from openhcs_core.runtime.job_cache import JobCache
from openhcs_core.runtime.manifest import FileRecord, Manifest
from openhcs_core.runtime.removable import write_unless_removed

KEYS = [PlaneKey("A01", site, "1", 1, 1) for site in (1, 2)]
PLANES = [np.full((4, 4), site, np.uint16) for site in (1, 2)]
FILES = {"tables/count/A01.counts.csv": b"label\n1\n"}
READ = {"inputs": {"A01_s001_w1_z001_t001.tif": "a" * 32}, "special": {}}


@pytest.fixture
def removing(tmp_path, monkeypatch):
    """Give what removes a folder at the next so many renames or links, just before them."""

    def make(folder, times):
        left = [times]

        def first(function):
            def call(*arguments, **options):
                if left[0]:
                    left[0] -= 1
                    shutil.rmtree(folder, ignore_errors=True)
                return function(*arguments, **options)

            return call

        monkeypatch.setattr("pathlib.Path.replace", first(type(tmp_path).replace))
        monkeypatch.setattr(os, "link", first(os.link))

    return make


def _manifest():
    files = {
        name: FileRecord(digest=digest_bytes(content), size_bytes=len(content))
        for name, content in FILES.items()
    }
    parts = {"digest": "d" * 32, "step": "count", "well": "A01", "functions": {}, "images": ()}
    return Manifest(inputs=READ["inputs"], files=files, **parts)


@pytest.fixture
def kept(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "0").write_bytes(bytes(range(100)))
    return folder


def test_images_are_written_again_or_left_out_and_known_by_their_digest_either_way(
    tmp_path, removing
):
    expected = ImageCache(tmp_path / "quiet").put(PLANES, KEYS)
    for times in (1, 9):
        cache = ImageCache(tmp_path / f"cache{times}")
        removing(cache.root, times)
        assert cache.put(PLANES, KEYS) == expected
        found = cache.get_plane(expected, 1)
        assert (found is None) == (times == 9)


@pytest.mark.parametrize("times", [1, 9])
def test_results_of_jobs_are_recorded_again_or_not_at_all(tmp_path, kept, removing, times):
    cache = JobCache(tmp_path / "cache")
    removing(cache.root, times)
    cache.put(_manifest(), FILES, kept)
    assert (kept / "0").read_bytes() == bytes(range(100))
    assert (cache.find("d" * 32, "A01", READ) is None) == (times == 9)


def test_what_is_removed_while_it_is_put_back_is_said(tmp_path, kept):
    cache = JobCache(tmp_path / "cache")
    cache.put(_manifest(), FILES, kept)
    found = cache.find("d" * 32, "A01", READ)
    shutil.rmtree(cache.root)
    with pytest.raises(CacheRemovedError):
        cache.place_kept(found, tmp_path / "again")
    assert cache.find("d" * 32, "A01", READ) is None
    assert cache.find_read("d" * 32, "A01", "x") is None


def test_other_refusals_are_errors(tmp_path):
    def refuse():
        raise StorageAccessError("no") from PermissionError(errno.EACCES, "no")

    with pytest.raises(StorageAccessError):
        write_unless_removed(refuse, tmp_path)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_files_are_copied_where_the_system_links_none(tmp_path, kept, monkeypatch, code):
    # EPERM: files of another user, where the kernel protects hard links
    def refuse(source, target, **_):
        raise OSError(code, os.strerror(code), source, None, target)

    monkeypatch.setattr(os, "link", refuse)
    cache = FileCache(tmp_path / "cache", digest_bytes)
    stored = cache.put_file(kept / "0")
    assert cache.find(stored) == stored
    assert cache.path(stored.digest).stat().st_ino != (kept / "0").stat().st_ino


@pytest.mark.skipif(
    not os.access("/dev/shm", os.W_OK), reason="/dev/shm, another file system, is not there"
)
def test_a_cache_on_another_file_system_has_copies(tmp_path, kept):
    folder = f"/dev/shm/{tmp_path.name}-{os.getpid()}"
    try:
        cache = JobCache(type(tmp_path)(folder))
        cache.put(_manifest(), FILES, kept)
        if cache.root.stat().st_dev == kept.stat().st_dev:
            pytest.skip("/dev/shm is the file system of temporary files")
        assert (kept / "0").stat().st_nlink == 1
        cache.place_kept(cache.find("d" * 32, "A01", READ), tmp_path / "again")
        assert (tmp_path / "again/0").read_bytes() == bytes(range(100))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
