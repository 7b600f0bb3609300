"""Results of jobs by what the jobs were given."""

import errno
import json
import os
import shutil
import tracemalloc

import pytest

from openhcs_core.plan import digest_bytes
from openhcs_core.runtime.digests import content_digest
from openhcs_core.runtime.job_cache import JobCache
from openhcs_core.runtime.manifest import FileRecord, Manifest

FILES = {"tables/count/B02.counts.csv": b"label\n1\n", "rois/count/B02.masks.roi.zip": b"PK"}
READ = {"inputs": {"B02_s001_w1_z001_t001.tif": "a" * 32}, "special": {}}
PLAN = "d" * 32


def _manifest(files=FILES, inputs=READ["inputs"]):
    return Manifest(
        digest=PLAN,
        step="count",
        well="B02",
        inputs=inputs,
        functions={},
        images=(),
        files={
            name: FileRecord(digest=digest_bytes(content), size_bytes=len(content))
            for name, content in files.items()
        },
    )


@pytest.fixture
def kept(tmp_path):
    """The folder of a well's kept images."""
    folder = tmp_path / "count.ome.zarr/B/02"
    (folder / "0/c/0").mkdir(parents=True)
    (folder / "0/c/0/0").write_bytes(bytes(range(200)))
    (folder / "0/zarr.json").write_text("{}")
    (folder / "zarr.json").write_text('{"well": 1}')
    return folder


def _tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_equal_job_finds_what_was_recorded(tmp_path, kept):
    cache = JobCache(tmp_path / "cache")
    assert not cache.knows(PLAN, "B02")
    cache.put(_manifest(), FILES, kept)
    assert cache.knows(PLAN, "B02")
    assert not cache.knows(PLAN, "B03")
    found = cache.find(PLAN, "B02", READ)
    assert found.record.manifest == _manifest()
    assert found.files == FILES
    cache.place_kept(found, tmp_path / "again")
    assert _tree(tmp_path / "again") == _tree(kept)


@pytest.mark.parametrize(
    "read",
    [
        {"inputs": {"B02_s001_w1_z001_t001.tif": "b" * 32}, "special": {}},
        {"inputs": {"B02_s002_w1_z001_t001.tif": "a" * 32}, "special": {}},
        {"inputs": READ["inputs"], "special": {"special/positions.json": "c" * 32}},
    ],
)
def test_another_input_is_another_job(tmp_path, read):
    cache = JobCache(tmp_path)
    cache.put(_manifest(), FILES, None)
    assert cache.find(PLAN, "B02", read) is None


def test_kept_images_share_their_space_with_the_results_and_are_read_only(tmp_path, kept):
    JobCache(tmp_path / "cache").put(_manifest(), FILES, kept)
    chunk = kept / "0/c/0/0"
    assert chunk.stat().st_nlink == 2
    assert chunk.stat().st_mode & 0o222 == 0


def test_files_are_copied_where_links_cannot_be(tmp_path, kept, monkeypatch):
    def refuse(source, target, **_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source, None, target)

    monkeypatch.setattr(os, "link", refuse)
    cache = JobCache(tmp_path / "cache")
    cache.put(_manifest(), FILES, kept)
    assert (kept / "0/c/0/0").stat().st_nlink == 1
    cache.place_kept(cache.find(PLAN, "B02", READ), tmp_path / "again")
    assert _tree(tmp_path / "again") == _tree(kept)
    assert not list(tmp_path.rglob(".tmp-*"))


@pytest.mark.parametrize("damage", ["removed", "torn", "altered"])
@pytest.mark.parametrize("kind", ["files", "images", "jobs"])
def test_a_result_that_is_not_whole_counts_as_absent(tmp_path, kept, kind, damage):
    cache = JobCache(tmp_path / "cache")
    cache.put(_manifest(), FILES, kept)
    paths = [path for path in (cache.root / kind).rglob("*") if path.is_file()]
    path = max(paths, key=lambda path: path.stat().st_size)
    content = path.read_bytes()
    os.utime(path, (0, 0))  # what is written in the same instant has the same time
    path.chmod(0o644)
    if damage == "removed":
        path.unlink()
    else:
        path.write_bytes(content[:-1] + (b"" if damage == "torn" else b"\xff"))
    assert cache.find(PLAN, "B02", READ) is None
    if damage != "removed" and kind == "images":
        (kept / "0/c/0/0").unlink()  # the same file: it is damaged, too
        (kept / "0/c/0/0").write_bytes(content)
    cache.put(_manifest(), FILES, kept)
    assert cache.find(PLAN, "B02", READ).files == FILES


