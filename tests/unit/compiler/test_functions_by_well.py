"""Functions that differ by well: plans, files, tables and rules of each well, and mistakes."""

import ast
import json
import re

import pytest

from openhcs_core.compiler import CompileRequest, compile_plate
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.constants import MemoryType
from openhcs_core.emission import (
    emit_plan_files,
    emit_plan_index,
    emit_rules,
    files,
    plate_targets,
)
from openhcs_core.errors import CompileError, ErrorGroup
from openhcs_core.materialization import CsvOptions, MaterializationSpec
from openhcs_core.microscopes import ChannelInfo, ImageFile, PlateIndex
from openhcs_core.pipeline import ProcessingContract
from openhcs_core.plan import CompiledPipeline, SpecialOutputPlan, plan_digest
from openhcs_core.planes import PlaneKey
from openhcs_core.registry import FunctionMetadata

WELLS = ("A01", "A02", "B01", "B02")


def _function(name, *, takes=(), gives=(), **more):
    properties = {"size": {"type": "integer"}}
    return FunctionMetadata(
        ref=f"t:{name}",
        module="t",
        attribute=name,
        parameters_schema={"type": "object", "properties": properties},
        input_memory_type=MemoryType.NUMPY,
        output_memory_type=MemoryType.NUMPY,
        special_inputs=takes,
        special_outputs=tuple(gives),
        **more,
    )


def _table(name, suffix=".csv"):
    spec = MaterializationSpec(CsvOptions(filename_suffix=suffix))
    return SpecialOutputPlan(name=name, spec=spec)


FUNCTIONS = {
    function.ref: function
    for function in (
        _function("same"),
        _function("count", gives=[_table("counts")]),
        _function("measure", gives=[_table("sizes")]),
        _function("find", gives=[SpecialOutputPlan(name="spots")]),
        _function("find2", gives=[SpecialOutputPlan(name="spots")]),
        _function("use", takes=("spots",), gives=[_table("used")]),
        _function("odd", gives=[_table("counts_a")]),
        _function("odd2", gives=[_table("counts", "_a.csv")]),
        _function("flat", contract=ProcessingContract.VOLUMETRIC_TO_SLICE),
        _function("breaks", chain_breaker=True),
        _function("both", contract=ProcessingContract.FLEXIBLE),
        _function("on_gpu"),
    )
}


class _Catalogue:
    def find(self, ref):
        if ref not in FUNCTIONS:
            raise CompileError(f"unknown function {ref!r}")
        return FUNCTIONS[ref]


def _index(wells, folder):
    images = tuple(
        ImageFile(PlaneKey(well, 1, "1", z_index, 1), f"{well}_{z_index}.tif", 1, 1)
        for well in wells
        for z_index in (1, 2)
    )
    channels = (ChannelInfo("1", "DAPI", "uint16", (4, 4)),)
    return PlateIndex(folder, "imagexpress", "imagexpress", images, channels)


@pytest.fixture
def compile_text(tmp_path):
    def compile_(text, plate_wells=WELLS, wells=None, storage="zarr", **others):
        path = tmp_path / "pipeline.yaml"
        path.write_text(text)
        document = load_yaml(path)
        return compile_plate(
            CompileRequest(
                plate="p",
                index=_index(plate_wells, tmp_path),
                wells=wells or plate_wells,
                pipeline=validate(PipelineConfig, document),
                document=document,
                storage=VFSConfig(materialization=storage),
                functions=_Catalogue(),
                **others,
            )
        )

    return compile_


@pytest.fixture
def problems(compile_text):
    def find(text, **settings):
        with pytest.raises(ErrorGroup) as caught:
            compile_text(text, **settings)
        return [str(error) for error in caught.value.members]

    return find


def _steps(*steps):
    return "steps:\n" + "".join(f"  - {{{step}}}\n" for step in steps)


MIXED = "{A01: t:count, A02: t:measure, B01: {t:count: {size: 3}}, B02: t:count}"
TWO_STEPS = _steps(f"name: s, group_by: well, func: {MIXED}", "name: t, func: t:same")


