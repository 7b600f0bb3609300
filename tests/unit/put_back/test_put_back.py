"""Results put back the short way: what the ordinary way gives, or an answer of no and no change."""

import json
import os
import shutil

import pytest

from openhcs_core.cli.main import main
from openhcs_core.errors import EXIT_CONFIG
from openhcs_core.ground.canonical import digest_text
from openhcs_core.ground.lock import RunLock
from openhcs_core.put_back import put_back, putting, shortcuts

TAKEN = "taken from the cache, an equal job did it"


def one(folder, pattern):
    (path,) = folder.glob(pattern)
    return path


def rewrite(path, content):
    path.chmod(0o644)
    path.write_bytes(content)


def refuses(place, step="count", **changes):
    """Return whether the answer is no, and everything is as it was."""
    before = place.made(logs=True)
    is_done = put_back(place.arguments(step, **changes))
    return not is_done and place.made(logs=True) == before


def test_the_result_is_that_of_the_ordinary_way_to_the_byte(each):
    ordinary = each.made()
    each.forget_results()
    assert each.made() == {}
    for step in each.steps:
        for well in ("A01", "A02"):
            assert put_back(each.arguments(step, well))
            first, last = (each.results / f"logs/{step}/{well}.log").read_text().splitlines()
            assert first.endswith(f" INFO step {step!r}, well {well}: {TAKEN}")
            assert last.endswith(" INFO done")
    assert each.made() == ordinary


@pytest.mark.parametrize("kind", ["plain", "tiff"])
def test_it_takes_the_place_of_a_later_result(done, kind):
    place = done(kind)
    first = place.made()
    plan_edited(place)
    assert not put_back(place.arguments("count"))
    assert place.run("count") == 0
    assert place.made() != first
    place.edit("results/demo/plan/count.json", '"min_area": 6', '"min_area": 5')
    assert put_back(place.arguments("count"))
    assert place.made() == first


def test_declared_files_are_copies_and_chunks_are_links(done):
    place = done()
    place.forget_results()
    for step in place.steps:
        assert put_back(place.arguments(step))
    for name in ("tables/count/A01.cell_counts.csv", "count.ome.zarr/A/01/zarr.json"):
        status = (place.results / name).stat()
        assert status.st_nlink == 1, name
    well = place.results / "count.ome.zarr/A/01"
    chunks = [path for path in well.rglob("c/**/*") if path.is_file()]
    assert chunks
    assert all(path.stat().st_nlink >= 2 and not path.stat().st_mode & 0o222 for path in chunks)


def test_a_record_that_was_of_use_is_as_new(done):
    place = done()
    record = one(place.cache, f"jobs/*/{place.digest('count')}/A01/*.json")
    os.utime(record, (1, 1))
    assert put_back(place.arguments("count"))
    assert record.stat().st_mtime > 1


def plan_edited(place):
    place.edit("results/demo/plan/count.json", '"min_area": 5', '"min_area": 6')


def own_plan(place):
    plan = (place.results / "plan/count.json").read_text()
    place.write("results/demo/plan/count/A01.json", plan.replace('"min_area": 5', '"min_area": 7'))


def upstream(place):
    place.edit("results/demo/manifests/flatten/A01.json", '"step"', ' "step"')


def upstream_missing(place):
    (place.results / "manifests/flatten/A01.json").unlink()


def upstream_left_out(place):
    text = (place.results / "manifests/flatten/A01.json").read_text()
    manifest = json.loads(text)
    failure = {"step": "flatten", "exit_code": 3, "message": "bad"}
    place.write(
        "results/demo/manifests/flatten/A01.json",
        json.dumps({"digest": manifest.pop("digest"), "failure": failure, **manifest}),
    )


def failed_before(place):
    place.write("results/demo/logs/count/A01.failure.json", "{}")


def file_altered(place):
    for path in place.cache.glob("files/*/*"):
        rewrite(path, path.read_bytes() + b" ")


def file_gone(place):
    shutil.rmtree(place.cache / "files")


def chunk_altered(place):
    for path in place.cache.glob("images/*/*"):
        os.utime(path, (1, 1))


def chunk_replaced(place):
    for path in place.cache.glob("images/*/*"):
        times, other = path.stat(), path.with_name("other")
        other.write_bytes(bytes(times.st_size))
        os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
        other.replace(path)


def chunk_gone(place):
    shutil.rmtree(place.cache / "images")


def record_gone(place):
    one(place.cache, f"jobs/*/{place.digest('count')}/A01/*.json").unlink()


def record_altered(place):
    record = one(place.cache, f"jobs/*/{place.digest('count')}/A01/*.json")
    content = json.loads(record.read_bytes())
    content["manifest"]["inputs"] = {}
    record.write_text(json.dumps(content))


