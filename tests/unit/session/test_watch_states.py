"""What is to be done with plates of a drop folder, found without running anything."""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from openhcs_core.errors import ConfigError
from openhcs_core.microscopes import get_handler
from openhcs_core.session.files import write_files
from openhcs_core.session.watch import Stage, Watcher, WatchOptions, check_options
from openhcs_core.session.watch.changes import Changes, find_changes
from openhcs_core.session.watch.states import _complete_wells
from openhcs_core.testing.plates import image_path, write_imagexpress_plate

PIPELINE = "steps:\n  - {name: measure, func: openhcs:measure_intensity}\n"


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drop").mkdir()
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return WatchOptions(
        folder=tmp_path / "drop",
        pipeline="pipeline.yaml",
        results="results",
        settings=None,
        microscope="auto",
        settle_s=0.0,
        complete_wells=False,
        snakefile="Snakefile",
        arguments=(),
    )


def look(options, start=lambda run: 0):
    return {state.name: state for state in Watcher(options, start).round()}


def writing_plans(code):
    """Return what starts a snakemake that writes its plans, as all do, and ends in `code`."""

    def start(run):
        write_files(run.content)
        return code

    return start


def read_config(path):
    return json.loads(Path(path).read_text().partition("\n")[2])


def test_a_plate_that_is_written_to_waits_whatever_times_its_files_have(options):
    plate = options.folder / "one"
    write_imagexpress_plate(plate, (1,))
    for path in plate.rglob("*"):
        os.utime(path, (1e9, 1e9))  # a copy keeps the times of the original
    waiting = look(replace(options, settle_s=60))["one"]
    assert (waiting.stage, waiting.run) == (Stage.WRITING, None)
    assert time.time() - find_changes(plate).newest < 60
    assert look(options, start=lambda run: 1)["one"].stage == Stage.FAILED  # it was run


def test_what_the_folder_holds_is_told_apart(options):
    drop = options.folder
    write_imagexpress_plate(drop / "good", (1, 2))
    write_imagexpress_plate(drop / "lacking", (1, 2))
    image_path(drop / "lacking", "A02", 2).unlink()
    write_imagexpress_plate(drop / "bad", (1,))
    (drop / "bad/P.HTD").write_text("nothing of the kind")
    (drop / "notes").mkdir()
    (drop / "notes/readme.txt").touch()
    (drop / "empty").mkdir()
    (drop / ".hidden").mkdir()
    (drop / "file.txt").touch()
    started = []
    states = look(options, lambda run: started.append(run.name) or 1)
    assert {name: state.stage for name, state in states.items()} == {
        "bad": Stage.REFUSED,
        "empty": Stage.WRITING,
        "good": Stage.FAILED,
        "lacking": Stage.INCOMPLETE,
        "notes": Stage.NO_PLATE,
    }
    assert started == ["good"]
    assert "is not an HTD file" in states["bad"].detail
    assert "waits for 1 images: A02_s002_w1_z001_t001.tif" in states["lacking"].detail
    assert "snakemake ended with 1 before all was done; see results/.watch/good.log" in (
        states["good"].detail
    )


def test_a_folder_that_cannot_be_listed_stops_nobody(options, tmp_path):
    write_imagexpress_plate(options.folder / "good", (1,))
    deep = options.folder / "bad"
    deep.mkdir()
    os.chdir(deep)
    for _ in range(25):  # a path of 5 kB, which the system does not take
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    os.chdir(tmp_path)
    states = look(options, lambda run: 1)
    assert (states["bad"].stage, states["good"].stage) == (Stage.REFUSED, Stage.FAILED)
    assert "File name too long" in states["bad"].detail


def test_a_drop_folder_that_is_away(options):
    (options.folder).rmdir()
    (state,) = look(options).values()
    assert (state.name, state.stage) == (str(options.folder), Stage.REFUSED)
    assert "No such file or directory" in state.detail


def test_complete_wells_of_a_plate_that_is_not(options):
    write_imagexpress_plate(options.folder / "one", (1, 2, 3))
    image_path(options.folder / "one", "A02", 2).unlink()
    runs = []
    look(replace(options, complete_wells=True), lambda run: runs.append(run) or 1)
    (run,) = runs
    config = read_config(run.config)
    assert config["plates"]["one"]["wells"] == ["A01", "A03"]


def test_a_well_that_is_written_to_is_not_complete(options):
    plate = options.folder / "one"
    write_imagexpress_plate(plate, (1, 2))
    index = get_handler("auto", plate).index(plate)
    now = time.time()
    files = {image.path: now - 100 for image in index.images}
    files["TimePoint_1/P_A02_s1_w1.TIF"] = now - 1
    assert _complete_wells(index, Changes(files, now - 1), 10) == {"A01"}
    assert _complete_wells(index, Changes(files, now - 1), 0) == {"A01", "A02"}