def test_each_well_has_its_own_function_and_equal_ones_share_a_plan(compile_text):
    plate = compile_text(TWO_STEPS)
    own = plate.well_steps["s"]
    assert {well: [f.ref for f in plan.functions] for well, plan in own.items()} == {
        "A01": ["t:count"],
        "A02": ["t:measure"],
        "B01": ["t:count"],
        "B02": ["t:count"],
    }
    assert own["A01"] is own["B02"]
    assert own["B01"].functions[0].parameters == {"size": 3}
    assert all(plan.groups[0].value is None for plan in own.values())
    assert set(plate.well_steps) == {"s"}, "the next step is the same in every well"


def test_another_function_in_one_well_changes_that_wells_plan_file_only(compile_text):
    before = emit_plan_files(compile_text(TWO_STEPS))
    after = emit_plan_files(compile_text(TWO_STEPS.replace("A02: t:measure", "A02: t:same")))
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert changed == {"plan/s/A02.json", "plan/s/sizes.csv.json"}


def test_targets_and_tables_are_those_each_well_gives(compile_text):
    plate = compile_text(TWO_STEPS)
    assert [path for path in plate_targets(plate) if path.startswith("tables/")] == [
        "tables/s/A01.counts.csv",
        "tables/s/A02.sizes.csv",
        "tables/s/B01.counts.csv",
        "tables/s/B02.counts.csv",
        "tables/s/counts.csv",
        "tables/s/sizes.csv",
    ]
    assert [(table.file, table.groups, table.wells) for table in plate.tables] == [
        ("counts.csv", (None,), ("A01", "B01", "B02")),
        ("sizes.csv", (None,), ("A02",)),
    ]
    index = emit_plan_index(CompiledPipeline(results="r", plates=(plate,)))
    assert json.loads(index)["plates"]["p"]["table_wells"] == {
        "s/counts.csv": ["A01", "B01", "B02"],
        "s/sizes.csv": ["A02"],
    }


def _rules(plate):
    """Return, by rule name, its text."""
    text = emit_rules(CompiledPipeline(results="r", plates=(plate,)))
    blocks = re.split(r"^rule ", text, flags=re.MULTILINE)[1:]
    return {block.partition(":")[0]: block for block in blocks}


def _regex(rule, path):
    """Return the pattern that snakemake makes of an output of a rule."""
    section = rule.partition("wildcard_constraints:")[2].partition("    priority")[0]
    names = dict(re.findall(r'(\w+)=(".*"),', section))
    seen = set()

    def part(match):
        name = match[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{ast.literal_eval(names[name])})"

    return re.compile(re.sub(r"\\{(\w+)\\}", part, re.escape(path)))


@pytest.mark.parametrize("storage", ["zarr", "disk"])
def test_a_rule_for_each_set_of_files_and_of_those_wells_alone(compile_text, storage):
    func = "{A01: t:count, A02: t:measure, B01: t:measure, B02: t:count}"
    plate = compile_text(_steps(f"name: s, group_by: well, func: {func}"), storage=storage)
    rules = _rules(plate)
    assert {name for name in rules if "table" not in name} == {
        "s",
        "s__2",
        "s__counts",
        "s__sizes",
        *(["s__store"] if storage == "zarr" else []),
    }
    assert "tables_all_counts_csv" in rules["s"]
    assert "tables_all_sizes_csv" in rules["s__2"]
    well = "{row}{column}" if storage == "zarr" else "{well}"
    for name, wells in (("s", {"A01", "B02"}), ("s__2", {"A02", "B01"})):
        manifest = _regex(rules[name], f"{{plate}}/manifests/s/{well}.json")
        table = _regex(rules[name], f"{{plate}}/tables/s/{well}.x.csv")
        for of in (*WELLS, "AA01", "C01"):
            assert bool(manifest.fullmatch(f"p/manifests/s/{of}.json")) == (of in wells)
            assert bool(table.fullmatch(f"p/tables/s/{of}.x.csv")) == (of in wells)
        if storage == "disk":
            continue
        images = _regex(rules[name], "{plate}/s.ome.zarr/{row}/{column}/zarr.json")
        for of in WELLS:
            found = images.fullmatch(f"p/s.ome.zarr/{of[0]}/{of[1:]}/zarr.json")
            assert bool(found) == (of in wells)