def record_damaged(place):
    one(place.cache, f"jobs/*/{place.digest('count')}/A01/*.json").write_text("{")


def shortcut_altered(place):
    path = one(place.cache, f"jobs/*/{place.digest('count')}/A01/*.shortcut")
    rewrite(path, path.read_bytes().replace(b'"plate":null', b'"plate": null'))


def shortcut_gone(place):
    one(place.cache, f"jobs/*/{place.digest('count')}/A01/*.shortcut").unlink()


def cache_gone(place):
    shutil.rmtree(place.cache)


def location_damaged(place):
    place.write("results/demo/workspace/location.json", "[]")


def location_gone(place):
    (place.results / "workspace/location.json").unlink()


@pytest.mark.parametrize(
    "change",
    [
        *(plan_edited, own_plan, upstream, upstream_missing, upstream_left_out, failed_before),
        *(file_altered, file_gone, chunk_altered, chunk_replaced, chunk_gone, record_gone),
        *(record_altered, record_damaged, shortcut_altered, shortcut_gone, cache_gone),
        *(location_damaged, location_gone),
    ],
)
@pytest.mark.parametrize("is_told", [True, False])
def test_whatever_is_not_the_same_is_not_put_back(done, change, is_told):
    place = done()
    digest = place.digest("count")
    change(place)
    before = place.made(logs=True)
    arguments = place.arguments("count", digest=digest)
    if not is_told:
        at = arguments.index("--digest")
        del arguments[at : at + 2]
    assert not put_back(arguments)
    assert place.made(logs=True) == before


def test_the_plates_images_are_known_by_their_index_and_place(done):
    place = done()
    name = "results/demo/index/A01.json"
    index = json.loads((place.folder / name).read_bytes())
    index["images"][0][-1] += 1  # as compiling writes it for an image that was replaced in place
    text = (place.folder / name).read_text()
    place.write(name, json.dumps(index))
    assert refuses(place, "clean")
    place.write(name, text)
    location = json.loads((place.results / "workspace/location.json").read_bytes())
    elsewhere = location | {"plate_path": "/elsewhere"}
    place.write("results/demo/workspace/location.json", json.dumps(elsewhere))
    assert refuses(place, "clean")
    place.write("results/demo/workspace/location.json", json.dumps(location))
    assert put_back(place.arguments("clean"))


def test_another_plan_than_asked_for_is_not_put_back(done):
    assert refuses(done(), digest="0" * 32)


def test_values_of_earlier_steps_and_code_of_own_functions_count(done):
    place = done("own functions")
    value = one(place.results, "special/measure/A01*")
    for path in (value, place.folder / "own/mine.py", place.folder / "own/helper.py"):
        content = path.read_bytes()
        path.write_bytes(content + b"\n# another\n")
        assert refuses(place, "lift"), path
        path.write_bytes(content)
        assert put_back(place.arguments("lift"))
    location = json.loads((place.results / "workspace/location.json").read_bytes())
    place.write("results/demo/workspace/location.json", json.dumps(location | {"functions": {}}))
    assert refuses(place, "lift")


def test_code_that_was_not_planned_is_refused_by_the_ordinary_way(done):
    place = done("own functions")
    place.write("own/helper.py", "def doubled(image):\n    return image * 3\n")
    before = place.made()
    assert place.run("lift") == EXIT_CONFIG
    assert place.made() == before


def test_libraries_of_other_versions_are_not_those_planned(done, tmp_path, monkeypatch):
    place = done()
    (tmp_path / "more/numpy-1.0.dist-info").mkdir(parents=True)
    metadata = tmp_path / "more/numpy-1.0.dist-info/METADATA"
    metadata.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path / "more")
        assert refuses(place)
    assert put_back(place.arguments("count"))


def test_a_result_of_another_version_of_this_package_is_not_taken(done, monkeypatch):
    place = done()
    monkeypatch.setattr(shortcuts, "MAKER", [1, "0.0.9", 3, 11])
    assert refuses(place)


def test_nothing_is_written_while_another_job_has_the_turn(done):
    place = done()
    lock = RunLock(place.folder / "results/.plan/locks/demo/A01")
    assert lock.take()
    assert refuses(place)
    lock.close()
    assert put_back(place.arguments("count"))


def test_a_job_of_a_run_that_another_has_followed_writes_nothing(done, monkeypatch):
    place = done()
    monkeypatch.setenv("OPENHCS_RUN", "the first")
    place.write("results/.plan/lock", "the second")
    assert refuses(place)
    before = place.made()
    assert place.run("count") == EXIT_CONFIG
    assert place.made() == before
    place.write("results/.plan/lock", "the first")
    assert put_back(place.arguments("count"))


