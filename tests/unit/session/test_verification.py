"""What ``verify`` says of results that somebody changed, and of those that nobody did."""

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from openhcs_core.cli.commands import cli
from openhcs_core.errors import ConfigError
from openhcs_core.registry import RegistryService
from openhcs_core.runtime import Job, execute_step
from openhcs_core.session import compile_workflow, write_files
from openhcs_core.session.verification import VerifyOptions, verify_results
from openhcs_core.testing.plates import image_path, write_imagexpress_plate

PIPELINE = """steps:
  - name: smooth
    func: {skimage:filters.gaussian: {sigma: 1}}
  - name: hat
    func: {openhcs:tophat: {selem_radius: 5}}
    materialize: {backend: disk}
  - name: count
    func: {openhcs:count_cells_single_channel: {detection_method: threshold}}
"""
CHUNKED = "storage: {zarr: {chunk_strategy: FILE}}\n"
OLD = 'storage: {zarr: {ome_zarr_version: "0.4", pyramid_levels: 2}}\n'
EVERYTHING = VerifyOptions(cache=True, raw=True)


@pytest.fixture(scope="module", params=["", CHUNKED], ids=["sharded", "chunked"])
def finished(finish, request):
    return finish(PIPELINE, request.param)


@pytest.fixture
def project(finished, work_in_copy):
    return work_in_copy(finished)


def _verify(path="results", options=EVERYTHING):
    return verify_results(Path(path), options, lambda *_: None)


def _only(kind, path):
    """Return the one problem there is."""
    problems = _verify().problems
    assert [(problem.kind, problem.path) for problem in problems] == [(kind, path)], problems
    return problems[0]


def _append(path, data=b"x"):
    with Path(path).open("ab") as stream:
        stream.write(data)


def _flip(path, at, bits=1):
    data = bytearray(Path(path).read_bytes())
    data[at] ^= bits
    mtime = Path(path).stat().st_mtime_ns
    Path(path).chmod(0o644)
    Path(path).write_bytes(data)
    os.utime(path, ns=(mtime, mtime))


def _first(pattern):
    return min(Path("/").glob(str(Path(pattern).absolute())[1:])).as_posix()


def test_results_as_written_have_no_problem(project):
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()}
    found = _verify()
    assert found.problems == ()
    assert found.notes == ()
    assert found.wells == 2
    assert found.size_bytes > 2 * 2 * 64 * 64
    after = {path: path.stat().st_mtime_ns for path in Path().rglob("*") if path.is_file()}
    assert before == after


