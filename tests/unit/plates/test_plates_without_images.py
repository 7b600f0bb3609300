"""A plate of which the metadata have arrived, and no image: a real list of Harmony V7."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from openhcs_core.cli.commands import cli
from openhcs_core.errors import ErrorGroup, InputDataError, render_error
from openhcs_core.session import compile_workflow

PLATE = Path(__file__).parents[2] / "data/phenix/v7"
SAID = r"none of the 7 images that its metadata list is there \(A01_s001_w1_z001_t001.tif, .*copy"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("missing_images", ["error", "allow"])
def test_compiling_says_so(folder, missing_images):
    plates = f"plates:\n  p: {{path: {PLATE}, missing_images: {missing_images}}}\n"
    (folder / "config.yaml").write_text(f"{plates}pipeline: pipeline.yaml\n")
    (folder / "pipeline.yaml").write_text("steps:\n  - {name: a, func: openhcs:max_projection}\n")
    with pytest.raises(ErrorGroup) as caught:
        compile_workflow("config.yaml")
    assert caught.group_contains(InputDataError, match=SAID)


@pytest.mark.parametrize("arguments", [("init",), ("convert", "--allow-missing")])
def test_commands_say_so_and_write_nothing(folder, arguments):
    command, *options = arguments
    out = ["out.ome.zarr"] if command == "convert" else []
    run = CliRunner().invoke(cli, [command, str(PLATE), *out, *options])
    assert isinstance(run.exception, InputDataError | ErrorGroup), run.exception
    assert re.search(SAID, render_error(run.exception))
    assert list(folder.iterdir()) == []


def test_index_lists_what_is_missing(folder):
    run = CliRunner().invoke(cli, ["index", str(PLATE)])
    assert run.exit_code == 0
    assert "sites     none\n" in run.stdout
    assert "missing   7: A01_s001_w1_z001_t001.tif" in run.stdout
