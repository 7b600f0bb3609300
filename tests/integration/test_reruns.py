"""What runs again after an edit, and what does not."""

import shutil

import pytest

from openhcs_core.runtime.lock import RunLock

COUNT = [("count", "B02"), ("count", "B03")]
TABLES = [("count", "cell_counts.csv"), ("count", "intensities.csv")]


def _jobs(project, *arguments):
    run = project.snakemake(*arguments)
    assert run.returncode == 0, run.output
    return run.jobs


def _bytes(project):
    return {
        path.relative_to(project.results).as_posix(): path.read_bytes()
        for folder in ("manifests", "tables", "rois", "count.ome.zarr")
        for path in (project.results / folder).rglob("*")
        if path.is_file()
    }


def test_a_second_run_has_nothing_to_do(finished):
    assert _jobs(finished) == []


def test_an_edit_of_the_last_step_runs_that_step_and_its_tables(finished):
    finished.edit("config/pipeline.yaml", "min_area: 20", "min_area: 60")
    assert _jobs(finished, "--dry-run") == sorted(COUNT + TABLES)
    assert _jobs(finished) == sorted(COUNT + TABLES)
    assert _jobs(finished) == []


@pytest.mark.parametrize("condition", ["no snakemake metadata", "mtime only"])
def test_an_edit_is_seen_without_snakemakes_own_records(finished, condition):
    if condition == "no snakemake metadata":
        shutil.rmtree(finished.folder / ".snakemake")
    arguments = ["--rerun-triggers", "mtime"] if condition == "mtime only" else []
    assert _jobs(finished, *arguments) == []
    finished.edit("config/pipeline.yaml", "min_area: 20", "min_area: 60")
    assert _jobs(finished, *arguments) == sorted(COUNT + TABLES)


def test_comments_key_order_and_written_defaults_run_nothing(finished):
    finished.edit(
        "config/pipeline.yaml",
        "{low_percentile: 1.0, high_percentile: 99.9}",
        "{high_percentile: 99.9, low_percentile: 1.0} # unchanged",
    )
    assert _jobs(finished) == []


def test_an_edit_of_the_middle_runs_it_and_what_follows(finished):
    finished.edit("config/pipeline.yaml", "sigma: 1}", "sigma: 2}")
    steps = [(step, well) for step in ("clean", "count", "flatten") for well in ("B02", "B03")]
    assert _jobs(finished) == sorted(steps + TABLES)


def test_images_gone_from_the_cache_are_recomputed_by_the_job_that_needs_them(finished, tmp_path):
    twin = finished.copy_to(tmp_path / "twin")
    shutil.rmtree(finished.folder / "results/.cache")
    for project in (finished, twin):
        project.edit("config/pipeline.yaml", "min_area: 20", "min_area: 60")
        assert _jobs(project) == sorted(COUNT + TABLES)
    assert _bytes(finished) == _bytes(twin)
    assert list((finished.folder / "results/.cache").rglob("*.npy"))


def test_an_override_runs_one_well_and_so_does_its_removal(finished):
    text = (finished.folder / "config/pipeline.yaml").read_text()
    override = 'overrides:\n  - {wells: [B02], set: {count: {"1": {min_area: 90}}}}\n'
    finished.write("config/pipeline.yaml", text + override)
    one_well = sorted([("count", "B02"), *TABLES])
    assert _jobs(finished) == one_well
    finished.write("config/pipeline.yaml", text)
    assert _jobs(finished) == one_well
    assert _jobs(finished) == []


def test_a_well_added_later_runs_alone(project):
    project.write("config/config.yaml", "plates:\n  demo: {path: plate, wells: [B02]}\n")
    assert ("count", "B03") not in _jobs(project)
    project.write("config/config.yaml", "plates:\n  demo: {path: plate}\n")
    jobs = _jobs(project)
    assert {well for _, well in jobs} == {"B03", "store", "cell_counts.csv", "intensities.csv"}
    assert _jobs(project) == []


def test_two_runs_and_two_places_give_the_same_bytes(finished, project):
    assert _jobs(project, "--cores", "1")
    assert _bytes(project) == _bytes(finished)


def test_a_deleted_table_is_made_again(finished):
    (finished.results / "tables/count/cell_counts.csv").unlink()
    assert _jobs(finished) == [("count", "cell_counts.csv")]


def test_while_a_run_lives_others_may_look_but_not_change_plans(finished):
    assert _jobs(finished) == []
    lock = RunLock(finished.folder / "results/.plan/lock")
    assert lock.take()
    lock.sign()
    try:
        assert finished.snakemake("--dry-run").returncode == 0
        finished.edit("config/pipeline.yaml", "min_area: 20", "min_area: 60")
        run = finished.snakemake("--dry-run")
        assert run.returncode != 0
        assert "another run (process" in run.output
        assert "wait for it, or stop it" in run.output
    finally:
        lock.close()
    assert _jobs(finished) == sorted(COUNT + TABLES)


def test_a_plate_map_is_joined_into_plate_tables(finished):
    finished.write("map.csv", "well,treatment,dose\nB02,DMSO,0\nB03,drug,1e-3\n")
    finished.write("config/config.yaml", "plates:\n  demo: {path: plate, plate_map: map.csv}\n")
    assert _jobs(finished) == TABLES
    lines = (finished.results / "tables/count/intensities.csv").read_text().splitlines()
    assert lines[0].endswith(",treatment,dose")
    assert lines[1].startswith("B02,")
    assert lines[1].endswith(",DMSO,0")
    assert lines[-1].endswith(",drug,1e-3")
    finished.write("map.csv", "well,treatment,dose\nB02,DMSO,0\nB03,drug,2e-3\n")
    assert _jobs(finished) == TABLES
