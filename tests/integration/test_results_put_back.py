"""Nothing is computed twice: jobs whose equal was done before take its result."""

import shutil
import subprocess
import sys
import time

import pytest

SAID = "said.txt"
TAKEN = "taken from the cache"
PIPELINE = """steps:
  - {name: clean, func: {openhcs:stack_percentile_normalize: {low_percentile: 1.0}}}
  - {name: flatten, func: {openhcs:max_projection: {}}, variable_components: [z_index]}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 5}}}
"""


def _run(project):
    run = project.snakemake()
    assert run.returncode == 0, run.output


def _taken(project):
    """Return step and well of the jobs whose log of the last run says so."""
    return sorted(
        (path.parent.name, path.stem)
        for path in (project.results / "logs").glob("*/*.log")
        if TAKEN in path.read_text()
    )


def _verify(project):
    command = [sys.executable, "-m", "openhcs_core", "verify", "results", "--cache"]
    return subprocess.run(command, cwd=project.folder, check=False).returncode


@pytest.fixture(params=["zarr", pytest.param("disk", marks=pytest.mark.thorough)])
def project(request, small_project):
    project = small_project((1, 2))
    project.write("config/pipeline.yaml", PIPELINE)
    config = f"plates:\n  demo: {{path: plate}}\nstorage: {{materialization: {request.param}}}\n"
    project.write("config/config.yaml", config)
    _run(project)
    assert _taken(project) == []
    return project


def _everything(project):
    folders = ("manifests", "tables", "rois", "images", "count.ome.zarr")
    return {
        path.relative_to(project.results).as_posix(): path.read_bytes()
        for folder in folders
        for path in (project.results / folder).rglob("*")
        if path.is_file() and path.name != ".snakemake_timestamp"
    }


def test_a_parameter_put_back_brings_the_bytes_back_and_computes_nothing(project):
    first = _everything(project)
    project.edit("config/pipeline.yaml", "min_area: 5", "min_area: 9")
    _run(project)
    assert _taken(project) == []
    assert _everything(project) != first
    project.edit("config/pipeline.yaml", "min_area: 9", "min_area: 5")
    _run(project)
    assert _taken(project) == [("count", "A01"), ("count", "A02")]
    assert _everything(project) == first
    assert _verify(project) == 0


def test_results_that_were_deleted_come_from_the_cache(project, tmp_path):
    first = _everything(project)
    cache = project.folder / "results/.cache"
    cache.rename(tmp_path / "cache")
    shutil.rmtree(project.folder / "results")
    (project.folder / "results").mkdir()
    (tmp_path / "cache").rename(cache)
    _run(project)
    steps = ("clean", "count", "flatten")
    assert _taken(project) == [(step, well) for step in steps for well in ("A01", "A02")]
    assert _everything(project) == first


def test_an_earlier_step_put_back_takes_all_that_follow(project):
    first = _everything(project)
    project.edit("config/pipeline.yaml", "low_percentile: 1.0", "low_percentile: 2.0")
    _run(project)
    project.edit("config/pipeline.yaml", "low_percentile: 2.0", "low_percentile: 1.0")
    _run(project)
    assert len(_taken(project)) == 6
    assert _everything(project) == first


def test_what_was_removed_from_the_cache_or_altered_is_computed_again(project):
    first = _everything(project)
    project.edit("config/pipeline.yaml", "min_area: 5", "min_area: 9")
    _run(project)
    cache = project.folder / "results/.cache"
    for path in cache.glob("files/*/*"):
        path.chmod(0o644)
        path.write_bytes(b"not what its name says")
    project.edit("config/pipeline.yaml", "min_area: 9", "min_area: 5")
    _run(project)
    assert _taken(project) == []
    assert _everything(project) == first


def test_a_plate_of_another_folder_with_the_same_cache_takes_its_results(project, tmp_path):
    twin = project.copy_to(tmp_path / "twin")
    shutil.rmtree(twin.folder / "results")
    cache = project.folder / "results/.cache"
    twin.edit("config/config.yaml", "storage: {", f"storage: {{cache_dir: '{cache}', ")
    _run(twin)
    assert len(_taken(twin)) == 6
    assert _everything(twin) == _everything(project)


def _start(project):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project.snakefile)]
    command += ["--directory", str(project.folder), "--cores", "2"]
    with (project.folder / SAID).open("w") as said:
        return subprocess.Popen(command, cwd=project.folder, stdout=said, stderr=said)


def _in_reference(project, small_project):
    """Run the same project elsewhere, undisturbed; return its bytes."""
    other = small_project((1, 2, 3), "reference")
    for name in ("config/config.yaml", "config/pipeline.yaml"):
        other.write(name, (project.folder / name).read_text())
    _run(other)
    return _everything(other)


@pytest.fixture
def three_wells(small_project):
    project = small_project((1, 2, 3))
    project.write("config/pipeline.yaml", PIPELINE)
    return project


@pytest.mark.thorough
def test_the_cache_may_be_deleted_while_a_run_goes_on(three_wells, small_project):
    running = _start(three_wells)
    manifests, cache = three_wells.results / "manifests", three_wells.folder / "results/.cache"
    deleted = set()
    while running.poll() is None:
        # while jobs of this step go on, and some of the next begin
        for step in {path.parent.name for path in manifests.glob("*/*.json")} - deleted:
            shutil.rmtree(cache, ignore_errors=True)
            deleted.add(step)
        time.sleep(0.02)
    assert running.returncode == 0, (three_wells.folder / SAID).read_text()
    assert deleted == {"clean", "flatten", "count"}
    assert _everything(three_wells) == _in_reference(three_wells, small_project)


@pytest.mark.thorough
def test_several_runs_at_once_share_a_cache(three_wells, small_project, tmp_path):
    twin = three_wells.copy_to(tmp_path / "twin")
    expected = _in_reference(three_wells, small_project)
    for project in (three_wells, twin):
        text = (project.folder / "config/config.yaml").read_text()
        project.write("config/config.yaml", f"{text}storage: {{cache_dir: {tmp_path}/cache}}\n")
    runs = [_start(project) for project in (three_wells, twin)]
    for run, project in zip(runs, (three_wells, twin), strict=True):
        assert run.wait() == 0, (project.folder / SAID).read_text()
    assert _everything(three_wells) == _everything(twin) == expected
    assert _verify(three_wells) == 0
