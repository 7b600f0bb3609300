"""What killed jobs left is gone when the next run starts, and nothing else."""

import os
import time

from openhcs_core.plan import CompiledPipeline, PlatePlan
from openhcs_core.session.unfinished import remove_unfinished

UNFINISHED = [
    ".cache/objects/ab/.tmp-0123456789abcdef",
    ".plan/.tmp-0123456789abcdef",
    "demo/.tmp-0123456789abcdef",
    "demo/plan/.tmp-0123456789abcdef",
    "demo/manifests/removed_step/.tmp-0123456789abcdef",
    "demo/tables/count/.tmp-0123456789abcdef",
    "demo/logs/count/.tmp-0123456789abcdef",
    "demo/count.ome.zarr/.tmp-0123456789abcdef",
    "demo/count.ome.zarr/B/.tmp-0123456789abcdef",
    "demo/count.ome.zarr/B/02/.tmp-0123456789abcdef/0/zarr.json",
    "demo/images/count/.tmp-B02-0123456789abcdef/B02/B02_s001_w1_z001_t001.tif",
    "demo/deep/er/count.ome.zarr/B/02/.tmp-0123456789abcdef/0/zarr.json",
    "demo/.kept/removed_step/B02-xyz/objects/ab/x.npy",
]
FINISHED = [
    ".cache/objects/ab/x.npy",
    "demo/.tmp-notes/of a person.txt",
    ".plan/lock",
    "other plate/tables/count/.tmp-0123456789abcdef",
    "demo/manifests/count/B02.json",
    ".plan/locks/demo/B02",
    "demo/count.ome.zarr/B/02/0/zarr.json",
    "demo/images/count/B02/B02_s001_w1_z001_t001.tif",
]


def test_only_what_is_unfinished_goes(tmp_path):
    for name in (*UNFINISHED, *FINISHED):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    plate = PlatePlan.model_construct(name="demo")
    compiled = CompiledPipeline.model_construct(results=str(tmp_path), plates=(plate,))
    assert len(remove_unfinished(compiled, tmp_path / ".cache")) == len(UNFINISHED)
    left = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(left) == sorted(FINISHED)
    assert not list(tmp_path.glob("demo/**/B02-xyz"))
    assert remove_unfinished(compiled, tmp_path / ".cache") == []


def test_there_may_be_nothing_yet(tmp_path):
    plate = PlatePlan.model_construct(name="demo")
    compiled = CompiledPipeline.model_construct(results=str(tmp_path / "r"), plates=(plate,))
    assert remove_unfinished(compiled, tmp_path / ".cache") == []


def test_a_cache_that_others_use_too_keeps_what_may_be_being_written(tmp_path):
    plate = PlatePlan.model_construct(name="demo")
    compiled = CompiledPipeline.model_construct(results=str(tmp_path / "r"), plates=(plate,))
    folder = tmp_path / "cache/objects/ab"
    folder.mkdir(parents=True)
    new, old = (folder / f".tmp-{number * 16}" for number in "01")
    for path in (new, old):
        path.touch()
    os.utime(old, (time.time() - 90_000,) * 2)
    assert remove_unfinished(compiled, tmp_path / "cache") == [old]
    assert new.exists()


def test_beside_runs_of_other_plates_what_these_may_write_stays(tmp_path):
    plate = PlatePlan.model_construct(name="demo")
    compiled = CompiledPipeline.model_construct(results=str(tmp_path), plates=(plate,))
    name = ".tmp-0123456789abcdef"
    mine = [tmp_path / ".plan/read/demo/count" / name, tmp_path / "demo/tables" / name]
    others = [
        tmp_path / ".plan" / name,
        tmp_path / ".plan/read/other/count" / name,
        tmp_path / ".cache/objects/ab" / name,
    ]
    for path in (*mine, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    removed = remove_unfinished(compiled, tmp_path / ".cache", is_alone=False)
    assert sorted(removed) == sorted(mine)
    assert all(path.exists() for path in others)
