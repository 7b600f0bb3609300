"""What is stacked, in which order, and which function meets it: every component, on one plate."""

import csv
import itertools
import json

import numpy as np
import pytest
import tifffile

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.constants import MemoryType
from openhcs_core.emission import emit_plan_files
from openhcs_core.errors import ErrorGroup
from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.microscopes import ChannelInfo, ImageFile, PlateIndex, well_index
from openhcs_core.pipeline import ProcessingContract
from openhcs_core.plan import SpecialOutputPlan, index_path
from openhcs_core.planes import PlaneKey
from openhcs_core.registry import FunctionMetadata
from openhcs_core.runtime import Job, execute_step

WELL = "B02"
AXES = {
    "site": ["1", "2"],
    "channel": ["1", "2", "10"],
    "z_index": ["1", "2"],
    "timepoint": ["1", "2", "3"],
}
"""Values of each component, in natural order; the axes of VALUES."""
VALUES = np.arange(1, 37, dtype=np.uint16).reshape([len(values) for values in AXES.values()]) * 100
"""The one value of each image of the plate."""
TOLD = []
"""The first pixels of each stack that a function below was given, in call order."""


def rank(image_stack):
    TOLD.append(image_stack[:, 0, 0].tolist())
    return image_stack + np.arange(len(image_stack), dtype=np.uint16)[:, None, None]


def add(image_stack, *, amount):
    return image_stack + np.uint16(amount), {"amount": [amount]}


def _function(function, **more):
    return FunctionMetadata(
        ref=f"t:{function.__name__}",
        module=__name__,
        attribute=function.__name__,
        parameters_schema={"type": "object", "properties": {"amount": {"type": "integer"}}},
        input_memory_type=MemoryType.NUMPY,
        output_memory_type=MemoryType.NUMPY,
        **more,
    )


_AMOUNTS = SpecialOutputPlan(name="amounts", spec=MaterializationSpec(CsvOptions()))
FUNCTIONS = {
    "t:rank": _function(rank),
    "t:add": _function(add, contract=ProcessingContract.PURE_2D, special_outputs=(_AMOUNTS,)),
}


class _Catalogue:
    def find(self, ref):
        return FUNCTIONS[ref]


def _load(ref):
    return {"t:rank": rank, "t:add": add}[ref]


