"""What killed jobs left is gone when the next run starts, and nothing else."""

from openhcs_core.plan import CompiledPipeline, PlatePlan
from openhcs_core.session.unfinished import remove_unfinished

UNFINISHED = [
    ".plan/.tmp-1",
    "demo/.tmp-1",
    "demo/plan/.tmp-1",
    "demo/manifests/removed_step/.tmp-1",
    "demo/tables/count/.tmp-1",
    "demo/logs/count/.tmp-1",
    "demo/count.ome.zarr/.tmp-1",
    "demo/count.ome.zarr/B/.tmp-1",
    "demo/count.ome.zarr/B/02/.tmp-1/0/zarr.json",
    "demo/images/count/.tmp-B02-1/B02/B02_s001_w1_z001_t001.tif",
    "demo/deep/er/count.ome.zarr/B/02/.tmp-1/0/zarr.json",
    "demo/.kept/removed_step/B02-xyz/objects/ab/x.npy",
]
FINISHED = [
    ".cache/objects/ab/x.npy",
    ".cache/objects/ab/.tmp-of-a-live-job",
    ".plan/lock",
    "other plate/tables/count/.tmp-1",
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
    assert len(remove_unfinished(compiled)) == len(UNFINISHED)
    left = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(left) == sorted(FINISHED)
    assert not list(tmp_path.glob("demo/**/B02-xyz"))
    assert remove_unfinished(compiled) == []


def test_there_may_be_nothing_yet(tmp_path):
    plate = PlatePlan.model_construct(name="demo")
    compiled = CompiledPipeline.model_construct(results=str(tmp_path / "r"), plates=(plate,))
    assert remove_unfinished(compiled) == []
