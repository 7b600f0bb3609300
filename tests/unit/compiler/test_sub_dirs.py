"""Where kept images go: folders that steps choose, and those they cannot have."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.config import (
    MaterializeConfig,
    PipelineConfig,
    VFSConfig,
    load_yaml,
    validate,
)
from openhcs_core.constants import Backend
from openhcs_core.emission import emit_plan_files
from openhcs_core.errors import ErrorGroup
from openhcs_core.microscopes import get_handler
from openhcs_core.plan import (
    OWN_FOLDERS,
    STATUS,
    kept_image_path,
    kept_well_folder,
)
from openhcs_core.planes import PlaneKey
from openhcs_core.registry import RegistryService

PLATE = Path(__file__).parents[3] / "data/demo/9987_Plate_3434"
FUNCTIONS = RegistryService()
KEY = PlaneKey("B02", 1, "1", 1, 1)


@pytest.fixture(scope="module")
def index():
    return get_handler("imagexpress", PLATE).index(PLATE)


@pytest.fixture
def compile_steps(tmp_path, index):
    def compile_(*steps, storage="zarr"):
        path = tmp_path / "pipeline.yaml"
        path.write_text("steps:\n" + "".join(f"  - {{func: openhcs:tophat, {s}}}\n" for s in steps))
        document = load_yaml(path)
        request = CompileRequest(
            plate="demo",
            index=index,
            wells=index.wells,
            pipeline=validate(PipelineConfig, document),
            document=document,
            storage=VFSConfig(materialization=storage),
            functions=FUNCTIONS,
        )
        return compile_plate(request)

    return compile_


def _folders(plan):
    return [
        step.store
        and kept_well_folder(step.step_name, step.store.backend, "B02", step.store.sub_dir)
        for step in plan.steps
    ]


@pytest.mark.parametrize(
    ("backend", "folders"),
    [
        ("zarr", ["checkpoints/a.ome.zarr/B/02", "x/y/b/B02", None, "d.ome.zarr/B/02"]),
        ("disk", ["checkpoints/a/B02", "x/y/b/B02", None, "images/d/B02"]),
    ],
)
def test_images_go_to_the_folder_a_step_names(compile_steps, backend, folders):
    plan = compile_steps(
        "name: a, materialize: {sub_dir: checkpoints}",
        "name: b, materialize: {sub_dir: x/y, backend: disk}",
        "name: c",
        "name: d, materialize: {}",
        storage=backend,
    )
    assert _folders(plan) == folders
    read = [(step.reads_kept, step.read_sub_dir) for step in plan.steps]
    assert read == [(False, None), (True, "checkpoints"), (True, "x/y"), (False, None)]
    expected = [("checkpoints", "a"), (None, "d")] if backend == "zarr" else []
    assert [(store.sub_dir, store.step_name) for store in plan.stores] == expected
    assert kept_image_path("b", Backend.DISK, KEY, "x/y") == f"x/y/b/B02/{KEY.filename}"


def test_plan_files_say_the_folder(compile_steps):
    named = compile_steps("name: a, materialize: {sub_dir: x}")
    files = emit_plan_files(named)
    assert {path for path, text in files.items() if '"sub_dir": "x"' in text} == set(files)


@pytest.mark.parametrize(
    "folder", ["", "/", "/tmp", "x/", "x//y", "..", "x/../y", ".x", "a:b", "{well}", "a.ome.zarr"]
)
def test_what_leads_elsewhere_is_no_folder(folder):
    with pytest.raises(ValidationError, match="expected a folder below results/<plate>/, such as"):
        MaterializeConfig(sub_dir=folder)


@pytest.mark.parametrize("folder", ["tables", "Manifests/x", "special", "labels", "plan/a"])
def test_folders_of_other_results_are_refused(compile_steps, folder):
    with pytest.raises(ErrorGroup) as caught:
        compile_steps(f"name: a, materialize: {{sub_dir: {folder}}}", "name: b")
    (error,) = caught.value.exceptions
    assert "choose another sub_dir, such as checkpoints" in str(error)
    assert ":2 steps[0].materialize.sub_dir" in error.__notes__[0]


def test_every_file_that_is_no_kept_image_lies_in_a_refused_folder(compile_steps):
    plan = compile_steps("name: a")
    assert {path.partition("/")[0] for path in emit_plan_files(plan)} <= OWN_FOLDERS
    assert STATUS in OWN_FOLDERS


def test_kept_images_never_lie_inside_those_of_another_step(compile_steps):
    inside = "name: b, materialize: {sub_dir: images/a/more}"
    with pytest.raises(ErrorGroup, match="1 problem") as caught:
        compile_steps("name: a, materialize: {backend: disk}", inside)
    (error,) = caught.value.exceptions
    assert "images/a/more/b.ome.zarr, inside images/a with those of step 'a'" in str(error)
    assert ":3 steps[1].materialize.sub_dir" in error.__notes__[0]
    beside = compile_steps("name: a, keep: true", inside, "name: c, materialize: {sub_dir: images}")
    assert _folders(beside)[1:] == ["images/a/more/b.ome.zarr/B/02", "images/c.ome.zarr/B/02"]
