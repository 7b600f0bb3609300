"""Options of ``index``, ``init`` and ``convert`` that choose images of a plate."""

import json

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

from openhcs_core.cli.convert_command import convert_command
from openhcs_core.cli.index_command import index_command
from openhcs_core.cli.init_command import init_command
from openhcs_core.config import WorkflowConfig, load_yaml, validate
from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.microscopes import load_handler
from openhcs_core.testing.zarr_plates import write_foreign_plate


@pytest.fixture
def plate(tmp_path, monkeypatch):
    """Wells with field 0 before and after processing, of acquisitions 0 and 3."""
    monkeypatch.chdir(tmp_path)
    write_foreign_plate(tmp_path / "plate.zarr", "0.5")
    for well in ("A/1", "B/12"):
        folder = tmp_path / "plate.zarr" / well
        (folder / "1").rename(folder / "0_registered")
        versions = {"0": 0, "0_registered": 3}
        images = [{"path": path, "acquisition": cycle} for path, cycle in versions.items()]
        change(folder, well={"images": images})
    return "plate.zarr"


def change(folder, **fields):
    """Change fields of a group's OME metadata."""
    file = folder / "zarr.json"
    content = json.loads(file.read_text())
    for name, value in fields.items():
        content["attributes"]["ome"][name] |= value
    file.write_text(json.dumps(content))


def pixels(field):
    """Return the whole-size array of a field."""
    group = zarr.open_group(field, mode="r")
    return group[group.attrs["ome"]["multiscales"][0]["datasets"][0]["path"]][:]


def call(command, *arguments):
    run = CliRunner().invoke(command, arguments)
    if isinstance(run.exception, Exception):
        raise run.exception
    return run.output


CHOICES = [("--image", "0_registered"), ("--acquisition", "3")]


@pytest.mark.parametrize("choice", CHOICES)
def test_the_chosen_images_are_shown_converted_and_stand_in_the_config(plate, tmp_path, choice):
    with pytest.raises(InputDataError, match="as --image 0 does"):
        call(index_command, plate)
    shown = json.loads(call(index_command, plate, *choice, "--json"))
    assert (shown["wells"], shown["sites"], shown["missing"]) == (["A01", "B12"], [1], [])

    call(init_command, plate, *choice)
    written = validate(WorkflowConfig, load_yaml("config/config.yaml")).plates["plate"]
    index = load_handler("ome_zarr", written).index(plate)
    assert {image.path.split("/")[2] for image in index.images} == {"0_registered"}

    call(convert_command, plate, "out.zarr", *choice)
    taken = pixels(tmp_path / plate / "B/12/0_registered")
    kept = pixels(tmp_path / "out.zarr/B/12/0")
    np.testing.assert_array_equal(kept.reshape(taken.shape), taken)


def test_one_of_several_acquisitions_is_asked_for_by_its_option(plate, tmp_path):
    change(tmp_path / plate, plate={"acquisitions": [{"id": 0}, {"id": 3}]})
    with pytest.raises(InputDataError, match="as --acquisition 0 does"):
        call(index_command, plate)
    with pytest.raises(InputDataError, match="has no acquisition 7"):
        call(index_command, plate, "--acquisition", "7")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pattern", "{well}.tif", "--image", "0"], "--image is of microscope ome_zarr, not gen"),
        (
            ["--microscope", "cv8000", "--acquisition", "1"],
            "--acquisition is of microscope ome_zarr",
        ),
        (
            ["--microscope", "cv8000", "--pattern", "{well}.tif"],
            "--pattern is of microscope generic",
        ),
        (["--image", ""], "--image: "),
        (["--pattern", ""], "--pattern '': "),
    ],
)
def test_options_that_do_not_go_together_are_refused(plate, options, said):
    with pytest.raises(ConfigError, match=said):
        call(index_command, plate, *options)


@pytest.mark.parametrize(("path", "said"), [("x" * 300, "has 300 bytes"), ("", "is empty")])
def test_a_path_that_no_config_can_have_is_refused(path, said):
    with pytest.raises(ConfigError, match=f"PLATE: .*{said}"):
        call(index_command, path, "--pattern", "{well}.tif")
