"""`openhcs-core why` says of each step and well what `snakemake -n` would do, and why."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from openhcs_core.testing.plates import image_path, write_imagexpress_plate

WELLS = [f"A{column:02d}" for column in range(1, 9)]
PIPELINE = """
steps:
  - {name: clean, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 20}}}
"""
OVERRIDE = "overrides:\n  - {wells: [%s], set: {count: {min_area: 30}}}\n"
CONFIG = "plates:\n  demo: {path: plate, exclude_wells: [A12]}\n"
ASK_ALL = """
import json, sys
from openhcs_core.session import compile_workflow
from openhcs_core.session.why import explain_rerun
compilation = compile_workflow("config/config.yaml")
json.dump([
    explain_rerun(compilation, plate.name, plan.step_name, well).model_dump(mode="json")
    for plate in compilation.compiled.plates for plan in plate.steps for well in plate.wells
], sys.stdout)
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory, new_project):
    """Nine wells, run once. A08 has a parameter of its own, A09 a bad image, A12 is left out."""
    project = new_project(tmp_path_factory.mktemp("why"))
    shutil.rmtree(project.plate)
    write_imagexpress_plate(project.plate, [*range(1, 10), 12])
    image_path(project.plate, "A09", 1).write_bytes(b"not an image")
    project.write("config/config.yaml", CONFIG)
    project.write("config/pipeline.yaml", PIPELINE + OVERRIDE % "A08")
    run = project.snakemake()
    assert run.returncode == 1, run.output
    return project


@pytest.fixture
def project(done, tmp_path):
    return done.copy_to(tmp_path / "copy")


def _ask(project, *arguments, path=()):
    """Run Python in the project, with folders before those of the installed packages."""
    places = os.pathsep.join(map(str, (*path, os.environ.get("PYTHONPATH", ""))))
    run = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=project.folder,
        env=os.environ | {"PYTHONPATH": places},
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def _ask_all(project, path=()):
    answers = json.loads(_ask(project, "-c", ASK_ALL, path=path))
    return {(answer["step"], answer["well"]): answer for answer in answers}


def _kinds(answers):
    """The kinds of reasons of each step and well that would run, apart from what had failed."""
    kinds = {
        pair: [reason["kind"] for reason in answer["reasons"]]
        for pair, answer in answers.items()
        if answer["would_run"]
    }
    return {pair: of for pair, of in kinds.items() if pair[1] != "A09"}


