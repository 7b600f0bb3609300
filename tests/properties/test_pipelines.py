"""Any pipeline compiles or is refused with its place; a change to it is never swallowed."""

import copy
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from openhcs_core.compiler import (
    CompileRequest,
    PipelineCompiler,
    PipelineOrchestrator,
    compile_plate,
)
from openhcs_core.config import PipelineConfig, VFSConfig, load_yaml, validate
from openhcs_core.errors import ErrorGroup
from openhcs_core.microscopes import get_handler
from openhcs_core.pipeline import ProcessingContext
from openhcs_core.plan import PlatePlan, encode_plan
from openhcs_core.registry import RegistryService

PLATE = Path(__file__).parents[2] / "data/demo/9987_Plate_3434"
INDEX = get_handler("imagexpress", PLATE).index(PLATE)
FUNCTIONS = RegistryService()
COMPONENTS = ("site", "channel", "z_index", "timepoint")
CHANNELS = ("1", "DAPI", "2", "FITC", "3", "Texas Red")

_sigma = st.integers(1, 9)
_images = st.one_of(
    _sigma.map(lambda sigma: {"skimage:filters.gaussian": {"sigma": sigma}}),
    st.integers(1, 60).map(lambda radius: {"openhcs:tophat": {"selem_radius": radius}}),
    st.integers(0, 40).map(
        lambda low: {"openhcs:stack_percentile_normalize": {"low_percentile": low}}
    ),
)
_measures = st.one_of(
    st.just("openhcs:measure_intensity"),
    st.integers(1, 90).map(lambda area: {"openhcs:count_cells_single_channel": {"min_area": area}}),
)
_chains = (
    st.tuples(st.lists(_images, max_size=2), st.lists(_measures, max_size=1))
    .map(lambda parts: parts[0] + parts[1])
    .filter(bool)
)
_by_channel = st.fixed_dictionaries({"1": _chains, "FITC": _chains, "3": _chains})
_keys = st.fixed_dictionaries(
    {},
    optional={
        "variable_components": st.lists(st.sampled_from(COMPONENTS[:1]), min_size=1, max_size=1),
        "keep": st.booleans(),
        "output_dtype": st.sampled_from(["uint16", "float32", "float64"]),
        "input_source": st.sampled_from(["previous", "pipeline_start"]),
    },
)
_steps = st.tuples(st.one_of(_chains, _by_channel), _keys).map(
    lambda parts: {"func": parts[0], **parts[1]}
)


def _named(steps):
    return {"steps": [{"name": f"step {number}", **step} for number, step in enumerate(steps)]}


valid_pipelines = st.lists(_steps, min_size=1, max_size=4).map(_named)

_anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.sampled_from([*CHANNELS, *COMPONENTS])
    | st.sampled_from(["openhcs:max_projection", "openhcs:tophat", "x:y", "", "{}", "å"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*CHANNELS, "openhcs:tophat", "sigma", "func"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def _request(pipeline):
    """Ask for what would stand in a pipeline file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pipeline.yaml")
        with path.open("w", encoding="utf-8") as stream:
            YAML(typ="safe").dump(pipeline, stream)
        document = load_yaml(path)
        return CompileRequest(
            plate="demo",
            index=INDEX,
            wells=INDEX.wells,
            pipeline=validate(PipelineConfig, document),
            document=document,
            storage=VFSConfig(),
            functions=FUNCTIONS,
        )


def _compile(pipeline):
    return compile_plate(_request(pipeline))


def _assert_readable(group):
    assert group.exit_code == 2
    for error in group.members:
        assert str(error)
        assert "pipeline.yaml:" in error.__notes__[0]


@settings(max_examples=60)
@given(valid_pipelines)
def test_a_valid_pipeline_compiles_and_always_to_the_same_plan(pipeline):
    plan = _compile(pipeline)
    assert isinstance(plan, PlatePlan)
    assert [step.step_name for step in plan.steps] == [step["name"] for step in pipeline["steps"]]
    assert encode_plan(plan) == encode_plan(_compile(copy.deepcopy(pipeline)))
    assert plan.steps[-1].store is not None, "what nothing reads is kept"


PHASES = (
    PipelineCompiler.declare_zarr_stores_for_context,
    PipelineCompiler.plan_materialization_flags_for_context,
    PipelineCompiler.validate_memory_contracts_for_context,
    PipelineCompiler.assign_gpu_resources_for_context,
)


@settings(max_examples=25)
@given(valid_pipelines, st.sampled_from(INDEX.wells))
def test_the_phases_of_a_context_come_to_the_plans_of_the_plate(pipeline, well):
    request = _request(pipeline)
    context = ProcessingContext(None, well)
    orchestrator = PipelineOrchestrator("demo", INDEX, INDEX.wells, FUNCTIONS)
    steps, _ = PipelineCompiler.initialize_step_plans_for_context(
        context, request.pipeline.steps, orchestrator
    )
    for phase in PHASES:
        phase(context, steps, orchestrator)
    plan = compile_plate(request)
    assert list(context.step_plans.values()) == [
        step.as_dict(well, resources=plan.resources[step.step_name]) for step in plan.steps
    ]


def _misspell(step):
    step["fnc"] = step.pop("func")


def _first_call(func):
    while not isinstance(func, str):
        if isinstance(func, dict) and any(":" in key for key in func):
            return func
        func = next(iter(func.values())) if isinstance(func, dict) else func[0]
    return None


def _unknown_function(step):
    step["func"] = (
        [step["func"], "openhcs:no_such"]
        if not isinstance(step["func"], list)
        else [
            *step["func"],
            "openhcs:no_such",
        ]
    )


REFUSED = {
    "misspelt key": _misspell,
    "no name": lambda step: step.pop("name"),
    "unknown function": _unknown_function,
    "empty function": lambda step: step.update(func=[]),
    "well stacked": lambda step: step.update(variable_components=["well"]),
    "unknown dtype": lambda step: step.update(output_dtype="float8"),
    "unknown channel": lambda step: step.update(func={"Cy7": "openhcs:tophat"}),
    "parameter of the wrong type": lambda step: step.update(
        func={"skimage:filters.gaussian": {"sigma": "much"}}
    ),
}
NOTICED = {
    "renamed": lambda step: step.update(name="another"),
    "other function": lambda step: step.update(func={"skimage:filters.median": {}}),
    "other parameter": lambda step: step.update(func={"skimage:filters.gaussian": {"sigma": 77}}),
    "other dtype": lambda step: step.update(output_dtype="int32"),
    "other stacking": lambda step: step.update(variable_components=["timepoint"]),
}


@pytest.mark.parametrize("mutation", REFUSED)
@settings(max_examples=12)
@given(pipeline=valid_pipelines, data=st.data())
def test_a_mistake_in_any_step_is_refused_with_its_place(mutation, pipeline, data):
    step = data.draw(st.sampled_from(range(len(pipeline["steps"]))))
    REFUSED[mutation](pipeline["steps"][step])
    with pytest.raises(ErrorGroup) as caught:
        _compile(pipeline)
    _assert_readable(caught.value)
    assert any(f"steps[{step}]" in error.__notes__[0] for error in caught.value.members)


@pytest.mark.parametrize("mutation", NOTICED)
@settings(max_examples=12)
@given(pipeline=valid_pipelines, data=st.data())
def test_a_change_of_any_step_changes_its_plan(mutation, pipeline, data):
    before = _compile(copy.deepcopy(pipeline))
    step = data.draw(st.sampled_from(range(len(pipeline["steps"]))))
    NOTICED[mutation](pipeline["steps"][step])
    assert _compile(pipeline).steps[step] != before.steps[step]


@settings(max_examples=150)
@given(
    valid_pipelines,
    st.sampled_from(["name", "func", "variable_components", "group_by", "passthrough", "keep"]),
    _anything,
)
def test_anything_at_all_compiles_or_is_refused_with_its_place(pipeline, key, value):
    pipeline["steps"][0][key] = value
    try:
        _compile(pipeline)
    except ErrorGroup as group:
        _assert_readable(group)
