"""What runs after an edit: the table of edits, each through the real snakemake."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "rerun_edits"


def _load_table():
    spec = importlib.util.spec_from_file_location(FOLDER.name, FOLDER / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[FOLDER.name] = module
    spec.loader.exec_module(module)
    return module


table = _load_table()
EDITS = {edit.name: edit for edit in table.EDITS}
CONDITIONS = ("as it is", "no records", "mtime only")
UNDONE = (
    *("last-parameter", "middle-parameter", "override-added", "override-removed"),
    *("function", "well-added", "well-removed", "map-changed", "image", "step-renamed"),
    *("step-removed", "rewired", "kept"),
)


class Snakemake:
    """The real snakemake, imported once for all its runs."""

    def __init__(self, run_type):
        self._run_type = run_type
        self._process = subprocess.Popen(
            [sys.executable, str(FOLDER / "warm_snakemake.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, project, *arguments):
        output = project.folder.with_suffix(".output")
        command = {
            "folder": str(project.folder),
            "output": str(output),
            "libraries": str(project.folder / "libraries"),
            "arguments": [
                *("--snakefile", str(project.snakefile), "--cores", "2", "--printshellcmds"),
                *arguments,
            ],
        }
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        run = self._run_type(int(self._process.stdout.readline()), output.read_text())
        assert run.returncode == 0, run.output
        return run.jobs

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="session")
def snakemake(run_type):
    runner = Snakemake(run_type)
    yield runner
    runner.close()


@pytest.fixture(scope="session")
def small_finished(snakemake, project_type, tmp_path_factory):
    """The small project, run once; nobody may change it."""
    project = project_type(tmp_path_factory.mktemp("edits") / "project")
    table.write_project(project)
    assert snakemake(project) == table.EVERYTHING
    return project


def _prepare(finished, folder, edit, condition, snakemake):
    """Return a copy of the finished project in a condition, and snakemake's arguments for it."""
    project = finished.copy_to(folder)
    if edit.before is not None:
        edit.before(project)
        assert snakemake(project)
    if condition == "no records":
        shutil.rmtree(project.folder / ".snakemake")
    return project, ("--rerun-triggers", "mtime") if condition == "mtime only" else ()


def _cases():
    """Yield every edit in every condition; those that repeat others are for the thorough."""
    for name, edit in EDITS.items():
        for condition in CONDITIONS:
            is_sample = condition == CONDITIONS[0] or name in UNDONE
            marks = () if is_sample else pytest.mark.thorough
            yield pytest.param(edit, condition, id=f"{name}-{condition}", marks=marks)


@pytest.mark.parametrize(("edit", "condition"), list(_cases()))
def test_an_edit_runs_what_depends_on_it(
    edit, condition, small_finished, snakemake, project_type, tmp_path
):
    project, arguments = _prepare(small_finished, tmp_path / "project", edit, condition, snakemake)
    edit.do(project)
    arguments += edit.arguments
    expected = sorted(edit.jobs)
    # what jobs leave behind is the same in every condition, so not all of them run thrice
    is_real = condition == "as it is" or (condition == "no records" and edit.is_compared)
    if not expected or not is_real:
        assert snakemake(project, "--dry-run", *arguments) == expected
        return
    assert snakemake(project, *arguments) == expected
    assert snakemake(project, "--dry-run", *arguments) == []
    if edit.is_compared and condition == "no records":
        fresh = small_finished
        if _input_bytes(project) != _input_bytes(fresh):
            fresh = project_type(tmp_path / "fresh")
            fresh.folder.mkdir()
            _copy_inputs(project, fresh)
            assert snakemake(fresh)
        _assert_same_results(project, fresh)


@pytest.mark.parametrize(
    "condition", [CONDITIONS[0], pytest.param(CONDITIONS[1], marks=pytest.mark.thorough)]
)
@pytest.mark.parametrize("name", UNDONE)
def test_an_edit_that_is_undone_after_a_look_runs_nothing(
    name, condition, small_finished, snakemake, tmp_path
):
    edit = EDITS[name]
    project, arguments = _prepare(small_finished, tmp_path / "project", edit, condition, snakemake)
    edit.do(project)
    assert snakemake(project, "--dry-run", *arguments) == sorted(edit.jobs)
    for part in table.INPUTS:
        _remove(project.folder / part)
    _copy_inputs(small_finished, project)
    assert snakemake(project, "--dry-run", *arguments) == []


def _input_bytes(project):
    return {
        path.relative_to(project.folder): path.read_bytes()
        for part in table.INPUTS
        for path in sorted((project.folder / part).rglob("*")) or [project.folder / part]
        if path.is_file() and "__pycache__" not in path.parts
    }


def _copy_inputs(project, to):
    for part in table.INPUTS:
        path = project.folder / part
        copy = shutil.copytree if path.is_dir() else shutil.copy2
        copy(path, to.folder / part)


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _assert_same_results(project, fresh):
    """Compare all that a fresh run makes; what an earlier pipeline left lies beside it."""
    found = [
        path
        for folder in ("manifests", "tables", "rois", "*.ome.zarr")
        for top in fresh.results.glob(folder)
        for path in top.rglob("*")
        if path.is_file()
    ]
    assert found
    for path in found:
        name = path.relative_to(fresh.results)
        assert (project.results / name).read_bytes() == path.read_bytes(), name


def test_names_are_unique_and_enough_results_are_compared():
    assert len(EDITS) == len(table.EDITS)
    assert sum(edit.is_compared for edit in table.EDITS) >= 8