def _files(project):
    """Everything below the project with size and time, so that a write is noticed."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in project.folder.rglob("*")
    }


def _dry_run(project):
    run = project.snakemake("--dry-run")
    assert run.returncode == 0, run.output
    return {(step, target) for step, target in run.jobs if target[0] == "A" and "." not in target}


def _agree(project):
    """Check `why` against the dry run that follows, and that it writes nothing."""
    before = _files(project)
    answers = _ask_all(project)
    assert _files(project) == before
    told = {pair for pair, answer in answers.items() if answer["would_run"]}
    assert told == _dry_run(project)
    assert told == {pair for pair, answer in answers.items() if answer["reasons"]}
    return answers


def _touch(path):
    os.utime(path)


def _damage_every_well_in_its_own_way(project):
    results, plate = project.results, project.plate
    _touch(image_path(plate, "A01", 1))
    image_path(plate, "A02", 2).write_bytes(image_path(plate, "A03", 1).read_bytes())
    (results / "tables/count/A03.cell_counts.csv").unlink()
    shutil.rmtree(results / "count.ome.zarr/A/04")
    (results / "manifests/clean/A05.json").unlink()
    (results / "index/A06.json").unlink()
    manifest = results / "manifests/clean/A07.json"
    text = manifest.read_text()
    manifest.write_text(text.replace(json.loads(text)["digest"], "0" * 32))
    project.edit("config/pipeline.yaml", OVERRIDE % "A08", "")


def test_damage_to_single_wells(project):
    _damage_every_well_in_its_own_way(project)
    answers = _agree(project)
    both = ("clean", "count")
    kinds = _kinds(answers)
    assert kinds.keys() == {
        (step, well) for step in both for well in ("A01", "A02", "A05", "A07")
    } | {
        ("count", "A03"),
        ("count", "A04"),
        ("count", "A08"),
    }
    assert kinds["clean", "A01"] == kinds["clean", "A02"] == ["images_changed"]
    assert kinds["count", "A01"] == ["earlier_runs"]
    assert kinds["count", "A03"] == kinds["count", "A04"] == ["outputs_missing"]
    assert kinds["clean", "A05"] == ["outputs_missing"]
    assert kinds["clean", "A07"] == ["plan_changed"]
    [reason] = answers["count", "A08"]["reasons"]
    [difference] = reason["differences"]
    assert (difference["name"], difference["old"], difference["new"]) == ("min_area", 30, 20)
    assert difference["where"].startswith("config/pipeline.yaml:4 ")
    again = _ask_all(project)  # what was written since hides nothing of what was before
    assert again.keys() == answers.keys()
    for pair in [("clean", "A01"), ("clean", "A02"), ("count", "A08")]:
        assert again[pair] == answers[pair]
    [change] = answers["clean", "A01"]["reasons"][0]["changed"]
    assert change["name"] == "A01_s001_w1_z001_t001.tif"
    assert change["old_size_bytes"] == change["new_size_bytes"]
    assert change["old_mtime_ns"] < change["new_mtime_ns"]
    text = _ask(project, "-m", "openhcs_core", "why", "count", "A01")
    assert "step clean runs first: the plate's images changed: A01_s001_w1_z001_t001.tif" in text


def test_the_same_damage_without_records_of_snakemake(project):
    shutil.rmtree(project.folder / ".snakemake")
    _damage_every_well_in_its_own_way(project)
    answers = _agree(project)
    assert _kinds(answers)["clean", "A01"] == ["images_changed"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("min_area: 20", "min_area: 40", {"count": ["plan_changed"]}),
        ("sigma: 1", "sigma: 2", {"clean": ["plan_changed"], "count": ["earlier_runs"]}),
        (
            "  - {name: clean, func: {skimage:filters.gaussian: {sigma: 1}}}\n",
            "",
            {"count": ["plan_changed"]},
        ),
        (
            "min_area: 20}}}",
            "min_area: 20}}, materialize: {backend: disk}}",
            {"count": ["plan_changed", "outputs_missing"]},
        ),
    ],
    ids=["last step", "first step", "step removed", "kept otherwise"],
)
def test_edits_of_the_pipeline(project, old, new, expected):
    project.edit("config/pipeline.yaml", old, new)
    wells = WELLS[:-1] if "min_area: 40" in new else WELLS  # A08 has its own
    kinds = _kinds(_agree(project))
    assert kinds == {(step, well): of for step, of in expected.items() for well in wells}


def test_an_edit_that_was_compiled_and_undone(project):
    text = (project.folder / "config/pipeline.yaml").read_text()
    project.edit("config/pipeline.yaml", "sigma: 1", "sigma: 2")
    assert ("clean", "A01") in _dry_run(project)
    project.edit("config/pipeline.yaml", "sigma: 2", "sigma: 3")
    assert ("clean", "A01") in _dry_run(project)
    [reason] = _ask_all(project)["clean", "A01"]["reasons"]
    assert [(one["old"], one["new"]) for one in reason["differences"]] == [(1, 3)]
    project.write("config/pipeline.yaml", text)
    assert _kinds(_agree(project)) == {}


def test_a_well_that_joins_and_files_that_are_written_anew(project):
    project.write("config/config.yaml", CONFIG.replace("[A12]", "[]"))
    (project.results / "plan/clean.json").unlink()
    _touch(project.results / "plan/count.json")
    _touch(project.results / "manifests/clean/A01.json")
    manifest = project.results / "manifests/clean/A02.json"
    digest = json.loads(manifest.read_text())["images"][0]["planes"][0]["digest"]
    manifest.write_text(manifest.read_text().replace(digest, "0" * 32))
    shutil.rmtree(project.folder / "results/.cache")
    shutil.rmtree(project.results / "logs")
    (project.results / "manifests/clean/A04.json").unlink()  # as a job leaves it that is killed
    project.write("results/demo/logs/clean/A04.log", "")
    answers = _agree(project)
    assert _kinds(answers) == {
        ("clean", "A04"): ["unfinished"],
        ("count", "A04"): ["earlier_runs"],
        ("clean", "A12"): ["never_done"],
        ("count", "A12"): ["never_done", "earlier_runs"],
        ("count", "A02"): ["earlier_changed"],
    }
    [reason] = answers["count", "A02"]["reasons"]
    assert reason["images"] == ["A02_s001_w1_z001_t001.tif"]
    assert answers["count", "A03"]["made_from"]["images"] == 2


def test_a_library_of_another_version(project, tmp_path, monkeypatch):
    folder = tmp_path / "site/numpy-0.0.1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.1\n")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(folder.parent), os.environ.get("PYTHONPATH", "")])
    )
    answers = _agree(project)
    assert set(_kinds(answers)) == {(step, well) for step in ("clean", "count") for well in WELLS}
    text = _ask(project, "-m", "openhcs_core", "why", "clean", "A01")
    assert "numpy" in text
    assert "→ 0.0.1" in text


def test_a_failed_step_says_what_it_said(done):
    text = _ask(done, "-m", "openhcs_core", "why", "clean", "A09")
    assert "last time it failed: " in text
    assert "found other content beginning with b'not an image'" in text
    text = _ask(done, "-m", "openhcs_core", "why", "count", "A09")
    assert "it has not been done yet\n  step clean runs first: last time it failed: " in text
