"""What earlier configs left among a plate's results."""

import pytest

from openhcs_core.constants import Backend
from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.plan import (
    FunctionPlan,
    GroupPlan,
    PlatePlan,
    SpecialOutputPlan,
    StepPlan,
    StorePlan,
    TablePlan,
)
from openhcs_core.session.leftovers import find_leftovers

CURRENT = [
    "count.ome.zarr/A/01/zarr.json",
    "count.ome.zarr/A/zarr.json",
    "images/hat/A01/A01_s001_w1_z001_t001.tif",
    "tables/count/A01.cells.csv",
    "tables/count/cells.csv",
    "tables/count/cells.partial.csv",
    "special/count/A01.places.zip",
    "manifests/gone/A01.json",
]


@pytest.fixture
def plate():
    output = SpecialOutputPlan(name="cells", spec=MaterializationSpec(CsvOptions()))
    places = SpecialOutputPlan(name="places", is_linked=True)
    groups = (GroupPlan(functions=(FunctionPlan(ref="x:y", special_outputs=(output, places)),)),)
    return PlatePlan(
        name="demo",
        wells=("A01",),
        steps=(
            StepPlan(step_name="count", groups=groups, store=StorePlan()),
            StepPlan(step_name="hat", store=StorePlan(backend=Backend.DISK, zarr=None)),
        ),
        tables=(
            TablePlan(
                step_name="count", output="cells", suffix=".csv", groups=(None,), wells=("A01",)
            ),
        ),
    )


def _make(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_what_the_plan_writes_is_no_leftover(plate, tmp_path):
    _make(tmp_path, CURRENT)
    assert find_leftovers(plate, tmp_path) == []
    assert find_leftovers(plate, tmp_path / "nothing") == []


def _in_folders(plate):
    """Return the plan with kept images in folders that the steps chose."""
    folders = {"count": "checkpoints", "hat": "checkpoints/tiff"}
    return plate.model_copy(
        update={
            "steps": tuple(
                step.model_copy(
                    update={
                        "store": step.store.model_copy(update={"sub_dir": folders[step.step_name]})
                    }
                )
                for step in plate.steps
            )
        }
    )


IN_FOLDERS = [
    "checkpoints/count.ome.zarr/A/01/zarr.json",
    "checkpoints/count.ome.zarr/zarr.json",
    "checkpoints/tiff/hat/A01/A01_s001_w1_z001_t001.tif",
    "checkpoints/tiff/hat/A01/labels/m/A01_s001_w1_z001_t001.tif",
    "notes/A01/mine.tif",
    "notes/list.csv",
]
TIFF = "A01_s001_w1_z001_t001.tif"


@pytest.mark.parametrize(
    ("left", "named"),
    [
        ("count.ome.zarr/A/01/zarr.json", ["count.ome.zarr"]),
        (f"images/hat/A01/{TIFF}", ["images/hat"]),
        ("checkpoints/count.ome.zarr/A/02/zarr.json", ["checkpoints/count.ome.zarr/A/02"]),
        ("checkpoints/old.ome.zarr/A/01/zarr.json", ["checkpoints/old.ome.zarr"]),
        (f"checkpoints/hat/A01/{TIFF}", ["checkpoints/hat"]),
        ("checkpoints/tiff/hat/A02/A02_s001_w1_z001_t001.tif", ["checkpoints/tiff/hat/A02"]),
        ("before/x/count.ome.zarr/zarr.json", ["before/x/count.ome.zarr"]),
        ("images/count.ome.zarr/A/01/zarr.json", ["images/count.ome.zarr"]),
    ],
)
def test_images_in_folders_of_earlier_choice_are_named(plate, tmp_path, left, named):
    _make(tmp_path, IN_FOLDERS)
    assert find_leftovers(_in_folders(plate), tmp_path) == []
    _make(tmp_path, [left])
    assert find_leftovers(_in_folders(plate), tmp_path) == named


def test_the_usual_places_are_named_and_those_chosen_before_too(plate, tmp_path):
    _make(tmp_path, [*CURRENT, *IN_FOLDERS])
    assert find_leftovers(plate, tmp_path) == ["checkpoints/count.ome.zarr", "checkpoints/tiff/hat"]


@pytest.mark.parametrize(
    ("left", "named"),
    [
        ("old.ome.zarr/A/01/zarr.json", "old.ome.zarr"),
        ("hat.ome.zarr/A/01/zarr.json", "hat.ome.zarr"),
        ("count.ome.zarr/A/02/zarr.json", "count.ome.zarr/A/02"),
        ("images/count/A01/a.tif", "images/count"),
        ("images/hat/A02/a.tif", "images/hat/A02"),
        ("tables/old/cells.csv", "tables/old"),
        ("tables/count/A02.cells.csv", "tables/count/A02.cells.csv"),
        ("tables/count/spots.csv", "tables/count/spots.csv"),
        ("rois/count/A01.masks.roi.zip", "rois/count"),
    ],
)
def test_what_no_job_writes_is_named(plate, tmp_path, left, named):
    _make(tmp_path, [*CURRENT, left])
    assert find_leftovers(plate, tmp_path) == [named]