def _key(values):
    site, channel, z_index, timepoint = values
    return PlaneKey(WELL, int(site), channel, int(z_index), int(timepoint))


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Write a plate of one well and return what it consists of, in no order at all."""
    folder = tmp_path_factory.mktemp("plate")
    images = []
    for values, value in zip(itertools.product(*AXES.values()), VALUES.flat, strict=True):
        name = f"{value}.tif"
        tifffile.imwrite(folder / name, np.full((2, 3), value, np.uint16))
        images.append(ImageFile(_key(values), name, (folder / name).stat().st_size, 1))
    channels = [ChannelInfo(name, f"C{name}", "uint16", (2, 3)) for name in AXES["channel"]]
    return PlateIndex(folder, "imagexpress", "imagexpress", (*images[::-1],), (*channels,))


@pytest.fixture
def run(tmp_path, index):
    """Run one step on the well; return the folder of its results."""

    def run_(step):
        (tmp_path / "pipeline.yaml").write_text(f"steps:\n  - {{name: s, {step}}}\n")
        document = load_yaml(tmp_path / "pipeline.yaml")
        plan = compile_plate(
            CompileRequest(
                plate="p",
                index=index,
                wells=(WELL,),
                pipeline=validate(PipelineConfig, document),
                document=document,
                storage=VFSConfig(materialization="disk"),
                functions=_Catalogue(),
            )
        )
        location = {"plate_path": str(index.plate_path), "cache_dir": str(tmp_path / "cache")}
        files = {
            **emit_plan_files(plan),
            "workspace/location.json": json.dumps(location),
            index_path(WELL): json.dumps(well_index(index, WELL, raw="immutable")),
        }
        folder = tmp_path / "results/p"
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        TOLD.clear()
        execute_step(Job(folder, "s"), WELL, _load)
        return folder

    return run_


def _images(folder):
    """Return the images of a step in the order of VALUES."""
    return [
        int(tifffile.imread(folder / f"images/s/{WELL}/{_key(values).filename}")[0, 0])
        for values in itertools.product(*AXES.values())
    ]


def _stacks(components):
    """Return stacks by numpy alone: an axis for calls, one for the planes of a call."""
    axes = [list(AXES).index(name) for name in components]
    calls = [axis for axis in range(len(AXES)) if axis not in axes]
    length = int(np.prod([VALUES.shape[axis] for axis in axes]))
    return VALUES.transpose(*calls, *axes).reshape(-1, length), axes


@pytest.mark.parametrize(
    "components",
    [
        ["site"],
        ["channel"],
        ["z_index"],
        ["timepoint"],
        ["z_index", "timepoint"],
        ["timepoint", "z_index"],
        ["site", "channel"],
        ["channel", "site"],
        ["timepoint", "site", "channel"],
    ],
)
def test_stacks_are_in_natural_order_and_the_last_component_listed_is_fastest(run, components):
    folder = run(f"func: t:rank, variable_components: [{', '.join(components)}]")
    stacks, axes = _stacks(components)
    assert stacks.tolist() == TOLD
    # each plane comes back under its own name, whatever its place in the stack
    shape = [VALUES.shape[axis] for axis in axes]
    place = np.arange(np.prod(shape)).reshape(shape)
    of_stack = place.transpose(np.argsort(axes))
    others = [axis for axis in range(VALUES.ndim) if axis not in axes]
    ranks = np.broadcast_to(np.expand_dims(of_stack, others), VALUES.shape)
    assert _images(folder) == (VALUES + ranks).ravel().tolist()


@pytest.mark.parametrize(
    ("component", "stacked"),
    [
        ("site", "[channel, z_index]"),
        ("channel", "[site]"),
        ("channel", "[z_index, timepoint]"),
        ("z_index", "[site, channel]"),
        ("timepoint", "[z_index]"),
    ],
)
def test_the_value_of_any_component_chooses_the_function(run, component, stacked):
    amounts = {value: 10 + number for number, value in enumerate(AXES[component])}
    func = ", ".join(f"'{value}': {{t:add: {{amount: {amounts[value]}}}}}" for value in amounts)
    folder = run(f"func: {{{func}}}, group_by: {component}, variable_components: {stacked}")
    axis = list(AXES).index(component)
    added = np.expand_dims(list(amounts.values()), [i for i in range(VALUES.ndim) if i != axis])
    assert _images(folder) == (VALUES + added).ravel().tolist()
    tables = {path.name: path for path in (folder / "tables/s").iterdir()}
    assert set(tables) == {f"{WELL}.{value}.amounts.csv" for value in amounts}
    for value, amount in amounts.items():
        with tables[f"{WELL}.{value}.amounts.csv"].open() as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == VALUES.size // len(amounts)
        assert {(row[component], row["amount"]) for row in rows} == {(value, str(amount))}


def test_the_well_chooses_the_function_and_is_named_once(run):
    folder = run(
        f"func: {{{WELL}: {{t:add: {{amount: 7}}}}}}, group_by: well, "
        "variable_components: [z_index, channel]"
    )
    assert _images(folder) == (VALUES + 7).ravel().tolist()
    assert [path.name for path in (folder / "tables/s").iterdir()] == [f"{WELL}.amounts.csv"]


def test_rows_and_calls_have_channel_2_before_channel_10(run):
    run("func: {'10': t:rank, '2': t:rank}, passthrough: ['1']")
    stacks, _ = _stacks(["site"])
    calls = stacks.reshape(len(AXES["channel"]), -1, len(AXES["site"]))
    assert calls[1:].reshape(-1, len(AXES["site"])).tolist() == TOLD


@pytest.mark.parametrize("component", list(AXES))
def test_what_is_stacked_cannot_choose_the_function(run, component):
    with pytest.raises(ErrorGroup) as caught:
        run(
            f"func: {{'1': t:rank}}, group_by: {component}, "
            f"variable_components: [{component}], passthrough: {AXES[component][1:]}"
        )
    (error,) = caught.value.members
    assert f"{component} cannot be both group_by and one of the variable_components" in str(error)


def test_wells_cannot_be_stacked(run):
    with pytest.raises(ErrorGroup) as caught:
        run("func: t:rank, variable_components: [well]")
    (error,) = caught.value.members
    assert "well cannot be stacked in a step that does one well" in str(error)
    assert "write scope: plate for a function over all wells" in str(error)
