"""Plate tables and metadata of OME-Zarr plates that equal jobs wrote."""

import json
import os
import shutil

import pytest

from openhcs_core.cli.main import main
from openhcs_core.ground.canonical import canonical_json, digest_bytes, digest_text
from openhcs_core.ground.lock import RunLock
from openhcs_core.put_back import put_back, shortcuts

TABLE, STORE = ("--table", "cell_counts.csv"), ("--store",)
PLANS = {TABLE: "plan/count/cell_counts.csv.json", STORE: "plan/count/store.json"}
TARGETS = {TABLE: "cell_counts.csv", STORE: "store"}


def arguments(place, kind):
    plan = json.loads((place.results / PLANS[kind]).read_bytes())
    where = ["--plate-dir", str(place.results), "--step", "count", *kind]
    log = str(place.results / f"logs/count/{TARGETS[kind]}.log")
    return [*where, "--digest", digest_text(canonical_json(plan)), "--log", log]


def shortcut(place, kind):
    digest = arguments(place, kind)[-3]
    (path,) = place.cache.glob(f"jobs/*/{digest}/{TARGETS[kind]}/*.shortcut")
    return path


@pytest.fixture(params=["plain", "zarr v2"])
def place(request, done):
    """A project whose tables and metadata are done too."""
    place = done(request.param)
    for kind in PLANS:
        assert not put_back(arguments(place, kind))
        assert main(["run-step", *arguments(place, kind)]) == 0
    return place


def test_shortcuts_are_read_only(place):
    for path in place.cache.glob("jobs/*/*/*/*.shortcut"):
        assert path.stat().st_mode & 0o222 == 0


def test_they_are_put_back_to_the_byte(place):
    before = place.made()
    assert "tables/count/cell_counts.csv" in before
    place.forget_results()
    for step in place.steps:
        for well in ("A01", "A02"):
            assert put_back(place.arguments(step, well))
    is_v3 = (place.results / "count.ome.zarr/A/01/zarr.json").exists()
    before_that = ".zattrs" if is_v3 else "zarr.json"  # of a version that the plate had once
    place.write(f"results/demo/count.ome.zarr/{before_that}", "{}")
    for name in ("cell_counts.partial.csv", "cell_counts.left_out.csv"):
        place.write(f"results/demo/tables/count/{name}", "old")
    for kind in PLANS:
        assert put_back(arguments(place, kind)), kind
        log = (place.results / f"logs/count/{TARGETS[kind]}.log").read_text().splitlines()
        assert log[-1].endswith(" INFO done")
    assert place.made() == before


def well_table(place):
    place.edit("results/demo/tables/count/A02.cell_counts.csv", "A02", "A03")


def well_table_gone(place):
    (place.results / "tables/count/A02.cell_counts.csv").unlink()


def well_left_out(place):
    failure = '{"digest": "0", "failure": {"step": "count", "exit_code": 3, "message": "bad"}}'
    place.write("results/demo/manifests/count/A02.json", failure)


def table_plan(place):
    place.edit(f"results/demo/{PLANS[TABLE]}", '"A02"', '"A03"')


def failed_before(place):
    place.write("results/demo/logs/count/cell_counts.csv.failure.json", "{}")


def file_altered(place):
    for path in place.cache.glob("files/*/*"):
        path.chmod(0o644)
        path.write_bytes(path.read_bytes() + b" ")


def shortcut_altered(place):
    path = shortcut(place, TABLE)
    path.chmod(0o644)
    path.write_text(path.read_text().replace("false", " false"))


def of_another_place(place):
    """Let a table's shortcut name a file that is not the table."""
    path = shortcut(place, TABLE)
    fields = json.loads(path.read_bytes())
    fields["files"][0][0] = "tables/count/../../other.csv"
    path.unlink()
    del fields["made by"]
    shortcuts.write_fields(path.parent, fields)


def cache_gone(place):
    shutil.rmtree(place.cache)


CHANGES = [well_table, well_table_gone, well_left_out, table_plan, failed_before, file_altered]


@pytest.mark.parametrize("change", [*CHANGES, shortcut_altered, of_another_place, cache_gone])
@pytest.mark.parametrize("place", ["plain"], indirect=True)
def test_whatever_is_not_the_same_is_made_anew(place, change):
    asked = arguments(place, TABLE)
    change(place)
    before = place.made(logs=True)
    assert not put_back(asked)
    assert place.made(logs=True) == before


@pytest.mark.parametrize("place", ["plain"], indirect=True)
def test_another_plan_or_turn_is_not_ours(place, monkeypatch):
    asked = arguments(place, STORE)
    place.edit(f"results/demo/{PLANS[STORE]}", '"A02"', '"A03"')
    assert not put_back(asked)
    assert not put_back(arguments(place, STORE))
    place.edit(f"results/demo/{PLANS[STORE]}", '"A03"', '"A02"')
    lock = RunLock(place.folder / "results/.plan/locks/demo/count.store")
    assert lock.take()
    assert not put_back(asked)
    lock.close()
    monkeypatch.setenv("OPENHCS_RUN", "the first")
    place.write("results/.plan/lock", "the second")
    assert not put_back(asked)
    place.write("results/.plan/lock", "the first")
    assert put_back(asked)


@pytest.mark.parametrize("place", ["plain"], indirect=True)
def test_the_plate_map_is_the_planned_one(place, tmp_path):
    plate_map = tmp_path / "map.csv"
    plate_map.write_text("well,dose\nA01,1\nA02,2\n")
    plan_path = place.results / PLANS[TABLE]
    plan = json.loads(plan_path.read_bytes())
    location = place.results / "workspace/location.json"
    from_map = json.loads(location.read_bytes()) | {"plate_map": str(plate_map)}
    plan["plate_map"] = digest_bytes(plate_map.read_bytes())
    plan_path.write_text(json.dumps(plan))
    location.write_text(json.dumps(from_map))
    asked = arguments(place, TABLE)
    assert not put_back(asked)
    assert main(["run-step", *asked]) == 0
    table = place.results / "tables/count/cell_counts.csv"
    joined = table.read_bytes()
    assert b",dose\n" in joined
    table.unlink()
    assert put_back(asked)
    assert table.read_bytes() == joined
    plate_map.write_text("well,dose\nA01,1\nA02,3\n")
    assert not put_back(asked)
    location.write_text(json.dumps(from_map | {"plate_map": None}))
    assert not put_back(asked)


@pytest.mark.parametrize("place", ["plain"], indirect=True)
def test_a_cache_that_may_not_be_written_fails_no_table(place):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    shortcut(place, TABLE).unlink()
    (place.cache / "jobs").chmod(0o555)
    assert main(["run-step", *arguments(place, TABLE)]) == 0
