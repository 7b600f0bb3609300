"""What ``gc --stale`` removes, and what it leaves alone."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from openhcs_core.cli.commands import cli
from openhcs_core.errors import ConfigError, RunLockedError
from openhcs_core.runtime import RunLock
from openhcs_core.session.verification import VerifyOptions, verify_results

CONFIG = "plates:\n  demo: {path: plate}\n"
HAT = """  - name: hat
    func: {openhcs:tophat: {selem_radius: 5}}
    materialize: {backend: disk, sub_dir: checkpoints}
"""
PIPELINE = f"""steps:
{HAT}  - name: count
    input_source: pipeline_start
    func: {{openhcs:count_cells_single_channel: {{detection_method: threshold}}}}
"""
DEMO = Path("results/demo")


@pytest.fixture(scope="module")
def run_with_logs(run_all):
    """Return what does every job, and leaves what Snakemake and the jobs' commands do."""

    def run():
        compiled = run_all().compiled
        for plate in compiled.plates:
            folder = Path(compiled.results, plate.name)
            for step in plate.steps:
                for well in plate.wells:
                    for name in (
                        f"logs/{step.step_name}/{well}.log",
                        f"benchmarks/{step.step_name}/{well}.tsv",
                    ):
                        (folder / name).parent.mkdir(parents=True, exist_ok=True)
                        (folder / name).write_text("")

    return run


@pytest.fixture(scope="module")
def finished(finish, run_with_logs):
    return finish(PIPELINE, run=run_with_logs)


@pytest.fixture
def project(finished, work_in_copy):
    return work_in_copy(finished)


def _gc(*arguments):
    run = CliRunner().invoke(cli, ["gc", "--stale", *arguments])
    if run.exception is not None and not isinstance(run.exception, SystemExit):
        raise run.exception
    return run.stdout


def _files(folder=DEMO):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _bytes(folder):
    """Return what equal runs have in common; an index has the plate's times."""
    return {
        name: (folder / name).read_bytes()
        for name in _files(folder)
        if name.split("/")[0] not in ("workspace", "logs", "benchmarks")
    }


def _verify():
    return verify_results(Path("results"), VerifyOptions(), lambda *_: None)


def test_nothing_is_removed_from_results_of_todays_config(project):
    before = _files()
    assert _gc() == "0 files removed\n"
    assert _files() == before


@pytest.mark.parametrize(
    ("config", "pipeline"),
    [
        (CONFIG.replace("plate}", "plate, wells: [A02]}"), PIPELINE),
        (CONFIG, PIPELINE.replace(HAT, "")),
        (CONFIG, PIPELINE.replace("name: count", "name: cells")),
    ],
    ids=["a well less", "a step less", "a step renamed"],
)
def test_after_it_and_a_run_results_are_those_of_a_fresh_run(
    project, run_with_logs, tmp_path, config, pipeline
):
    Path("config/config.yaml").write_text(config)
    Path("config/pipeline.yaml").write_text(pipeline)
    listed = _gc("--dry-run")
    before = _files()
    removed = _gc()
    assert removed == listed.replace("would be removed", "removed")
    assert before - _files()
    run_with_logs()
    assert _verify().problems == ()
    kept = _bytes(DEMO)
    shutil.rmtree("results")
    run_with_logs()
    assert kept == _bytes(DEMO)


def test_rows_of_a_removed_well_are_in_no_table_of_the_next_run_without_it_too(
    project, run_with_logs
):
    Path("config/config.yaml").write_text(CONFIG.replace("plate}", "plate, wells: [A02]}"))
    run_with_logs()
    rows = Path(DEMO, "tables/count/cell_counts.csv").read_text().splitlines()[1:]
    assert rows
    assert not any("A01" in row for row in rows)
    names = {problem.path for problem in _verify().problems}
    assert {problem.kind for problem in _verify().problems} == {"leftover"}
    assert {
        f"{DEMO}/{name}"
        for name in (
            "manifests/count/A01.json",
            "manifests/hat/A01.json",
            "index/A01.json",
            "count.ome.zarr/A/01",
            "checkpoints/hat/A01",
            "tables/count/A01.cell_counts.csv",
            "rois/count/A01.masks.roi.zip",
            "logs/count/A01.log",
            "benchmarks/hat/A01.tsv",
        )
    } <= names


