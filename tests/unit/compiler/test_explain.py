"""Where values come from, as a compiled config says it, and what defaults do to steps."""

from pathlib import Path

import pytest

from openhcs_core.compiler import CompileRequest, explain_plate
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.errors import ErrorGroup
from openhcs_core.plan import encode_plan
from openhcs_core.session import compile_workflow
from openhcs_core.testing.plates import write_imagexpress_plate

CONFIG = "plates:\n  demo: {path: plate}\n"
TWO_PLATES = """plates:
  demo: {path: plate}
  other:
    path: plate
    defaults: {keep: true}
    storage: {materialization: disk}
"""
SMOOTH = """steps:
  - {name: smooth, func: {skimage:filters.gaussian: {sigma: 2}}}
  - {name: flat, func: openhcs:max_projection, variable_components: [site]}
  - {name: count, func: openhcs:count_cells_single_channel}
"""


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("levels") / "plate"
    write_imagexpress_plate(folder, [1, 2, 3])
    return folder


@pytest.fixture
def compile_(plate, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("plate").symlink_to(plate)
    Path("config").mkdir()

    def compile_with(pipeline, config=CONFIG):
        Path("config/config.yaml").write_text(config)
        Path("config/pipeline.yaml").write_text(pipeline)
        return compile_workflow("config/config.yaml")

    return compile_with


@pytest.fixture
def problems(compile_):
    def find(pipeline, config=CONFIG):
        with pytest.raises(ErrorGroup) as caught:
            compile_(pipeline, config)
        return [(error.__notes__, str(error)) for error in caught.value.members]

    return find


def _explain(compilation, number=0, **choice):
    return explain_plate(
        compilation.compiled.plates[number], compilation.requests[number], **choice
    )


def _settings(step):
    return {value.name: (value.value, value.origin, value.note) for value in step.settings}


def test_a_value_moved_to_defaults_leaves_plan_files_as_they_are(compile_):
    own = "keep: true, output_dtype: float32, resources: {mem_mb: 700}"
    steps = compile_(SMOOTH.replace("}\n", f", {own}}}\n")).files
    plans = {path for path in steps if "/plan/" in path}
    assert plans
    for pipeline, config in (
        (f"defaults: {{{own}}}\n{SMOOTH}", CONFIG),
        (SMOOTH, f"{CONFIG}defaults: {{{own}}}\n"),
        (SMOOTH, f"plates:\n  demo: {{path: plate, defaults: {{{own}}}}}\n"),
    ):
        assert compile_(pipeline, config).files == steps


def test_plates_may_differ_in_what_is_kept_and_how(compile_):
    demo, other = compile_(SMOOTH, TWO_PLATES).compiled.plates
    assert [step.store and step.store.backend for step in demo.steps] == [None, None, "zarr"]
    assert [step.store and step.store.backend for step in other.steps] == ["disk"] * 3
    assert encode_plan(demo.steps[0]) != encode_plan(other.steps[0])


def test_a_backend_of_a_step_is_stronger_than_any_storage(compile_):
    pipeline = "storage: {materialization: disk}\n" + SMOOTH.replace(
        "name: smooth,", "name: smooth, materialize: {backend: zarr},"
    )
    compilation = compile_(pipeline)
    smooth, _, count = _explain(compilation).steps
    assert (smooth.kept_as, count.kept_as) == ("zarr", "disk")
    where = "config/pipeline.yaml:3 steps[0].materialize.backend"
    assert _settings(smooth)["materialize.backend"] == ("zarr", where, "")
    assert "storage.materialization" not in _settings(smooth)
    assert _settings(count)["storage.materialization"][:2] == (
        "disk",
        "config/pipeline.yaml:1 storage.materialization",
    )
    assert "storage.zarr.compressor" in _settings(smooth)
    assert "storage.zarr.compressor" not in _settings(count)


def test_slice_by_slice_of_defaults_is_for_functions_that_can_do_both(compile_):
    compilation = compile_("defaults: {slice_by_slice: false}\n" + SMOOTH)
    smooth, flat, count = _explain(compilation).steps
    assert not smooth.groups[0].functions[0].slice_by_slice
    assert _settings(smooth)["slice_by_slice"][2] == ""
    assert _settings(flat)["slice_by_slice"][2].startswith("not used: ")
    assert count.groups[0].functions[0].ref == "openhcs:count_cells_single_channel"


def test_slice_by_slice_of_a_step_itself_has_to_make_sense(problems):
    text = SMOOTH.replace("name: flat,", "name: flat, slice_by_slice: true,")
    (((place,), message),) = problems("defaults: {slice_by_slice: false}\n" + text)
    assert place == "config/pipeline.yaml:4 steps[1].slice_by_slice"
    assert "leave it out" in message


BY_CHANNEL = "{name: s, func: {'1': openhcs:tophat, '2': openhcs:tophat}"


@pytest.mark.parametrize(
    ("config", "pipeline", "places"),
    [
        (
            CONFIG + "defaults:\n  variable_components: [channel]\n",
            f"steps:\n  - {BY_CHANNEL}}}\n",
            ["config/config.yaml:4 defaults.variable_components"],
        ),
        (
            CONFIG,
            f"defaults: {{group_by: site}}\nsteps:\n  - {BY_CHANNEL}}}\n",
            ["config/pipeline.yaml:1 defaults.group_by"],
        ),
        (
            "plates:\n  demo: {path: plate, defaults: {variable_components: [channel]}}\n",
            f"steps:\n  - {BY_CHANNEL}, group_by: channel}}\n",
            [
                "config/config.yaml:2 plates.demo.defaults.variable_components",
                "config/pipeline.yaml:2 steps[0].group_by",
            ],
        ),
    ],
)
def test_defaults_that_contradict_a_step_are_named_by_their_own_place(
    problems, config, pipeline, places
):
    found = {tuple(notes): text for notes, text in problems(pipeline, config)}
    assert "cannot be both group_by and one" in found[tuple(places)]


def test_a_wrong_config_may_hold_what_makes_a_pipeline_right(problems):
    pipeline = f"steps:\n  - {BY_CHANNEL}, variable_components: [channel]}}\n"
    config = CONFIG + "colour: blue\n"
    assert len(problems(pipeline, config)) == 2
    assert len(problems(pipeline, config + "defaults: {group_by: site}\n")) == 1


def test_parameters_come_from_function_plate_and_file(compile_):
    counting = "openhcs:count_cells_single_channel"
    text = SMOOTH.replace(counting, f"{{{counting}: {{min_area: 7}}}}")
    (count,) = _explain(compile_(text), step="count").steps
    (function,) = count.groups[0].functions
    found = {value.name: (value.value, value.origin) for value in function.parameters}
    assert found["min_area"][0] == 7
    assert found["min_area"][1].startswith("config/pipeline.yaml:4 steps[2].func.")
    assert found["threshold_method"][1] == "default of the function"
    assert found["pixel_size_um"][1] == "plate metadata"


OVERRIDES = """overrides:
  - {wells: [A02, A03], set: {smooth: {sigma: 5}}}
  - {wells: [A03], set: {smooth: {sigma: 6, truncate: 3}}}
"""


def test_overrides_stand_beside_what_all_other_wells_have(compile_):
    (step,) = _explain(compile_(SMOOTH + OVERRIDES), step="smooth").steps
    rows = [
        (value.name, value.value, value.origin, value.wells)
        for value in step.groups[0].functions[0].parameters
        if value.name in ("sigma", "truncate")
    ]
    base = "config/pipeline.yaml:2 steps[0].func.skimage:filters.gaussian.sigma"
    assert rows == [
        ("sigma", 2, base, ()),
        ("sigma", 5, "config/pipeline.yaml:6 overrides[0].set.smooth.sigma", ("A02",)),
        ("sigma", 6, "config/pipeline.yaml:7 overrides[1].set.smooth.sigma", ("A03",)),
        ("truncate", 4.0, "default of the function", ()),
        ("truncate", 3, "config/pipeline.yaml:7 overrides[1].set.smooth.truncate", ("A03",)),
    ]


@pytest.mark.parametrize(("well", "sigma"), [("A01", 2), ("A02", 5), ("A03", 6)])
def test_one_well_has_its_own_values_alone(compile_, well, sigma):
    explained = _explain(compile_(SMOOTH + OVERRIDES), step="smooth", well=well)
    (function,) = explained.steps[0].groups[0].functions
    assert [value.value for value in function.parameters if value.name == "sigma"] == [sigma]
    assert all(value.wells == () for value in function.parameters)


def test_what_is_explained_is_what_is_planned(compile_):
    compilation = compile_("defaults: {keep: true}\n" + SMOOTH + OVERRIDES)
    plan = compilation.compiled.plates[0]
    for well in plan.wells:
        for step, explained in zip(plan.steps, _explain(compilation, well=well).steps, strict=True):
            planned = [
                function.parameters
                for group in plan.step_plan(step, well).groups
                for function in group.functions
            ]
            assert planned == [
                {value.name: value.value for value in function.parameters}
                for group in explained.groups
                for function in group.functions
            ]


def test_a_job_asks_for_what_is_given_or_predicted(compile_):
    compilation = compile_("defaults: {resources: {runtime: 90}}\n" + SMOOTH)
    settings = _settings(_explain(compilation).steps[0])
    mem_mb = compilation.compiled.plates[0].resources["smooth"].mem_mb
    assert settings["resources.mem_mb"] == (mem_mb, "predicted", "")
    assert settings["resources.runtime"][:2] == (
        90,
        "config/pipeline.yaml:1 defaults.resources.runtime",
    )


def test_what_is_kept_without_being_asked_says_why(compile_):
    text = SMOOTH.replace("name: smooth,", "name: smooth, materialize: {backend: zarr},")
    smooth, flat, count = map(_settings, _explain(compile_(text)).steps)
    assert smooth["keep"] == (False, "default", "kept all the same: see materialize")
    assert flat["keep"] == (False, "default", "")
    assert count["keep"] == (False, "default", "kept all the same: no later step reads them")


def test_pipelines_in_python_have_defaults_and_storage_too(compile_, plate):
    Path("config/p.py").write_text(
        "from openhcs_core.pipeline import FunctionStep\n"
        "pipeline_defaults = {'keep': True}\n"
        "pipeline_storage = {'materialization': 'disk'}\n"
        "pipeline_steps = [FunctionStep(func='max_projection', name='flat')]\n"
    )
    config = CONFIG + "pipeline: config/p.py\n"
    (flat,) = _explain(compile_("steps: []\n", config)).steps
    assert flat.kept_as == "disk"
    assert _settings(flat)["keep"] == (True, "config/p.py:2 defaults.keep", "")
    assert _settings(flat)["storage.materialization"][1].startswith("config/p.py:3 ")


def test_the_config_of_an_openhcs_pipeline_is_named_by_its_line(compile_):
    Path("config/p.py").write_text(
        "from openhcs.core.steps.function_step import FunctionStep\n"
        "from openhcs.core.config import PipelineConfig, ProcessingConfig\n"
        "pipeline_config = PipelineConfig(\n"
        "    processing_config=ProcessingConfig(variable_components=['z_index']))\n"
        "pipeline_steps = [\n"
        "    FunctionStep(func='max_projection', name='flat'),\n"
        "    FunctionStep(func='max_projection', name='b', variable_components=['site'])]\n"
    )
    flat, b = _explain(compile_("steps: []\n", CONFIG + "pipeline: config/p.py\n")).steps
    assert _settings(flat)["variable_components"][:2] == (
        ["z_index"],
        "config/p.py:3 steps[0].variable_components",
    )
    assert _settings(b)["variable_components"][1].startswith("config/p.py:7 ")


def test_a_request_with_unresolved_settings_is_refused(compile_, tmp_path):
    request = compile_(SMOOTH).requests[0]
    path = tmp_path / "unresolved.yaml"
    path.write_text("defaults: {keep: true}\n" + SMOOTH)
    document = load_yaml(path)
    with pytest.raises(ValueError, match="resolve_pipeline"):
        CompileRequest(
            plate="demo",
            index=request.index,
            wells=request.wells,
            pipeline=validate(PipelineConfig, document),
            document=document,
            storage=VFSConfig(),
            functions=request.functions,
        )
