"""What runs again after an edit, and what does not."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from openhcs_core.ground.lock import RunLock

DATA = Path(__file__).parents[1] / "data"
COUNT = [("count", "B02"), ("count", "B03")]
TABLES = [("count", "cell_counts.csv"), ("count", "intensities.csv")]


def _jobs(project, *arguments):
    run = project.snakemake(*arguments)
    assert run.returncode == 0, run.output
    return run.jobs


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
        "{high_percentile: 99.9} # 1.0 is the default",
    )
    assert _jobs(finished) == []


def test_the_same_pipeline_in_python_runs_nothing(finished):
    script = (DATA / "pipelines/demo.py").read_text()
    finished.write("config/pipeline.py", script)
    finished.edit("config/config.yaml", "plates:", "pipeline: config/pipeline.py\nplates:")
    assert _jobs(finished) == []
    assert '"min_area": 20' in script
    finished.edit("config/pipeline.py", '"min_area": 20', '"min_area": 60')
    assert _jobs(finished) == sorted(COUNT + TABLES)


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
    assert finished.tracked_bytes() == twin.tracked_bytes()
    assert list((finished.folder / "results/.cache").rglob("*.npy"))


@pytest.mark.parametrize("times", ["kept", "lost"])
def test_results_copied_elsewhere_without_cache_continue(finished, tmp_path, times):
    """Plate and results in other places, nothing of the old project left."""
    elsewhere = type(finished)(tmp_path / "elsewhere")
    copy = shutil.copy2 if times == "kept" else shutil.copyfile
    shutil.copytree(
        finished.folder / "results",
        elsewhere.folder / "results",
        ignore=shutil.ignore_patterns(".cache"),
        copy_function=copy,
    )
    shutil.copytree(finished.plate, tmp_path / "mounted", copy_function=shutil.copy2)
    elsewhere.write("config/config.yaml", f"plates:\n  demo: {{path: {tmp_path / 'mounted'}}}\n")
    text = (finished.folder / "config/pipeline.yaml").read_text()
    elsewhere.write("config/pipeline.yaml", text)
    twin = finished.copy_to(tmp_path / "twin")
    shutil.rmtree(finished.folder)
    if times == "kept":
        assert _jobs(elsewhere) == []
    for project in (elsewhere, twin):
        project.write("config/pipeline.yaml", text.replace("min_area: 20", "min_area: 60"))
        jobs = _jobs(project)
        assert set(COUNT + TABLES) <= set(jobs)
        if times == "kept":
            assert jobs == sorted(COUNT + TABLES)
    assert elsewhere.tracked_bytes() == twin.tracked_bytes()
    assert _jobs(elsewhere) == []


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


def test_an_edit_is_seen_while_a_well_is_excluded(finished):
    finished.write("config/config.yaml", "plates:\n  demo: {path: plate, wells: [B03]}\n")
    finished.edit("config/pipeline.yaml", "min_area: 20", "min_area: 60")
    assert _jobs(finished) == sorted([("count", "B03"), ("count", "store"), *TABLES])
    table = (finished.results / "tables/count/cell_counts.csv").read_text().splitlines()[1:]
    assert {line.split(",")[0] for line in table} == {"B03"}
    finished.write("config/config.yaml", "plates:\n  demo: {path: plate}\n")
    assert _jobs(finished) == sorted([("count", "B02"), ("count", "store"), *TABLES])
    assert _jobs(finished) == []


def _forget_equal_jobs(project):
    """Let a job that was done before compute again, in a copy that nothing has compiled yet too."""
    location = json.loads((project.results / "workspace/location.json").read_text())
    shutil.rmtree(Path(location["cache_dir"], "jobs"), ignore_errors=True)


def test_a_job_whose_input_was_replaced_meanwhile_writes_nothing(finished):
    _forget_equal_jobs(finished)
    before = finished.tracked_bytes()
    manifest = finished.results / "manifests/flatten/B02.json"
    code = (
        "import sys; from pathlib import Path; from openhcs_core.registry import RegistryService\n"
        "from openhcs_core.runtime import Job, execute_step\n"
        "def load(ref):\n"
        "    Path(sys.argv[2]).write_text(Path(sys.argv[2]).read_text() + ' ')\n"
        "    return RegistryService().load(ref)\n"
        "execute_step(Job(Path(sys.argv[1]), 'count'), 'B02', load)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(finished.results), str(manifest)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "changed while this job ran; nothing was written" in run.stderr
    after = finished.tracked_bytes()
    del before["manifests/flatten/B02.json"], after["manifests/flatten/B02.json"]
    assert after == before


def test_a_job_that_outlives_its_run_writes_nothing_once_the_next_has_started(finished):
    _forget_equal_jobs(finished)
    before = finished.tracked_bytes()
    code = (
        "import sys; from pathlib import Path; from openhcs_core.registry import RegistryService\n"
        "from openhcs_core.runtime import Job, RunLock, execute_step\n"
        "def load(ref):\n"
        "    lock = RunLock(Path(sys.argv[1]).parent / '.plan/plates/demo/lock')\n"
        "    lock.take(); lock.sign()\n"
        "    return RegistryService().load(ref)\n"
        "execute_step(Job(Path(sys.argv[1]), 'count'), 'B02', load)\n"
    )
    for path in finished.results.glob("*/count/B02*"):  # as snakemake does before a job
        path.unlink()
    gone = finished.tracked_bytes()
    assert gone != before
    run = subprocess.run(
        [sys.executable, "-c", code, str(finished.results)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "another run started" in run.stderr
    assert finished.tracked_bytes() == gone


def test_what_killed_jobs_left_is_swept_by_the_next_run_whatever_step_it_was(finished):
    for step in ("count", "removed"):
        left = finished.results / f".kept/{step}/B02-killed/objects"
        left.mkdir(parents=True)
        (left / "x.npy").write_bytes(b"x")
        (finished.results / f"tables/{step}").mkdir(exist_ok=True)
        (finished.results / f"tables/{step}/.tmp-0123456789abcdef").write_bytes(b"x")
    finished.edit("config/pipeline.yaml", "min_area: 20", "min_area: 60")
    assert _jobs(finished) == sorted(COUNT + TABLES)
    assert not list(finished.results.glob(".kept/*/*"))
    assert not list(finished.results.rglob(".tmp-*"))


def test_two_runs_and_two_places_give_the_same_bytes(finished, project):
    assert _jobs(project, "--cores", "1")
    assert project.tracked_bytes() == finished.tracked_bytes()


def test_a_deleted_table_is_made_again(finished):
    (finished.results / "tables/count/cell_counts.csv").unlink()
    assert _jobs(finished) == [("count", "cell_counts.csv")]


def test_while_a_run_lives_others_may_look_but_not_change_plans(finished):
    assert _jobs(finished) == []
    lock = RunLock(finished.folder / "results/.plan/lock")
    assert lock.take()
    lock.sign()
    try:
        looking = finished.snakemake("--dry-run")
        assert looking.returncode == 0
        assert "until it ends only -n is possible" in looking.output
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


def test_a_plate_map_that_clashes_with_a_table_is_refused(finished):
    finished.write("map.csv", "well,site,label\nB02,left,x\nB03,right,y\n")
    finished.write("config/config.yaml", "plates:\n  demo: {path: plate, plate_map: map.csv}\n")
    run = finished.snakemake()
    assert run.returncode != 0
    assert "has columns that the table has too: label, site" in run.output


def test_a_kept_step_is_read_by_the_next_and_alteration_is_noticed(project):
    project.write(
        "config/pipeline.yaml",
        "steps:\n"
        "  - {name: top, func: openhcs:max_projection, variable_components: [z_index],"
        " keep: true}\n"
        "  - {name: hat, func: {openhcs:tophat: {selem_radius: 3, downsample_factor: 1}}}\n",
    )
    assert _jobs(project)
    import numpy as np
    import zarr
    from skimage.morphology import disk, white_tophat

    def plane(step):
        store = project.results / f"{step}.ome.zarr/B/03/1/0"
        return zarr.open_array(store, mode="r+")

    top, hat = plane("top"), plane("hat")
    np.testing.assert_array_equal(hat[0, 0, 0], white_tophat(top[0, 0, 0], disk(3)))
    top[0, 0, 0] = top[0, 0, 0] + 1
    project.edit("config/pipeline.yaml", "selem_radius: 3", "selem_radius: 4")
    run = project.snakemake()
    assert run.returncode != 0
    assert "was removed or altered after step 'top' wrote it" in run.output
    (project.results / "top.ome.zarr/B/03/zarr.json").unlink()
    assert _jobs(project) == [("hat", "B03"), ("top", "B03")]


def test_a_removed_step_is_noticed(finished):
    text = (finished.folder / "config/pipeline.yaml").read_text()
    start, end = text.index("  - name: flatten"), text.index("  - name: count")
    finished.write("config/pipeline.yaml", text[:start] + text[end:])
    assert _jobs(finished) == sorted(COUNT + TABLES)


def test_a_second_plate_runs_alone(finished):
    shutil.copytree(finished.plate, finished.folder / "plate2")
    finished.write(
        "config/config.yaml", "plates:\n  demo: {path: plate}\n  second: {path: plate2}\n"
    )
    run = finished.snakemake()
    assert run.returncode == 0, run.output
    assert "results/demo --step" not in run.output
    first = (finished.results / "tables/count/cell_counts.csv").read_bytes()
    second = (finished.folder / "results/second/tables/count/cell_counts.csv").read_bytes()
    assert first == second
