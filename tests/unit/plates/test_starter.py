"""Configs and pipelines to begin with: right whatever plates are called."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from openhcs_core.cli.init_command import init_command
from openhcs_core.config import PipelineConfig, WorkflowConfig, ZarrPlateConfig, load_yaml, validate
from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.microscopes import get_handler
from openhcs_core.plates import StarterPlate, name_plates, starter_config, starter_pipeline
from openhcs_core.testing.plates import image_path, write_imagexpress_plate

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "data/demo/9987_Plate_3434"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_imagexpress_plate(tmp_path / "My plate #1", (1, 2))
    return tmp_path


def init(*arguments):
    return CliRunner().invoke(init_command, arguments, catch_exceptions=True)


def test_a_table_of_what_was_found_and_files_that_compile(folder):
    run = init("My plate #1", str(DEMO))
    assert run.exit_code == 1  # their channels differ
    assert isinstance(run.exception, ConfigError)
    assert not (folder / "config").exists()
    run = init("My plate #1")
    assert run.exit_code == 0, run.exception
    for text in ("My plate _1", "imagexpress", "2: A01 to A02", "2: 1 to 2", "1 DAPI", "64 x 64"):
        assert text in run.stdout
    assert "snakemake -n" in run.stderr
    config = validate(WorkflowConfig, load_yaml("config/config.yaml"))
    assert config.plates["My plate _1"].path == "My plate #1"
    assert (folder / "config/config.yaml").read_text().count("#") > 5


def test_nothing_is_overwritten_without_force(folder):
    (folder / "config").mkdir()
    (folder / "config/pipeline.yaml").write_text("mine\n")
    run = init("My plate #1")
    assert isinstance(run.exception, ConfigError)
    assert "config/pipeline.yaml is there already; --force" in str(run.exception)
    assert [path.name for path in (folder / "config").iterdir()] == ["pipeline.yaml"]
    assert init("My plate #1", "--force").exit_code == 0
    assert "mine" not in (folder / "config/pipeline.yaml").read_text()


def test_json_for_programs(folder):
    data = json.loads(init("My plate #1", "--json").stdout)
    assert data["written"] == ["config/config.yaml", "config/pipeline.yaml"]
    (plate,) = data["plates"]
    assert (plate["name"], plate["wells"], plate["planes"]) == ("My plate _1", ["A01", "A02"], 4)


def test_missing_images_are_said_to_become_holes(folder):
    image_path(folder / "My plate #1", "A02", 2).unlink()
    run = init("My plate #1")
    assert run.exit_code == 0, run.exception
    assert "1 images are missing and become holes" in (folder / "config/config.yaml").read_text()


def test_a_pattern_of_file_names_stands_in_the_config(folder):
    images = str(ROOT / "tests/data/generic/sbs_translocation")
    run = init(images, "--pattern", "Channel{channel}-{_}-{row}-{column}.tif")
    assert run.exit_code == 0, run.exception
    plate = validate(WorkflowConfig, load_yaml("config/config.yaml")).plates["sbs_translocation"]
    assert plate.generic.pattern == "Channel{channel}-{_}-{row}-{column}.tif"


def test_every_plate_that_cannot_be_read_is_named(folder):
    (folder / "empty").mkdir()
    run = init("My plate #1", "empty", "absent")
    errors = run.exception.exceptions
    assert [type(error) for error in errors] == [InputDataError, ConfigError]
    assert not (folder / "config").exists()


def test_two_folders_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="would both be plate 'p'"):
        name_plates(["a/p", "b/p/"])


INDEX = get_handler("imagexpress", DEMO).index(DEMO)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=50)
@given(TEXT, TEXT)
def test_any_path_and_any_name_of_a_channel_is_read_back(tmp_path_factory, path, channel):
    folder = tmp_path_factory.mktemp("any")
    channels = (replace(INDEX.channels[0], name=channel), *INDEX.channels[1:])
    index = replace(INDEX, channels=channels)
    (folder / "c.yaml").write_bytes(
        starter_config([StarterPlate("p", path, index)], "p.yaml", "results").encode()
    )
    (folder / "p.yaml").write_bytes(starter_pipeline([index]).encode())
    config = validate(WorkflowConfig, load_yaml(folder / "c.yaml"))
    assert config.plates["p"].path == path
    pipeline = validate(PipelineConfig, load_yaml(folder / "p.yaml"))
    assert isinstance(pipeline.steps[-1].func, dict)
    assert list(pipeline.steps[-1].func) == ["1", "2", "3"]


@pytest.mark.parametrize("name", [".5", ".inf", ".nan", "0", "on", "./a", "../b", "a]", "0_x"])
def test_any_name_of_an_image_is_read_back(tmp_path, name):
    choice = ZarrPlateConfig(acquisition=1, images=(name, "b"))
    index = replace(INDEX, microscope="ome_zarr")
    plate = StarterPlate("p", name, index, ome_zarr=choice)
    (tmp_path / "c.yaml").write_text(starter_config([plate], "p.yaml", "results"))
    read = validate(WorkflowConfig, load_yaml(tmp_path / "c.yaml")).plates["p"]
    assert (read.ome_zarr, read.path) == (choice, name)


@pytest.mark.parametrize(
    ("names", "counted"),
    [
        (("FITC", "Hoechst 33342", "TRITC"), "2"),
        (("FITC", "TRITC", "nuclei"), "3"),
        (("Brightfield", "x", "y"), "1"),
    ],
)
def test_cells_are_counted_on_what_looks_like_nuclei(names, counted):
    channels = tuple(
        replace(channel, name=name) for channel, name in zip(INDEX.channels, names, strict=True)
    )
    text = starter_pipeline([replace(INDEX, channels=channels)])
    assert f'"{counted}": {{openhcs:count_cells_single_channel' in text
