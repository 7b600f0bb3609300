"""The compiler on the demo plate: plans that are right, and errors before any job."""

from pathlib import Path

import pytest

from openhcs_core.compiler import CompileRequest, compile_plate, find_warnings
from openhcs_core.config import (
    LocatedDocument,
    PipelineConfig,
    StepConfig,
    VFSConfig,
    ZarrConfig,
    load_yaml,
    validate,
)
from openhcs_core.constants import Backend
from openhcs_core.errors import ErrorGroup
from openhcs_core.microscopes import get_handler
from openhcs_core.plan import encode_plan, plan_digest
from openhcs_core.registry import RegistryService

PLATE = Path(__file__).parents[3] / "data/demo/9987_Plate_3434"
FUNCTIONS = RegistryService()

PIPELINE = """
steps:
  - name: clean
    func:
      - openhcs:stack_percentile_normalize: {low_percentile: 2}
      - skimage:filters.gaussian: {sigma: 2}
  - {name: flatten, func: {openhcs:max_projection: {}}, variable_components: [z_index]}
  - name: count
    func:
      "1": {openhcs:count_cells_single_channel: {min_area: 20}}
      FITC: openhcs:measure_intensity
      Texas Red: openhcs:measure_intensity
"""


@pytest.fixture(scope="module")
def index():
    return get_handler("imagexpress", PLATE).index(PLATE)


@pytest.fixture
def compile_text(tmp_path, index):
    def compile_(text, **changes):
        path = tmp_path / "pipeline.yaml"
        path.write_text(text)
        document = load_yaml(path)
        request = {
            "plate": "demo",
            "index": index,
            "wells": index.wells,
            "pipeline": validate(PipelineConfig, document),
            "document": document,
            "storage": VFSConfig(),
            "functions": FUNCTIONS,
        }
        return compile_plate(CompileRequest(**{**request, **changes}))

    return compile_


@pytest.fixture
def problems(compile_text):
    def find(text):
        with pytest.raises(ErrorGroup) as caught:
            compile_text(text)
        return [
            (error.__notes__[0].partition("pipeline.yaml:")[2], str(error))
            for error in caught.value.exceptions
        ]

    return find


def _digests(plan):
    return {step.step_name: plan_digest(step) for step in plan.steps}


def test_wiring_backends_and_kept_steps(compile_text):
    clean, flatten, count = compile_text(PIPELINE).steps
    assert [step.source for step in (clean, flatten, count)] == [None, "clean", "flatten"]
    assert [step.read_backend for step in (clean, flatten, count)] == [
        Backend.VIRTUAL_WORKSPACE,
        Backend.DISK,
        Backend.DISK,
    ]
    assert [step.write_backend for step in (clean, flatten, count)] == [
        Backend.DISK,
        Backend.DISK,
        Backend.ZARR,
    ]
    assert [step.store is not None for step in (clean, flatten, count)] == [False, False, True]


def test_kept_store_has_scale_channels_and_axes(compile_text):
    store = compile_text(PIPELINE).steps[2].store
    assert store.scale_um == (3.0, 1.3672, 1.3672)
    assert store.channels == {"1": "DAPI", "2": "FITC", "3": "Texas Red"}
    assert (store.sites, store.z_indices, store.timepoints) == ((1, 2), (1,), (1,))


def test_defaults_fixed_values_and_plate_values_are_in_the_plan(compile_text):
    clean, _, count = compile_text(PIPELINE).steps
    normalize, gaussian = clean.groups[0].functions
    assert normalize.parameters["low_percentile"] == 2
    assert normalize.parameters["high_percentile"] == 99.0
    assert gaussian.parameters["preserve_range"] is True
    assert count.groups[0].functions[0].parameters["pixel_size_um"] == 1.3672
    assert set(gaussian.versions) == {"numpy", "scikit-image", "scipy"}


def test_2d_along_sites_and_volumes_along_z_only(compile_text):
    text = (
        "steps:\n"
        "  - {name: a, func: skimage:filters.gaussian}\n"
        "  - {name: b, func: skimage:filters.gaussian, variable_components: [z_index]}\n"
        "  - {name: c, func: skimage:filters.gaussian, variable_components: [z_index],"
        " slice_by_slice: true}\n"
    )
    steps = compile_text(text).steps
    assert [step.groups[0].functions[0].slice_by_slice for step in steps] == [True, False, True]