def test_one_rule_where_files_are_the_same(compile_text):
    func = "{A01: t:count, A02: {t:count: {size: 2}}, B01: t:count, B02: [t:same, t:count]}"
    rules = _rules(compile_text(_steps(f"name: s, group_by: well, func: {func}")))
    assert set(rules) == {"s", "s__store", "s__counts"}
    assert 'row="[A-Z]{1,2}"' in rules["s"]
    assert 'plan=lambda w: openhcs_plan("s", w)' in rules["s"]


def test_wells_that_pass_through_and_wells_not_worked_on(compile_text):
    text = _steps(
        "name: s, group_by: well, func: {A01: t:count, B02: t:measure}, passthrough: [A02, B01]"
    )
    plate = compile_text(text, wells=("A01", "A02"))
    assert set(plate.well_steps["s"]) == {"A01", "A02"}
    assert plate.well_steps["s"]["A02"].functions == ()
    assert [table.file for table in plate.tables] == ["counts.csv"]


def test_the_usual_plan_is_that_of_most_wells(compile_text):
    plate = compile_text(TWO_STEPS.replace("B01: {t:count: {size: 3}}", "B01: t:measure"))
    assert [f.ref for f in plate.steps[0].functions] == ["t:count"], (
        "the first of those equally many"
    )
    plate = compile_text(TWO_STEPS.replace("A01: t:count", "A01: t:measure"))
    assert [f.ref for f in plate.steps[0].functions] == ["t:measure"]


def test_overrides_reach_the_function_a_well_has(compile_text, problems):
    text = TWO_STEPS + "overrides:\n  - {wells: [B02], set: {s: {size: 9}}}\n"
    own = compile_text(text).well_steps["s"]
    assert own["B02"].functions[0].parameters == {"size": 9}
    assert own["A01"].functions[0].parameters == {}
    text = text.replace(", B02: t:count}", "}, passthrough: [B02]")
    assert problems(text) == [
        "override of step 's', which one of these wells passes through without a function; "
        "leave that well out"
    ]


def test_projection_in_some_wells_is_known_to_what_follows(compile_text):
    plate = compile_text(
        _steps(
            "name: s, group_by: well, variable_components: [z_index], "
            "func: {A01: t:flat, A02: t:same, B01: t:same, B02: t:same}",
            "name: t, func: t:same",
        )
    )
    stores = {well: plate.step_plan(plate.steps[1], well).store for well in WELLS}
    assert {well: store.z_indices for well, store in stores.items()} == {
        "A01": (1,),
        "A02": (1, 2),
        "B01": (1, 2),
        "B02": (1, 2),
    }
    assert set(plate.well_steps["t"]) == {"A01"}


def test_a_value_that_every_well_gives_is_taken_by_a_step_of_all(compile_text):
    plate = compile_text(
        _steps(
            "name: s, group_by: well, func: {A01: t:find, A02: t:find2, B01: t:find, B02: t:find}",
            "name: u, func: t:use",
        )
    )
    (special,) = plate.steps[1].functions[0].special_inputs
    assert (special.step, special.group) == ("s", None)
    assert "u" not in plate.well_steps
    assert all(
        plan.functions[0].special_outputs[0].is_linked for plan in plate.well_steps["s"].values()
    )
    assert [path for path in plate_targets(plate) if "special" in path] == [
        f"special/s/{well}.spots.zip" for well in WELLS
    ]


def test_a_value_of_some_wells_is_taken_in_these(compile_text, problems):
    steps = (
        "name: s, group_by: well, func: {A01: t:find}, passthrough: [A02, B01, B02]",
        "name: u, group_by: well, func: {A01: t:use}, passthrough: [A02, B01, B02]",
    )
    plate = compile_text(_steps(*steps))
    rules = _rules(plate)
    assert "special/s/" in rules["u"]
    assert "special/s/" not in rules["u__2"]
    assert problems(_steps(steps[0], "name: u, func: t:use")) == [
        "step 'u': special input 'spots' of t:use comes from no function before it; the functions "
        "of step 's' differ by well: give it in these wells too, or write this step's functions "
        "by well and take it where it is given (wells A02, B01, B02)"
    ]


