"""Plates of one config that are run one by one, beside each other, and together."""

import subprocess
import sys
from pathlib import Path

import pytest

from openhcs_core.runtime import RunLock
from openhcs_core.testing.plates import write_imagexpress_plate

ROOT = Path(__file__).parents[2]
PIPELINE = """\
steps:
  - {name: clean, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 5}}}
"""
TABLE = "plate\tpath\tmicroscope\n007\tplates/one\timagexpress\nb\tplates/two\t\n"


@pytest.fixture(scope="module")
def plates(tmp_path_factory, project_type):
    """A project with a table of two plates, and its second plate run alone while the first is."""
    project = project_type(tmp_path_factory.mktemp("plates"))
    for number, name in enumerate(("one", "two")):
        write_imagexpress_plate(project.folder / "plates" / name, [1, 2 + number])
    project.write("config/config.yaml", "plates: config/plates.tsv\n")
    project.write("config/plates.tsv", TABLE)
    project.write("config/pipeline.yaml", PIPELINE)
    return project


def _start(project, plate):
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--cores", "1", "--nolock", "--printshellcmds", "--config", f'plate=["{plate}"]']
    return subprocess.Popen(
        command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.mark.thorough
def test_plates_run_beside_each_other_give_what_one_run_of_all_gives(plates, tmp_path):
    one = plates.copy_to(tmp_path / "one")
    together = plates.copy_to(tmp_path / "together")
    runs = [_start(one, plate) for plate in ("007", "b")]
    outputs = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert "Results of plate '007'" in outputs[0]
    assert "plate 'b'" not in outputs[0]
    assert together.snakemake().returncode == 0
    assert _bytes(one) == _bytes(together)
    assert len(_bytes(one)) > 20

    verified = one.command("verify", "results")
    assert verified.returncode == 0, verified.stdout
    assert verified.stdout.startswith("4 wells"), verified.stdout
    status = one.command("status")
    assert status.stdout.count(": 2 wells: 2 done") == 2, status.stdout

    # neither way of running makes the other do anything again
    for project, arguments in [(one, ()), (one, ("--config", 'plate=["007"]'))]:
        again = project.snakemake(*arguments)
        assert again.returncode == 0
        assert again.jobs == [], again.output
    assert not list((one.folder / "results/.plan/plates").glob("b/plan.json"))


@pytest.mark.thorough
def test_a_plate_that_is_being_run_is_not_run_twice_and_keeps_a_run_of_all_away(plates, tmp_path):
    project = plates.copy_to(tmp_path / "busy")
    assert project.command("compile").returncode == 0
    whole, own = (
        RunLock(project.folder / "results/.plan" / name) for name in ("lock", "plates/b/lock")
    )
    assert whole.take(shared=True)
    assert own.take()
    own.sign()
    try:
        for arguments in ((), ("--config", "plate=b")):
            run = project.snakemake(*arguments)
            assert run.returncode != 0
            assert "of plate 'b') works on results" in run.output
        other = project.snakemake("--dry-run", "--config", 'plate=["007"]')
        assert other.returncode == 0
        assert "works on" not in other.output
    finally:
        own.close()
        whole.close()


def test_a_plate_that_the_config_lacks_is_named(plates):
    run = plates.snakemake("--dry-run", "--config", "plate=007")
    assert run.returncode == 2
    assert "no plate '7'; the config has 007, b" in run.output


def _bytes(project):
    return {
        path.relative_to(project.folder).as_posix(): path.read_bytes()
        for plate in ("007", "b")
        for folder in ("manifests", "tables", "rois", "count.ome.zarr", "plan", "index")
        for path in (project.folder / "results" / plate / folder).rglob("*")
        if path.is_file() and path.name != ".snakemake_timestamp"
    }