def _largest(folder):
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return max(paths, key=lambda path: path.stat().st_size)


def _replace(path, content):
    """Put another file in the place of one, with its size, time and mode."""
    other = path.with_name("other")
    shutil.copy2(path, other)
    before = other.stat()
    other.chmod(0o644)
    other.write_bytes(content)
    other.chmod(before.st_mode)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def test_a_file_that_took_the_place_of_a_stored_one_is_noticed_whatever_its_time(tmp_path, kept):
    cache = JobCache(tmp_path / "cache")
    cache.put(_manifest(), FILES, kept)
    path = _largest(cache.images.root)
    content = path.read_bytes()
    _replace(path, content[::-1])
    assert cache.find(PLAN, "B02", READ) is None
    _replace(path, content)
    assert cache.find(PLAN, "B02", READ) is not None


@pytest.mark.parametrize("copy", [shutil.copy2, shutil.copyfile])  # with its times and without
def test_a_copy_of_the_cache_is_read_once_and_serves(tmp_path, kept, monkeypatch, copy):
    first = JobCache(tmp_path / "cache")
    first.put(_manifest(), FILES, kept)
    shutil.copytree(first.root, tmp_path / "copy", copy_function=copy)
    cache, checked = JobCache(tmp_path / "copy"), []
    check = type(cache.images).check
    monkeypatch.setattr(
        type(cache.images), "check", lambda self, path: checked.append(path) or check(self, path)
    )
    for _ in range(2):
        found = cache.find(PLAN, "B02", READ)
        assert found.files == FILES
        assert len(checked) == 3
    cache.place_kept(found, tmp_path / "again")
    assert _tree(tmp_path / "again") == _tree(kept)
    damaged = _largest(cache.images.root)
    _replace(damaged, damaged.read_bytes()[::-1])
    assert cache.find(PLAN, "B02", READ) is None


def test_records_of_earlier_versions_have_no_inode_and_are_made_whole(tmp_path, kept):
    cache = JobCache(tmp_path / "cache")
    cache.put(_manifest(), FILES, kept)
    (path,) = (cache.root / "jobs").rglob("*.json")
    text = path.read_text()
    record = json.loads(text)
    for stored in record["kept"].values():
        del stored["inode"]
    path.write_text(json.dumps(record))
    assert cache.find(PLAN, "B02", READ) is not None
    assert path.read_text() == text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_copy_that_is_read_only_serves_as_well(tmp_path, kept):
    first = JobCache(tmp_path / "cache")
    first.put(_manifest(), FILES, kept)
    shutil.copytree(first.root, tmp_path / "copy", copy_function=shutil.copyfile)
    cache = JobCache(tmp_path / "copy")
    (record,) = (cache.root / "jobs").rglob("*.json")
    record.parent.chmod(0o555)
    try:
        assert cache.find(PLAN, "B02", READ).files == FILES
    finally:
        record.parent.chmod(0o755)


def test_files_that_two_wells_share_are_stored_once_and_serve_both(tmp_path, kept):
    cache = JobCache(tmp_path / "cache")
    twin = tmp_path / "twin"
    cache.put(_manifest(), FILES, kept)
    cache.place_kept(cache.find(PLAN, "B02", READ), twin)
    other = {"B02_s001_w1_z001_t001.tif": "e" * 32}
    cache.put(_manifest(inputs=other), FILES, twin)
    assert len(list(cache.images.root.glob("*/*"))) == 3
    for inputs in (READ["inputs"], other):
        assert cache.find(PLAN, "B02", {"inputs": inputs, "special": {}}) is not None


def test_a_large_file_is_stored_and_checked_a_part_at_a_time(tmp_path, kept, monkeypatch):
    content = bytes(range(256)) * 2**14
    (kept / "0/c/0/1").write_bytes(content)
    monkeypatch.setattr("openhcs_core.runtime.digests._PART_BYTES", 2**16)
    images = JobCache(tmp_path / "cache").images
    for _ in range(2):
        tracemalloc.start()
        stored = images.put_file(kept / "0/c/0/1")
        assert images.check(images.path(stored.digest)) is None
        assert tracemalloc.get_traced_memory()[1] < len(content) / 4
        tracemalloc.stop()
        assert stored.digest == content_digest(content)


def test_damage_is_named(tmp_path, kept):
    cache = JobCache(tmp_path / "cache")
    cache.put(_manifest(), FILES, kept)
    paths = list(cache.images.root.glob("*/*"))
    assert [cache.images.check(path) for path in paths] == [None] * 3
    paths[0].chmod(0o644)
    paths[0].write_bytes(b"other")
    assert "of digest" in cache.images.check(paths[0])
