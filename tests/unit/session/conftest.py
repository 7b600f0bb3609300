"""Plates whose jobs are done in this process."""

import shutil
from pathlib import Path

import pytest

from openhcs_core.registry import RegistryService
from openhcs_core.runtime import Job, execute_step, gather_table, write_store_metadata
from openhcs_core.session import compile_workflow, write_files
from openhcs_core.testing.plates import write_imagexpress_plate


@pytest.fixture(scope="session")
def run_all():
    """Return what does all jobs of the config here, and returns what it compiled."""

    def run():
        load = RegistryService().load
        compilation = compile_workflow("config/config.yaml")
        write_files(compilation.files)
        for plate in compilation.compiled.plates:
            folder = Path(compilation.compiled.results, plate.name)
            for step in plate.steps:
                for well in plate.wells:
                    execute_step(Job(folder, step.step_name), well, load)
            for table in plate.tables:
                gather_table(Job(folder, table.step_name), table.file)
            for store in plate.stores:
                write_store_metadata(Job(folder, store.step_name))
        return compilation

    return run


@pytest.fixture(scope="session")
def finish(run_all, tmp_path_factory):
    """Return what makes a folder with a plate of two wells and the results of a pipeline."""

    def make(pipeline, settings="", run=run_all):
        folder = tmp_path_factory.mktemp("finished")
        write_imagexpress_plate(folder / "plate", (1, 2))
        (folder / "config").mkdir()
        config = f"{settings}plates:\n  demo: {{path: plate}}\n"
        (folder / "config/config.yaml").write_text(config)
        (folder / "config/pipeline.yaml").write_text(pipeline)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            run()
        return folder

    return make


@pytest.fixture
def work_in_copy(tmp_path, monkeypatch):
    """Return what copies a folder, which the test may change, and makes it the working directory.

    The plate of results stays where it was.
    """

    def copy(folder):
        copied = tmp_path / "project"
        shutil.copytree(folder, copied)
        monkeypatch.chdir(copied)
        return copied

    return copy