def test_files_and_links_that_are_not_ours_stay(project, tmp_path):
    mine = [
        "tables/count/notes.csv",
        "hat/A01/A01_s001_w1_z001_t001.tif",
        "checkpoints/hat/A01/B01_s001_w1_z001_t001.tif",
        "checkpoints/hat/readme.txt",
        "count.ome.zarr/A/01/0/drawing.png",
        "other.ome.zarr/A/01/zarr.json",
        "manifests/count/notes.txt",
        "rois/mine/A01.zip",
    ]
    for name in mine:
        Path(DEMO, name).parent.mkdir(parents=True, exist_ok=True)
        Path(DEMO, name).write_text("mine")
    outside = tmp_path / "outside"
    Path(DEMO, "rois/count").rename(outside)
    Path(DEMO, "rois/count").symlink_to(outside)
    Path(DEMO, "tables/count/A01.linked.csv").symlink_to(outside / "A01.masks.roi.zip")
    Path("config/pipeline.yaml").write_text("steps:\n  - {name: raw, func: openhcs:tophat}\n")
    text = _gc()
    assert all(Path(DEMO, name).read_text() == "mine" for name in mine)
    assert {path.name for path in outside.iterdir()} == {"A01.masks.roi.zip", "A02.masks.roi.zip"}
    assert f"not ours, left alone: {DEMO}/rois/count" in text.splitlines()
    assert f"not ours, left alone: {DEMO}/tables/count/notes.csv" in text.splitlines()
    left = {name for name in _files() if "count" in name or "hat" in name}
    assert left == {*mine[:5], mine[6], "tables/count/A01.linked.csv"}


def test_a_plate_is_removed_only_when_it_is_named(project):
    shutil.copytree("results/demo", "results/old")
    Path("results/old/mine.txt").write_text("mine")
    Path("results/notes").mkdir()
    assert "--plate old removes its results" in _gc()
    assert "plate old'" in _verify().notes[0]
    assert _files(Path("results/old")) >= _files()
    with pytest.raises(ConfigError, match="can be removed: old"):
        _gc("--plate", "demo")
    assert "0 files would be removed" not in _gc("--plate", "old", "--dry-run")
    assert _files(Path("results/old")) >= _files()
    _gc("--plate", "old")
    assert _files(Path("results/old")) == {"mine.txt"}
    assert [path.name for path in Path("results/old").iterdir()] == ["mine.txt"]
    assert Path("results/notes").is_dir()
    assert _verify().problems == ()


def test_nothing_is_removed_while_a_run_goes_on(project):
    Path("config/pipeline.yaml").write_text(PIPELINE.replace(HAT, ""))
    before = _files()
    lock = RunLock(Path("results/.plan/lock"))
    assert lock.take()
    with pytest.raises(RunLockedError, match="works on results"):
        _gc()
    assert "removed" in _gc("--dry-run")
    lock.close()
    assert _files() == before


def test_removal_may_be_broken_off_anywhere(project, monkeypatch):
    """What is left has no manifest without its files, and a second call does the rest."""
    Path("config/pipeline.yaml").write_text(PIPELINE.replace("name: count", "name: cells"))
    unlink, left = Path.unlink, [5]

    def break_off(path, **options):
        if left[0] == 0 and path.is_relative_to(DEMO):
            raise KeyboardInterrupt
        left[0] -= path.is_relative_to(DEMO)
        unlink(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", break_off)
        CliRunner().invoke(cli, ["gc", "--stale"])
    assert not Path(DEMO, "manifests/count/A01.json").exists()
    assert Path(DEMO, "plan/count.json").exists()
    _gc()
    assert not [name for name in _files() if "count/" in name or "count.ome.zarr" in name]


def test_without_stale_it_says_what_it_can_do(project):
    run = CliRunner().invoke(cli, ["gc"])
    assert run.exit_code == 2
    assert "--stale removes results" in run.output
    assert _files()