def superseded(place):
    place.write("results/.plan/lock", "another")


@pytest.mark.parametrize("change", [superseded, plan_edited, upstream])
@pytest.mark.parametrize("kind", ["plain", "tiff"])
def test_what_changes_meanwhile_leaves_the_earlier_result(done, monkeypatch, change, kind):
    place = done(kind)
    place.write("results/.plan/lock", "this")
    place_files = putting.place_files

    def late(*arguments):
        place_files(*arguments)
        change(place)

    monkeypatch.setattr(putting, "place_files", late)
    before = place.made()
    digest = place.digest("count")
    assert not put_back(place.arguments("count", digest=digest))
    changed = "manifests/flatten/A01.json"
    assert {**place.made(), changed: b""} == {**before, changed: b""}
    assert not list(place.results.rglob(".tmp-*"))


@pytest.mark.parametrize("kind", ["plain", "tiff"])
def test_a_cache_that_is_removed_meanwhile_leaves_the_rest_to_the_ordinary_way(
    done, monkeypatch, kind
):
    place = done(kind)
    before = place.made()
    place_files = putting.place_files

    def late(*arguments):
        shutil.rmtree(place.cache)
        place_files(*arguments)

    monkeypatch.setattr(putting, "place_files", late)
    assert place.run("count") == 0
    assert TAKEN not in (place.results / "logs/count/A01.log").read_text()
    assert place.made() == before


def test_a_result_that_was_put_back_the_ordinary_way_leaves_a_shortcut(done):
    place = done()
    for path in place.cache.glob("jobs/*/*/*/*.shortcut"):
        path.unlink()
    assert place.run("count") == 0
    assert TAKEN in (place.results / "logs/count/A01.log").read_text()
    assert len(list(place.cache.glob("jobs/*/*/*/*.shortcut"))) == 1
    place.forget_results()
    for step in ("clean", "flatten"):
        assert place.run(step) == 0
    assert put_back(place.arguments("count"))


def test_notes_of_an_earlier_try_are_forgotten(done):
    place = done()
    place.write("results/demo/logs/count/A01.fallbacks.json", "{}")
    assert put_back(place.arguments("count"))
    assert not (place.results / "logs/count/A01.fallbacks.json").exists()


def test_the_command_says_the_same_about_wrong_arguments(done, capsys):
    place = done()
    assert main(["run-step", *place.arguments("count"), "--well", "A02", "--plate"]) == EXIT_CONFIG
    assert "give exactly one of --well, --plate" in capsys.readouterr().err


def shared(place, steps, wells, digest=None):
    """Return the arguments of a job of several steps or wells."""
    digests = [place.digest(step) for _ in wells for step in steps]
    where = ["--plate-dir", str(place.results), *(f"--step={step}" for step in steps)]
    own = digests[0] if len(digests) == 1 else digest_text("\n".join(digests))
    return [*where, *(f"--well={well}" for well in wells), "--digest", digest or own, "--logs"]


SHARED = [(("clean", "flatten", "count"), ("A01", "A02")), (("clean",), ("A01",))]


@pytest.mark.parametrize(("steps", "wells"), SHARED)
def test_jobs_of_several_steps_and_wells_are_put_back_part_by_part(done, steps, wells):
    place = done()
    before = place.made()
    place.forget_results()
    assert not put_back(shared(place, steps, wells, digest="0" * 32))
    assert put_back(shared(place, steps, wells))
    made = place.made()
    assert made.items() <= before.items()
    assert len(list(place.results.glob("manifests/*/*"))) == len(steps) * len(wells)
    for step in steps:
        for well in wells:
            assert TAKEN in (place.results / f"logs/{step}/{well}.log").read_text()
    assert len(steps) == 1 or made == before


def test_where_one_part_has_to_be_computed_the_ordinary_way_does_all(done):
    place = done()
    before = place.made()
    shortcut_gone(place)
    record_gone(place)
    arguments = shared(place, *SHARED[0])
    assert not put_back(arguments)
    assert main(["run-step", *arguments]) == 0
    assert TAKEN not in (place.results / "logs/count/A01.log").read_text()
    assert TAKEN in (place.results / "logs/count/A02.log").read_text()
    assert place.made() == before
    assert put_back(arguments)


def test_a_record_whose_files_would_lie_elsewhere_is_not_taken(done):
    place = done()
    record = one(place.cache, f"jobs/*/{place.digest('count')}/A01/*.json")
    content = json.loads(record.read_bytes())
    content["kept"]["../../../other"] = content["kept"].pop(next(iter(content["kept"])))
    record.write_text(json.dumps(content))
    assert refuses(place)
    assert place.run("count") == 0
    assert TAKEN not in (place.results / "logs/count/A01.log").read_text()