@pytest.mark.parametrize("extra", ["", CHUNKED.replace("FILE", "FILE, pyramid_levels: 3"), OLD])
def test_every_level_of_a_pyramid_and_every_version_is_verified(
    run_all, tmp_path, monkeypatch, extra
):
    write_imagexpress_plate(tmp_path / "plate", (1,), (300, 300))
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(f"{extra}plates:\n  demo: {{path: plate}}\n")
    (tmp_path / "config/pipeline.yaml").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    run_all()
    assert _verify().problems == ()
    field = Path(STORE, "A/01/1")
    files = [path for path in sorted(field.rglob("*")) if path.is_file()]
    levels = {path.relative_to(field).parts[0] for path in files} - {"labels"}
    assert {"0", "1"} < levels
    for path in files:
        content, stat = path.read_bytes(), path.stat()
        _flip(path, len(content) // 2)
        problems = _verify(options=VerifyOptions()).problems
        assert problems, path
        assert str(field) in problems[0].path
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert _verify().problems == ()


DEMO = "results/demo"
STORE = f"{DEMO}/count.ome.zarr"


@pytest.mark.parametrize(
    "name",
    [
        "manifests/count/A01.json",
        "manifests/smooth/A02.json",
        "tables/count/A01.cell_counts.csv",
        "tables/count/cell_counts.csv",
        "rois/count/A02.masks.roi.zip",
        "count.ome.zarr/A/01/zarr.json",
        "count.ome.zarr/A/01/1/zarr.json",
        "count.ome.zarr/A/01/1/0/zarr.json",
        "count.ome.zarr/A/01/1/0/c/0/0/0/0/0",
        "count.ome.zarr/A/zarr.json",
        "count.ome.zarr/zarr.json",
        "images/hat/A01/A01_s001_w1_z001_t001.tif",
        "plan/count.json",
        "plan/count/store.json",
        "plan/count/cell_counts.csv.json",
        "index/A01.json",
        "workspace/location.json",
        "workspace/openhcs_metadata.json",
        "../.plan/rules.smk",
    ],
)
@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_a_file_that_is_gone_or_altered_is_the_one_problem_named(project, name, damage):
    path = Path(DEMO, name)
    assert path.is_file()
    if damage == "missing":
        path.unlink()
    elif path.suffix in ("", ".tif"):  # what stands behind the last pixel is no part of it
        _flip(path, -1)
    else:
        _append(path)
    path = path.resolve().relative_to(project).as_posix()
    problems = [p for p in _verify().problems if Path(p.path).resolve() == project / path]
    assert [problem.kind for problem in problems] == [damage]
    assert len(_verify().problems) == 1
    assert "snakemake" in problems[0].mend


def test_batches_of_a_predicted_size_are_as_written(project):
    config = Path("config/config.yaml")
    config.write_text(f"{config.read_text()}execution: {{wells_per_job: auto}}\n")
    write_files(compile_workflow(str(config)).files)
    assert _verify().problems == ()


def test_the_way_to_mend_a_job_is_to_delete_its_manifest(project):
    chunk = Path(STORE, "A/02/0/0/c/0/0/0/0/0")
    chunk.unlink()
    problem = _only("missing", chunk.as_posix())
    assert problem.mend == f"delete {DEMO}/manifests/count/A02.json and run snakemake"
    Path(DEMO, "manifests/count/A02.json").unlink()
    _only("missing", f"{DEMO}/manifests/count/A02.json")
    execute_step(Job(Path(DEMO), "count"), "A02", RegistryService().load)
    assert _verify().problems == ()


def test_labels_are_compared_with_the_manifest(project):
    label = f"{STORE}/A/01/0/labels/masks_w1"
    shard = Path(label, "0/c/0/0/0/0/0")
    shard.write_bytes(Path(STORE, "A/01/1/labels", Path(label).name, "0/c/0/0/0/0/0").read_bytes())
    problem = _only("altered", f"{STORE}/A/01/*/labels/{Path(label).name}")
    assert "label image" in problem.expected
    shutil.rmtree(Path(STORE, "A/01/0/labels"))
    assert [problem.kind for problem in _verify().problems] == ["altered"]
    shutil.rmtree(Path(STORE, "A/01/1/labels"))
    assert [problem.kind for problem in _verify().problems] == ["missing"]


def test_pixels_of_a_tiff_and_what_they_mean_are_compared(project):
    import tifffile

    path = f"{DEMO}/images/hat/A01/A01_s001_w1_z001_t001.tif"
    image = tifffile.imread(path)
    tifffile.imwrite(path, image, photometric="miniswhite")
    assert "tag 262" in _only("altered", path).expected
    tifffile.imwrite(path, image + 1, photometric="minisblack")
    assert _only("altered", path).expected == "pixels as recorded"


@pytest.mark.parametrize(
    "name", ["count.ome.zarr/A/01/7/zarr.json", "images/hat/A01/B01_s001_w1_z001_t001.tif"]
)
def test_files_that_no_job_wrote_into_a_kept_well_are_named(project, name):
    path = Path(DEMO, name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    assert _only("altered", path.as_posix()).found == "a file that no job wrote"


def test_a_job_that_was_not_done_stands_for_all_that_come_after_it(project):
    for step in ("hat", "count"):
        Path(DEMO, "manifests", step, "A01.json").unlink()
    assert "not been done" in _only("missing", f"{DEMO}/manifests/hat/A01.json").found


def test_an_edit_that_was_compiled_and_not_run_is_stale(project, run_all):
    text = PIPELINE.replace("threshold", "threshold, min_area: 3")
    Path("config/pipeline.yaml").write_text(text)
    write_files(compile_workflow("config/config.yaml").files)
    found = _verify()
    assert {problem.kind for problem in found.problems} == {"stale"}
    assert {Path(problem.path).parent.name for problem in found.problems} == {"count"}
    assert not found.is_bad
    run_all()
    assert _verify().problems == ()


def test_a_step_whose_input_was_made_anew_is_stale(project):
    manifest = Path(DEMO, "manifests/hat/A01.json")
    data = json.loads(manifest.read_text())
    data["inputs"] = dict.fromkeys(data["inputs"], "0" * 32)
    manifest.write_text(json.dumps(data, indent=1) + "\n")
    assert "step 'smooth' made" in _only("stale", manifest.as_posix()).expected


def test_raw_images_that_changed_are_named_without_their_time_too(project):
    plate = json.loads(Path(DEMO, "workspace/location.json").read_text())["plate_path"]
    image = image_path(Path(plate), "A02", 2)
    content, stat = image.read_bytes(), image.stat()
    try:
        _flip(image, len(content) - 1)
        assert _verify(options=VerifyOptions()).problems == ()
        problem = _only("altered", str(image))
        assert "step 'smooth' read" in problem.found
        image.write_bytes(content)
        assert _only("stale", str(image)).expected.startswith(f"{len(content)} bytes")
        image.unlink()
        assert _only("missing", str(image))
    finally:
        image.write_bytes(content)
        os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_the_cache_is_checked_when_asked_for(project, finished):
    path = _first(f"{finished}/results/.cache/objects/*/*.npy")
    content = Path(path).read_bytes()
    try:
        _flip(path, len(content) - 1)
        assert _verify(options=VerifyOptions()).problems == ()
        assert _only("altered", path).mend == "delete it"
    finally:
        Path(path).write_bytes(content)


@pytest.mark.parametrize("ending", ["json", "shortcut"])
def test_what_is_kept_of_jobs_is_checked_when_asked_for(project, finished, ending):
    """A record of another job, or with a part of it gone; a shortcut with one sign changed."""
    path = _first(f"{finished}/results/.cache/jobs/**/*.{ending}")
    content = Path(path).read_bytes()
    Path(path).chmod(0o644)
    try:
        for wrong in (content[:-1], content.replace(b'"', b"'", 1), b""):
            Path(path).write_bytes(wrong)
            assert _only("altered", path).mend == "delete it"
    finally:
        Path(path).write_bytes(content)
    if ending == "json":
        other = Path(path).with_name(f"{'0' * 64}.json")
        other.write_bytes(content)
        assert _only("altered", str(other)).found == "the record of a job that read something else"
        other.unlink()
    assert _verify().problems == ()


def test_leftovers_are_named_and_files_that_are_not_ours_are_noted(project):
    Path(DEMO, "tables/count/A09.cell_counts.csv").write_text("well\n")
    Path(DEMO, "tables/count/notes.csv").write_text("mine\n")
    found = _verify()
    assert [(p.kind, p.path) for p in found.problems] == [
        ("leftover", f"{DEMO}/tables/count/A09.cell_counts.csv")
    ]
    assert found.notes == (f"not ours, left alone: {DEMO}/tables/count/notes.csv",)
    assert not found.is_bad


def test_a_plates_folder_is_verified_alone_and_other_folders_are_refused(project):
    assert _verify(DEMO).wells == 2
    for wrong in ("plate", "nothing", "."):
        with pytest.raises(ConfigError, match="is no results folder"):
            _verify(wrong)
    with pytest.raises(ConfigError, match="it has demo"):
        _verify(options=VerifyOptions(plates=("other",)))
    Path("results/.plan/plan.json").write_text("{")
    assert [problem.kind for problem in _verify().problems] == ["altered"]


def test_results_can_be_verified_where_nothing_else_is(project, tmp_path):
    location = Path(DEMO, "workspace/location.json")
    data = json.loads(location.read_text())
    data |= {"plate_path": str(tmp_path / "away"), "cache_dir": str(tmp_path / "gone")}
    location.write_text(json.dumps(data, sort_keys=True, indent=1) + "\n")
    found = _verify()
    assert found.problems == ()
    assert "own images were not looked at" in found.notes[0]


# what a run neither reads nor keeps as a result: written again by any compile, or for people
_IRRELEVANT = ("logs", "benchmarks", "workspace")


def test_any_flipped_byte_of_what_is_kept_is_noticed(project):
    """A byte that goes unnoticed changes no image, label, table or record."""
    rng = random.Random(5)
    files = [
        path
        for path in sorted(Path(DEMO).rglob("*"))
        if path.is_file() and path.relative_to(DEMO).parts[0] not in _IRRELEVANT
    ]
    unnoticed = []
    for _ in range(int(os.environ.get("OPENHCS_FLIPS", "25"))):
        path = rng.choice(files)
        at, bits = rng.randrange(path.stat().st_size), rng.randrange(1, 256)
        content = path.read_bytes()
        stat = path.stat()
        _flip(path, at, bits)
        if not _verify(options=VerifyOptions(raw=True)).problems:
            unnoticed.append((path.as_posix(), at, bits))
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert unnoticed == []


def test_the_command_prints_a_line_a_problem_and_ends_in_3(project):
    runner = CliRunner()
    done = runner.invoke(cli, ["verify", "results"])
    assert done.exit_code == 0
    assert done.stdout.startswith("2 wells, ")
    _append(f"{DEMO}/tables/count/A01.cell_counts.csv")
    altered = runner.invoke(cli, ["verify", "results", "--json"])
    assert altered.exit_code == 3
    assert json.loads(altered.stdout)["counts"] == {"altered": 1}
    assert "delete results/demo/manifests/count/A01.json" in altered.stdout