def test_channel_names_and_ids_mean_the_same(compile_text):
    by_name = compile_text(PIPELINE)
    by_id = compile_text(PIPELINE.replace("FITC:", '"2":').replace("Texas Red:", '"3":'))
    assert by_name == by_id


def test_digest_ignores_key_order_and_comments_and_written_defaults(compile_text):
    text = PIPELINE.replace("{low_percentile: 2}", "{high_percentile: 99.0, low_percentile: 2}")
    assert _digests(compile_text("# a comment\n" + text)) == _digests(compile_text(PIPELINE))


def test_a_parameter_changes_its_step_alone(compile_text):
    before = _digests(compile_text(PIPELINE))
    after = _digests(compile_text(PIPELINE.replace("min_area: 20", "min_area: 40")))
    assert {step for step in before if before[step] != after[step]} == {"count"}


def test_resources_are_apart_from_the_digest(compile_text):
    more = PIPELINE.replace("- name: clean", "- name: clean\n    resources: {mem_mb: 9999}")
    plan = compile_text(more)
    assert plan.resources["clean"].mem_mb == 9999
    assert _digests(plan) == _digests(compile_text(PIPELINE))


def test_same_input_same_bytes(compile_text):
    first, second = compile_text(PIPELINE), compile_text(PIPELINE)
    assert [encode_plan(step) for step in first.steps] == [
        encode_plan(step) for step in second.steps
    ]


def test_overrides_change_one_well_of_one_step(compile_text):
    text = PIPELINE + (
        "overrides:\n"
        '  - {plates: [demo], wells: [B02], set: {count: {"1": {min_area: 40}}}}\n'
        "  - {plates: [other], wells: [B02], set: {count: {DAPI: {min_area: 50}}}}\n"
        "  - {wells: [B02], set: {clean: {skimage:filters.gaussian: {sigma: 5}}}}\n"
    )
    plan = compile_text(text)
    assert {step: set(wells) for step, wells in plan.well_steps.items()} == {
        "clean": {"B02"},
        "count": {"B02"},
    }
    assert plan.well_steps["count"]["B02"].groups[0].functions[0].parameters["min_area"] == 40
    assert plan.well_steps["clean"]["B02"].groups[0].functions[1].parameters["sigma"] == 5
    assert _digests(plan) == _digests(compile_text(PIPELINE))


def test_passthrough_and_pipeline_start(compile_text):
    plan = compile_text(
        "steps:\n"
        "  - {name: a, func: {DAPI: openhcs:tophat}, passthrough: [FITC, '3']}\n"
        "  - {name: b, func: openhcs:measure_intensity, input_source: pipeline_start}\n"
    )
    assert [(group.value, len(group.functions)) for group in plan.steps[0].groups] == [
        ("1", 1),
        ("2", 0),
        ("3", 0),
    ]
    assert plan.steps[1].source is None
    assert plan.steps[0].store is not None, "nothing reads step a: it is kept"


def test_channels_can_be_projected_without_a_component_dict(compile_text):
    plan = compile_text(
        "steps:\n  - {name: a, func: openhcs:max_projection, variable_components: [channel]}\n"
    )
    assert plan.steps[0].store.channels == {"1": "DAPI"}


@pytest.fixture
def warnings(index):
    document = LocatedDocument("pipeline.yaml", {}, {})

    def find(func, zarr=None, **settings):
        steps = (StepConfig(name="s", func=func, **settings),)
        request = CompileRequest(
            plate="demo",
            index=index,
            wells=index.wells,
            pipeline=PipelineConfig(steps=steps),
            document=document,
            storage=VFSConfig(zarr=zarr or ZarrConfig()),
            functions=FUNCTIONS,
        )
        return find_warnings(compile_plate(request), request)

    return find


def test_fields_too_large_for_one_file_are_said_before_the_run(warnings):
    whole = {"variable_components": ("z_index",)}
    assert warnings("openhcs:max_projection", ZarrConfig(max_shard_mb=2), **whole) == ()
    (text,) = warnings(
        "openhcs:max_projection", ZarrConfig(max_shard_mb=1), output_dtype="float64", **whole
    )
    assert text.startswith("kept images of step 's': a field of 3 planes of ")
    assert "float64 is 2 MB, over the 1 of storage.zarr.max_shard_mb" in text
    assert text.endswith("it gets 3 files instead of one")
    by_plane = ZarrConfig(max_shard_mb=1, chunk_strategy="FILE")
    assert not warnings("openhcs:max_projection", by_plane, output_dtype="float64", **whole)


