"""A plate with results, made in this process."""

import shutil
from pathlib import Path

import pytest

from openhcs_core.registry import RegistryService
from openhcs_core.runtime import Job, execute_step, gather_table, write_store_metadata
from openhcs_core.session import compile_workflow, write_files
from openhcs_core.testing.plates import write_imagexpress_plate

PIPELINE = """steps:
  - {name: smooth, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 20}}}
overrides:
  - {wells: [A02], set: {count: {min_area: 30}}}
"""


def run_all():
    load = RegistryService().load
    compilation = compile_workflow("config/config.yaml")
    write_files(compilation.files)
    (plate,) = compilation.compiled.plates
    folder = Path(compilation.compiled.results, plate.name)
    for step in plate.steps:
        for well in plate.wells:
            execute_step(Job(folder, step.step_name), well, load)
    for table in plate.tables:
        gather_table(Job(folder, table.step_name), table.file)
    for store in plate.stores:
        write_store_metadata(Job(folder, store.step_name))


@pytest.fixture(scope="package")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    write_imagexpress_plate(folder / "plate", (1, 2))
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text("plates:\n  demo: {path: plate}\n")
    (folder / "config/pipeline.yaml").write_text(PIPELINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_all()
    return folder


@pytest.fixture
def folder(finished, tmp_path, monkeypatch):
    """The working directory: a copy that a test may change."""
    shutil.copytree(finished, tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    return tmp_path / "own"
