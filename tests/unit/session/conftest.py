"""Plates whose jobs are done in this process."""

from pathlib import Path

import pytest

from openhcs_core.registry import RegistryService
from openhcs_core.runtime import Job, execute_step, gather_table, write_store_metadata
from openhcs_core.session import compile_workflow, write_files


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