def test_kept_channels_with_fewer_z_are_warned_about(warnings):
    assert warnings("openhcs:max_projection", variable_components=("z_index",)) == ()
    ragged = warnings("openhcs:tophat")
    assert [text.split(": ")[1] for text in ragged] == [
        "channel 2 (FITC) has no z 2; viewers show these planes black",
        "channel 3 (Texas Red) has no z 2; viewers show these planes black",
    ]
    some = {"2": "openhcs:max_projection", "3": "openhcs:max_projection"}
    assert (
        len(warnings({"1": "openhcs:max_projection", **some}, variable_components=("z_index",)))
        == 0
    )
    assert len(warnings({"1": "openhcs:tophat", **some}, variable_components=("z_index",))) == 2


def test_plate_tables(compile_text):
    plan = compile_text(PIPELINE)
    assert [(t.step_name, t.output, t.suffix, t.groups) for t in plan.tables] == [
        ("count", "cell_counts", ".csv", ("1",)),
        ("count", "intensities", ".csv", ("2", "3")),
    ]


def test_step_plan_as_dict_has_the_specified_keys(compile_text):
    count = compile_text(PIPELINE).steps[2].as_dict("B02")
    assert count["step_name"] == "count"
    assert count["well_id"] == "B02"
    assert count["read_backend"] == "disk"
    assert count["write_backend"] == "zarr"
    assert count["zarr_config"]["chunk_strategy"] == "WELL"
    assert set(count) >= {
        "step_type",
        "input_dir",
        "output_dir",
        "input_memory_type",
        "output_memory_type",
        "gpu_id",
        "func",
        "variable_components",
        "group_by",
        "special_inputs",
        "special_outputs",
        "force_disk_output",
        "visualize",
    }


@pytest.mark.parametrize(
    ("step", "place", "text"),
    [
        (
            "func: openhcs:max_projectoin",
            "2 steps[0].func",
            "step 'x': unknown function 'openhcs:max_projectoin'; did you mean "
            "'openhcs:max_projection'?",
        ),
        (
            "func: opencv:blur",
            "2 steps[0].func",
            "step 'x': unknown library 'opencv'; known: openhcs, skimage",
        ),
        (
            "func: {openhcs:tophat: {selem_radus: 3}}",
            "2 steps[0].func.openhcs:tophat.selem_radus",
            "step 'x': openhcs:tophat: unknown parameter 'selem_radus'; "
            "did you mean 'selem_radius'?",
        ),
        (
            "func: {openhcs:tophat: {selem_radius: much}}",
            "2 steps[0].func.openhcs:tophat.selem_radius",
            "step 'x': openhcs:tophat: parameter 'selem_radius': 'much' is not of type 'integer'",
        ),
        (
            "func: {skimage:filters.gaussian: {sigma: much}}",
            "2 steps[0].func.skimage:filters.gaussian.sigma",
            "parameter 'sigma': 'much' is not of type 'number', 'array'",
        ),
        (
            "func: {openhcs:stack_percentile_normalize: {low_percentile: 101}}",
            "2 steps[0].func.openhcs:stack_percentile_normalize.low_percentile",
            "parameter 'low_percentile': 101 is greater than the maximum of 100",
        ),
        (
            "func: {DAPI: openhcs:tophat}",
            "2 steps[0].func",
            "step 'x': no function for channel 2 (FITC), 3 (Texas Red); add one, or list the "
            "value under passthrough",
        ),
        (
            "func: {DAPY: openhcs:tophat}, passthrough: ['1', '2', '3']",
            "2 steps[0].func.DAPY",
            "step 'x': channel 'DAPY' is not on the plate; it has channel 1 (DAPI), 2 (FITC), "
            "3 (Texas Red)",
        ),
        (
            "func: {DAPI: openhcs:tophat, '1': openhcs:tophat}, passthrough: ['2', '3']",
            "2 steps[0].func.1",
            "step 'x': channel '1' is named twice (by id and by name); keep one of them",
        ),
        (
            "func: {DAPI: openhcs:tophat}, passthrough: ['2', '3', GFP]",
            "2 steps[0].func",
            "passthrough names channel 'GFP', which is not on the plate",
        ),
        (
            "func: {DAPI: openhcs:tophat}, passthrough: ['2', '3'], variable_components: [channel]",
            "2 steps[0].variable_components",
            "channel cannot be both group_by and one of the variable_components",
        ),
        (
            "func: {DAPI: openhcs:tophat}, passthrough: ['1', '2', '3']",
            "2 steps[0].func",
            "channel '1' has a function and stands under passthrough too; keep one of them",
        ),
        (
            "func: openhcs:tophat, passthrough: ['2', '3']",
            "2 steps[0].passthrough",
            "passthrough needs functions by channel, such as {DAPI: openhcs:tophat}",
        ),
        (
            "func: openhcs:tophat, slice_by_slice: true",
            "2 steps[0].slice_by_slice",
            "slice_by_slice is for functions that take both slices and volumes",
        ),
        (
            "func: [openhcs:measure_intensity, openhcs:measure_intensity]",
            "2 steps[0].func",
            "two functions would write tables/x/WELL.intensities.csv; "
            "split the chain into two steps",
        ),
    ],
)
def test_mistakes_of_a_step(problems, step, place, text):
    found = problems(f"steps:\n  - {{name: x, {step}}}\n")
    assert [where for where, _ in found] == [place]
    assert text in found[0][1]


