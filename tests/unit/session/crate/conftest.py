"""A plate with results, made in this process."""

import shutil

import pytest

from openhcs_core.testing.plates import write_imagexpress_plate

PIPELINE = """steps:
  - {name: smooth, func: {skimage:filters.gaussian: {sigma: 1}}}
  - {name: count, func: {openhcs:count_cells_single_channel: {min_area: 20}}}
overrides:
  - {wells: [A02], set: {count: {min_area: 30}}}
"""


@pytest.fixture(scope="package")
def finished(run_all, tmp_path_factory):
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
