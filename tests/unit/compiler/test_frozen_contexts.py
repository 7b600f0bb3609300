"""The plans of a context that is frozen: plain data, which nobody changes."""

import copy
import json
import pickle
from pathlib import Path

import pytest

from openhcs_core.compiler import PipelineCompiler, PipelineOrchestrator, PipelinePathPlanner
from openhcs_core.errors import FrozenContextError
from openhcs_core.microscopes import get_handler
from openhcs_core.pipeline import FunctionStep, ProcessingContext
from openhcs_core.registry import RegistryService

PLATE = Path(__file__).parents[3] / "data/demo/9987_Plate_3434"
STEPS = [
    FunctionStep(func=("skimage:filters.gaussian", {"sigma": 1}), name="smooth"),
    FunctionStep(func="max_projection", name="flatten", variable_components=["z_index"]),
    FunctionStep(func="measure_intensity", name="measure"),
]
PHASES = [
    PipelineCompiler.declare_zarr_stores_for_context,
    PipelineCompiler.plan_materialization_flags_for_context,
    PipelineCompiler.validate_memory_contracts_for_context,
    PipelineCompiler.assign_gpu_resources_for_context,
]


@pytest.fixture(scope="module")
def frozen():
    index = get_handler("imagexpress", PLATE).index(PLATE)
    context = ProcessingContext(None, "B02")
    functions = RegistryService()
    orchestrator = PipelineOrchestrator("demo", index=index, wells=index.wells, functions=functions)
    PipelineCompiler.initialize_step_plans_for_context(context, STEPS, orchestrator)
    for phase in PHASES:
        phase(context, STEPS, orchestrator)
    context.freeze()
    return context, orchestrator


def test_a_frozen_context_refuses_attributes_and_phases(frozen):
    context, orchestrator = frozen
    before = copy.deepcopy(context.step_plans)
    for name in ("well_id", "step_plans", "required_visualizers", "anything"):
        with pytest.raises(FrozenContextError, match=f"'{name}' cannot be changed"):
            setattr(context, name, "x")
    with pytest.raises(AttributeError, match="well 'B02' is frozen: 'well_id'"):
        del context.well_id
    phases = [*PHASES, PipelinePathPlanner.prepare_pipeline_paths]
    for phase in [PipelineCompiler.initialize_step_plans_for_context, *phases]:
        with pytest.raises(FrozenContextError, match="'step_plans' cannot be changed"):
            phase(context, STEPS, orchestrator)
    assert context.step_plans == before


def _set_parameter(plans):
    plans[0]["func"][0]["functions"][0]["parameters"]["sigma"] = 9


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda plans: plans.update({0: {}}), "step_plans cannot"),
        (lambda plans: plans.clear(), "step_plans cannot"),
        (lambda plans: plans.__setitem__(0, {}), r"step_plans\[0\] cannot"),
        (lambda plans: plans[1].__delitem__("func"), r"step_plans\[1\]\['func'\] cannot"),
        (lambda plans: plans[1].pop("func"), r"step_plans\[1\] cannot"),
        (lambda plans: plans[0].setdefault("x", 1), r"step_plans\[0\] cannot"),
        (
            lambda plans: plans[0]["variable_components"].append("z_index"),
            r"step_plans\[0\]\['variable_components'\] cannot",
        ),
        (
            _set_parameter,
            r"step_plans\[0\]\['func'\]\[0\]\['functions'\]\[0\]\['parameters'\]\['sigma'\]",
        ),
    ],
)
def test_step_plans_cannot_be_changed(change, place, frozen):
    context, _ = frozen
    before = copy.deepcopy(context.step_plans)
    with pytest.raises(FrozenContextError, match=place):
        change(context.step_plans)
    with pytest.raises(TypeError, match=place):
        change(pickle.loads(pickle.dumps(context.step_plans)))
    assert context.step_plans == before


def test_step_plans_are_plain_data(frozen):
    plan = frozen[0].step_plans[2]
    assert isinstance(plan, dict)
    assert json.loads(json.dumps(plan)) == plan
    assert {**plan, "gpu_id": 1}["gpu_id"] == 1
    assert plan["variable_components"] == ["site"]


def test_every_key_of_the_specification_stands_in_a_step_plan(frozen):
    assert set(frozen[0].step_plans[0]) >= {
        *("step_name", "step_type", "well_id", "input_dir", "output_dir", "read_backend"),
        *("write_backend", "input_memory_type", "output_memory_type", "gpu_id", "func"),
        *("variable_components", "group_by", "special_inputs", "special_outputs", "zarr_config"),
        *("force_disk_output", "visualize"),
    }