def test_settings_hold_for_every_plate(options, tmp_path):
    (tmp_path / "map.csv").write_text("well,dose\nA01,1\n")
    (tmp_path / "settings.yaml").write_text(
        "plates: {one: {plate_map: map.csv, path: elsewhere}}\n"
        "pipeline: other.yaml\n"
        "storage: {materialization: disk}\n"
    )
    write_imagexpress_plate(options.folder / "one", (1,))
    write_imagexpress_plate(options.folder / "two", (1,))
    runs = {}
    look(replace(options, settings="settings.yaml"), lambda run: runs.update({run.name: run}) or 1)
    configs = {name: read_config(run.config) for name, run in runs.items()}
    for name, config in configs.items():
        assert config["storage"] == {"materialization": "disk"}
        assert (config["pipeline"], config["results"]) == ("pipeline.yaml", "results")
        assert config["plates"][name]["path"] == str((options.folder / name).resolve())
    assert configs["one"]["plates"]["one"]["plate_map"] == "map.csv"
    assert "plate_map" not in configs["two"]["plates"]["two"]


def test_a_wrong_pipeline_is_said_of_each_plate_and_an_edit_is_noticed(options):
    write_imagexpress_plate(options.folder / "one", (1,))
    pipeline = options.folder.parent / "pipeline.yaml"
    pipeline.write_text("steps:\n  - {name: measure, func: openhcs:no_such}\n")
    started = []
    watcher = Watcher(options, lambda run: started.append(run.name) or 1)
    (state,) = watcher.round()
    assert state.stage == Stage.REFUSED
    assert "no_such" in state.detail
    pipeline.write_text(PIPELINE)
    assert [state.stage for state in watcher.round()] == [Stage.READY, Stage.FAILED]
    assert [state.stage for state in watcher.round()] == [Stage.FAILED]  # not tried again
    assert started == ["one"]
    path = image_path(options.folder / "one", "A01", 1)
    path.write_bytes(path.read_bytes())  # a repaired image
    assert [state.stage for state in watcher.round()] == [Stage.READY, Stage.FAILED]


@pytest.mark.parametrize(
    ("arguments", "code", "stage"),
    [
        (("--until", "measure"), 0, Stage.PARTLY),
        (("--until", "measure"), 1, Stage.FAILED),
        (("-n",), 0, Stage.LOOKED_AT),
        (("-n",), 1, Stage.FAILED),
        (("--cores", "2"), 0, Stage.FAILED),
    ],
)
def test_what_snakemake_was_asked_for_counts_and_is_not_asked_for_again(
    options, arguments, code, stage
):
    write_imagexpress_plate(options.folder / "one", (1,))
    watcher = Watcher(replace(options, arguments=arguments), writing_plans(code))
    assert [state.stage for state in watcher.round()] == [Stage.READY, stage]
    assert [state.stage for state in watcher.round()] == [stage]


def test_a_part_is_done_again_when_its_results_are_gone(options):
    write_imagexpress_plate(options.folder / "one", (1,))
    watcher = Watcher(replace(options, arguments=("--until", "measure")), writing_plans(0))
    again = [Stage.READY, Stage.PARTLY]
    assert [state.stage for state in watcher.round()] == again
    assert [state.stage for state in watcher.round()] == [Stage.PARTLY]
    shutil.rmtree("results/one")
    assert [state.stage for state in watcher.round()] == again


def test_folders_of_one_name_and_results_in_the_drop_folder(options):
    for name in ("p#1", "p?1", "results"):
        write_imagexpress_plate(options.folder / name, (1,))
    results = str(options.folder / "results")
    states = look(replace(options, results=results), lambda run: 1)
    assert {name: state.stage for name, state in states.items()} == {
        "p_1": Stage.FAILED,
        "p?1": Stage.REFUSED,
    }
    assert "p#1 has the same name 'p_1'" in states["p?1"].detail


@pytest.mark.parametrize(
    ("folder", "pipeline", "snakefile", "said"),
    [
        ("none", "pipeline.yaml", None, "none is no folder"),
        ("drop", "none.yaml", None, "pipeline none.yaml is not there"),
        ("drop", "pipeline.yaml", "none", "no Snakefile: looked for none"),
    ],
)
def test_what_is_not_there_is_said_at_once(options, folder, pipeline, snakefile, said):
    with pytest.raises(ConfigError, match=said):
        check_options(options.folder.parent / folder, pipeline, snakefile)