def test_all_mistakes_of_a_pipeline_at_once(problems):
    found = problems(
        "steps:\n"
        "  - {name: a, func: openhcs:nothing}\n"
        "  - {name: a, func: {openhcs:tophat: {selem_radius: -1, x: 1}}}\n"
        "  - {name: c, func: 5:6:7}\n"
    )
    assert [place.split()[0] for place, _ in found] == ["2", "3", "3", "3", "4"]


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("{wells: [H12], set: {flatten: {}}}", "override for well H12, which plate 'demo' does"),
        ("{wells: [B02], set: {flaten: {}}}", "override of step 'flaten', which does not exist"),
        ("{wells: [B02], set: {count: {'9': {}}}}", "it has no function for '9'"),
        ("{wells: [B02], set: {count: {'1': 3}}}", "expected parameters such as"),
        ("{wells: [B02], set: {count: {'1': {min_aria: 3}}}}", "did you mean 'min_area'?"),
        ("{wells: [B02], set: {clean: {sigma: 3}}}", "several functions; name the one to change"),
        ("{wells: [B02], set: {clean: {openhcs:x: {}}}}", "expected one of openhcs:stack_perc"),
    ],
)
def test_mistakes_of_overrides(problems, override, text):
    found = problems(f"{PIPELINE}overrides:\n  - {override}\n")
    assert len(found) == 1
    assert text in found[0][1]
    assert "overrides[0]" in found[0][0]


@pytest.mark.parametrize("wrong", ["openhcs:max_projectoin", "[]"])
def test_a_wrong_step_does_not_make_the_next_one_wrong(problems, wrong):
    found = problems(
        "steps:\n"
        f"  - {{name: a, func: {wrong!r}, variable_components: [channel]}}\n"
        '  - {name: b, func: {"1": openhcs:tophat}}\n'
        "  - {name: c, func: {openhcs:tophat: {selem: 3}}}\n"
    )
    assert [place for place, _ in found] == [
        "2 steps[0].func",
        "4 steps[2].func.openhcs:tophat.selem",
    ]


def test_a_step_is_kept_by_the_backend_it_names(compile_text):
    text = (
        "steps:\n"
        "  - {name: a, func: openhcs:tophat, materialize: {backend: disk}}\n"
        "  - {name: b, func: openhcs:tophat, keep: true}\n"
        "  - {name: c, func: openhcs:tophat}\n"
        "  - {name: d, func: openhcs:tophat, materialize: {backend: zarr}}\n"
    )
    for storage, of_b in (("zarr", Backend.ZARR), ("disk", Backend.DISK)):
        plan = compile_text(text, storage=VFSConfig(materialization=storage))
        stores = [step.store and step.store.backend for step in plan.steps]
        assert stores == [Backend.DISK, of_b, None, Backend.ZARR]
        read = [(step.read_backend, step.reads_kept) for step in plan.steps]
        assert read == [
            (Backend.VIRTUAL_WORKSPACE, False),
            (Backend.DISK, True),
            (of_b, True),
            (Backend.DISK, False),
        ]