def test_gpu_of_any_well_is_asked_for(compile_text, monkeypatch):
    monkeypatch.setitem(
        FUNCTIONS,
        "t:on_gpu",
        FUNCTIONS["t:on_gpu"].model_copy(update={"output_memory_type": MemoryType.CUPY}),
    )
    func = "{A01: t:same, A02: t:same, B01: t:same, B02: t:on_gpu}"
    steps = _steps(f"name: s, group_by: well, func: {func}")
    plate = compile_text(steps, memory_types=(MemoryType.NUMPY, MemoryType.CUPY))
    assert plate.resources["s"].gpu == 1


@pytest.mark.parametrize(
    ("step", "messages"),
    [
        (
            "func: {A01: t:same, C09: t:same}, passthrough: [A02, B01, B02]",
            ["step 's': well 'C09' is not on the plate; it has well A01, A02, B01, B02"],
        ),
        (
            "func: {A01: t:same}, passthrough: [A02]",
            [
                "step 's': no function for well B01, B02; add one, or list the value under "
                "passthrough"
            ],
        ),
        (
            "func: {A01: t:nope, A02: t:same}, passthrough: [B01, B02]",
            ["step 's': unknown function 't:nope'"],
        ),
        (
            "func: {A01: t:breaks}, passthrough: [A02, B01, B02]",
            [
                "step 's': some of its functions are chain breakers and some are not, so that what "
                "the next step reads is not clear; put them into two steps"
            ],
        ),
        (
            "func: {A01: t:odd, A02: t:odd2}, passthrough: [B01, B02]",
            [
                "step 's': outputs 'counts_a' and 'counts' would write tables/s/counts_a.csv; "
                "put their functions into two steps"
            ],
        ),
        (
            "func: {A01: t:same}, passthrough: [A02, B01, B02], slice_by_slice: true",
            [
                "step 's': slice_by_slice is for functions that take both slices and volumes; "
                "none of this step's does: leave it out"
            ],
        ),
    ],
)
def test_mistakes(problems, step, messages):
    assert problems(_steps(f"name: s, group_by: well, {step}", "name: t, func: t:same")) == messages


def test_slice_by_slice_is_for_the_wells_whose_function_can_do_both(compile_text):
    step = "name: s, group_by: well, slice_by_slice: true"
    plate = compile_text(
        _steps(f"{step}, func: {{A01: t:same, A02: t:both}}, passthrough: [B01, B02]")
    )
    assert plate.well_steps["s"]["A02"].functions[0].slice_by_slice


def test_messages_stay_short_on_a_large_plate(problems):
    wells = tuple(f"{row}{column:02d}" for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25))
    found = problems(
        _steps("name: s, group_by: well, func: {A01: t:same, Q01: t:same}"), plate_wells=wells
    )
    assert len(found) == 2
    assert all("and 37" in text and len(text) < 200 for text in found)


def test_no_well_with_a_function_hides_no_other_mistake(problems):
    found = problems(
        _steps("name: s, group_by: well, func: {C01: t:same}", "name: t, func: t:nope")
    )
    assert len(found) == 3
    assert "step 't': unknown function 't:nope'" in found


def test_entries_in_another_order_are_the_same_pipeline(compile_text):
    by_site = "name: s, group_by: z_index, func: {%s}"
    plans = [
        compile_text(_steps(by_site % order))
        for order in ("'2': t:count, '1': t:measure", "'1': t:measure, '2': t:count")
    ]
    assert plans[0] == plans[1]
    assert [group.value for group in plans[0].steps[0].groups] == ["1", "2"]


def test_wells_with_equal_plans_are_digested_once(compile_text, monkeypatch):
    seen = []
    monkeypatch.setattr(files, "plan_digest", lambda plan: seen.append(plan) or plan_digest(plan))
    wells = tuple(f"A{column:02d}" for column in range(1, 25))
    func = ", ".join(f"{well}: t:{'same' if well > 'A12' else 'count'}" for well in wells)
    plate = compile_text(_steps(f"name: s, group_by: well, func: {{{func}}}"), plate_wells=wells)
    emit_plan_index(CompiledPipeline(results="r", plates=(plate,)))
    assert len([plan for plan in seen if plan in plate.well_steps["s"].values()]) == 2


def test_an_override_of_functions_by_well_has_no_well_among_its_parameters(problems):
    override = "overrides:\n  - {wells: [B01], set: {s: {B01: {size: 4}}}}\n"
    (message,) = problems(TWO_STEPS + override)
    assert "well B01 stands among its parameters; 'wells' says which wells get them" in message
