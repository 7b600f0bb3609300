"""Which files of a cache go first."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.plan import digest_bytes
from openhcs_core.put_back import Shortcut, write_shortcut
from openhcs_core.runtime.job_cache import JobCache
from openhcs_core.runtime.manifest import FileRecord, Manifest
from openhcs_core.session.cache_size import CacheEntry, CacheLimits, choose, trim_cache

DAY_S = 24 * 3600.0
SIZE = 10_000


def _record(cache, plan, well, age_days, content=None):
    """Record a job with one table of its own, last used some days ago; return its files."""
    content = content or f"{plan}{well}".encode() * (SIZE // (len(plan) + len(well)) + 1)
    name = f"tables/{well}.csv"
    record = FileRecord(digest=digest_bytes(content), size_bytes=len(content))
    manifest = Manifest(
        digest=plan,
        step="count",
        well=well,
        inputs={},
        functions={},
        images=(),
        files={name: record},
    )
    cache.put(manifest, {name: content}, None)
    (job,) = cache.root.glob(f"jobs/*/{plan}/{well}/*.json")
    used = time.time() - age_days * DAY_S
    os.utime(job, (used, used))
    return job, cache.files.path(record.digest)


def test_nothing_goes_within_the_size(tmp_path):
    paths = _record(JobCache(tmp_path), "a" * 32, "A01", 90)
    trimmed = trim_cache(tmp_path, {}, CacheLimits(keep_bytes=1e6))
    assert (trimmed.file_count, trimmed.size_bytes) == (0, 0)
    assert trimmed.left_bytes == sum(path.stat().st_size for path in paths)
    assert all(path.exists() for path in paths)


def test_superseded_results_go_first_then_the_oldest_and_never_those_of_a_gpu(tmp_path):
    cache = JobCache(tmp_path)
    superseded = _record(cache, "a" * 32, "A01", 1)
    oldest = _record(cache, "b" * 32, "A01", 9)
    newer = _record(cache, "b" * 32, "A02", 5)
    gpu = _record(cache, "c" * 32, "A01", 30)
    current = {("b" * 32, "A01"): False, ("b" * 32, "A02"): False, ("c" * 32, "A01"): True}

    def left():
        return [all(p.exists() for p in paths) for paths in (superseded, oldest, newer, gpu)]

    trim_cache(tmp_path, current, CacheLimits(keep_bytes=4 * SIZE))
    assert left() == [False, True, True, True]
    trim_cache(tmp_path, current, CacheLimits(keep_bytes=3 * SIZE))
    assert left() == [False, False, True, True]
    trim_cache(tmp_path, current, CacheLimits(keep_bytes=1))
    assert left() == [False, False, False, True]


def test_shortcuts_go_with_their_record(tmp_path):
    cache = JobCache(tmp_path)
    old, new = (_record(cache, plan * 32, "A01", age) for plan, age in (("a", 9), ("b", 1)))
    shortcuts = []
    for record, _ in (old, new):
        shortcut = Shortcut(record.stem, "m", "r", {}, None, {})
        write_shortcut(record.parent, shortcut)
        write_shortcut(record.parent, shortcut._replace(plate="/another"))
        shortcuts.append(sorted(record.parent.glob("*.shortcut")))
        for path in shortcuts[-1]:  # long before: their own time is nothing
            os.utime(path, (1, 1))
    assert list(map(len, shortcuts)) == [2, 2]
    trim_cache(tmp_path, {}, CacheLimits(unused_s=5 * DAY_S))
    assert [path.exists() for path in (*old, *shortcuts[0])] == [False] * 4
    assert [path.exists() for path in (*new, *shortcuts[1])] == [True] * 4
    new[0].unlink()
    trim_cache(tmp_path, {}, CacheLimits(unused_s=5 * DAY_S))
    assert not any(path.exists() for path in shortcuts[1])


def test_old_ones_go_whatever_the_size(tmp_path):
    cache = JobCache(tmp_path)
    old = _record(cache, "a" * 32, "A01", 31)
    new = _record(cache, "a" * 32, "A02", 29)
    dry = trim_cache(tmp_path, {}, CacheLimits(unused_s=30 * DAY_S), dry_run=True)
    assert all(path.exists() for path in old)
    assert trim_cache(tmp_path, {}, CacheLimits(unused_s=30 * DAY_S)) == dry
    assert [path.exists() for path in (*old, *new)] == [False, False, True, True]


def test_a_file_stays_while_another_record_names_it(tmp_path):
    cache = JobCache(tmp_path)
    content = b"the same table" * 1000
    (old_job, shared), (new_job, same) = (
        _record(cache, "a" * 32, well, age, content) for well, age in (("A01", 31), ("A02", 1))
    )
    assert shared == same
    trim_cache(tmp_path, {}, CacheLimits(unused_s=30 * DAY_S))
    assert [old_job.exists(), new_job.exists(), shared.exists()] == [False, True, True]


def test_equal_files_of_a_result_are_one(tmp_path):
    cache = JobCache(tmp_path / "cache")
    content = b"x" * SIZE
    record = FileRecord(digest=digest_bytes(content), size_bytes=SIZE)
    names = ("tables/1.csv", "tables/2.csv")
    kinds = {"step": "count", "inputs": {}, "functions": {}, "images": ()}
    for well in ("A01", "A02"):
        files = dict.fromkeys(names, record) if well == "A01" else {}
        manifest = Manifest(digest="a" * 32, well=well, files=files, **kinds)
        cache.put(manifest, dict.fromkeys(files, content), None)
    found = [path for path in cache.root.rglob("*") if path.is_file()]
    total = sum(path.stat().st_size for path in found)
    trimmed = trim_cache(cache.root, {}, CacheLimits(keep_bytes=1))
    assert (trimmed.file_count, trimmed.size_bytes, trimmed.left_bytes) == (len(found), total, 0)


def test_files_of_nobody_go_but_those_being_written_stay(tmp_path):
    folder = tmp_path / "objects/ab"
    folder.mkdir(parents=True)
    for name, age in (("x.npy", 2), (".tmp-old", 2), (".tmp-new", 0)):
        (folder / name).write_bytes(b"1" * SIZE)
        os.utime(folder / name, (time.time() - age * DAY_S,) * 2)
    trim_cache(tmp_path, {}, CacheLimits(keep_bytes=1))
    assert [path.name for path in folder.iterdir()] == [".tmp-new"]


def test_results_that_share_a_file_do_not_count(tmp_path):
    _, file = _record(JobCache(tmp_path / "cache"), "a" * 32, "A01", 1)
    os.link(file, tmp_path / "result")
    trimmed = trim_cache(tmp_path / "cache", {}, CacheLimits(keep_bytes=SIZE / 2))
    assert trimmed.file_count == 0
    assert trimmed.left_bytes < SIZE / 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"manifest": {}}'])
def test_a_damaged_record_is_a_file_like_others(tmp_path, content):
    path = tmp_path / "jobs/aa/aaa/A01/x.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    trim_cache(tmp_path, {}, CacheLimits(unused_s=-1))
    assert not path.exists()


@given(
    st.lists(st.sets(st.integers(0, 9), min_size=1), max_size=8),
    st.lists(st.integers(0, 100), min_size=10, max_size=10),
    st.integers(0, 1000),
)
def test_as_little_as_possible_goes_and_nothing_that_is_named(tmp_path_factory, names, sizes, goal):
    paths = [tmp_path_factory.getbasetemp() / str(number) for number in range(10)]
    size_of = dict(zip(paths, sizes, strict=True))
    entries = [
        CacheEntry(tuple(paths[number] for number in sorted(named)), age, 0)
        for age, named in enumerate(names)
    ]
    gone = choose(entries, size_of, goal, None)
    assert len(set(gone)) == len(gone)
    left = sum(size_of.values()) - sum(size_of[path] for path in gone)
    stays = {path for path in paths if path not in gone}
    kept = [entry for entry in entries if set(entry.paths) & stays]
    named = {path for entry in entries for path in entry.paths}
    assert left <= goal or not kept or not (named & stays)
