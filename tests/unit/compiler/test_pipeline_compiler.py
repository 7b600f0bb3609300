"""The five phases under OpenHCS's names: the plans of compile_plate, in this order only."""

import runpy
from pathlib import Path

import pytest

from openhcs_core.compiler import (
    CompileRequest,
    FuncStepContractValidator,
    GPUMemoryTypeValidator,
    MaterializationFlagPlanner,
    PipelineCompiler,
    PipelineOrchestrator,
    PipelinePathPlanner,
    assign_gpu_resources,
    compile_plate,
    validate_system_integration,
)
from openhcs_core.config import (
    PipelineConfig,
    StepConfig,
    VFSConfig,
    WorkflowConfig,
    load_yaml,
    validate,
)
from openhcs_core.errors import CompileError, ConfigError, ErrorGroup
from openhcs_core.functions.preprocess import tophat
from openhcs_core.microscopes import get_handler
from openhcs_core.pipeline import FunctionStep, ProcessingContext
from openhcs_core.plan import SpecialOutputPlan
from openhcs_core.registry import RegistryService
from openhcs_core.session import open_orchestrator
from openhcs_core.storage import FileManager, create_storage_registry

ROOT = Path(__file__).parents[3]
PLATE = ROOT / "data/demo/9987_Plate_3434"
PIPELINES = [
    path
    for path in sorted((ROOT / "tests/golden/pipelines").glob("*.yaml"))
    if "gpu" not in path.stem  # of libraries that jobs cannot hold yet
]
DEMO = runpy.run_path(str(ROOT / "tests/data/pipelines/demo.py"))["pipeline_steps"]


class _Functions(RegistryService):
    """The functions that there are, and some that hand values on."""

    def find(self, ref):
        if not ref.startswith("t:"):
            return super().find(ref)
        gives = (SpecialOutputPlan(name="positions"),) if ref == "t:find" else ()
        takes = ("positions",) if ref == "t:stitch" else ()
        update = {"ref": ref, "special_inputs": takes, "special_outputs": gives}
        return super().find("openhcs:tophat").model_copy(update=update)


FUNCTIONS = _Functions()


@pytest.fixture(scope="module")
def index():
    return get_handler("imagexpress", PLATE).index(PLATE)


@pytest.fixture
def make(index):
    """Return a new context of a well and the plate it is of."""

    def make_(well="B02", config=None, **changes):
        values = {"index": index, "wells": index.wells, "functions": FUNCTIONS} | changes
        return ProcessingContext(config, well), PipelineOrchestrator("demo", **values)

    return make_


PHASES = [
    PipelineCompiler.declare_zarr_stores_for_context,
    PipelineCompiler.plan_materialization_flags_for_context,
    PipelineCompiler.validate_memory_contracts_for_context,
    PipelineCompiler.assign_gpu_resources_for_context,
]


def _compile(context, steps, orchestrator, **options):
    resolved, state = PipelineCompiler.initialize_step_plans_for_context(
        context, steps, orchestrator, **options
    )
    for phase in PHASES:
        phase(context, resolved, orchestrator)
    return resolved, state


def _plate_dicts(index, document, pipeline, well, storage=None):
    request = CompileRequest(
        plate="demo",
        index=index,
        wells=index.wells,
        pipeline=pipeline,
        document=document,
        storage=storage or VFSConfig(),
        functions=FUNCTIONS,
    )
    plan = compile_plate(request)
    own = tuple(plan.step_plan(step, well) for step in plan.steps)
    resources = assign_gpu_resources(own, request)
    for step, asked in resources.items():  # a job of the plate asks for what its wells may need
        assert asked.mem_mb <= plan.resources[step].mem_mb
    return {
        number: step.as_dict(well, resources=resources[step.step_name])
        for number, step in enumerate(own)
    }


@pytest.mark.parametrize("storage", [VFSConfig(), VFSConfig(materialization="disk")])
@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_contexts_have_the_plans_of_the_plate(path, storage, make, index):
    document = load_yaml(path)
    pipeline = validate(PipelineConfig, document)
    for well in index.wells:
        context, orchestrator = make(well, storage=storage, pipeline=pipeline)
        _compile(context, pipeline.steps, orchestrator)
        assert context.step_plans == _plate_dicts(index, document, pipeline, well, storage)


def test_an_override_is_of_its_wells_alone(make):
    pipeline = validate(
        PipelineConfig, load_yaml(ROOT / "tests/golden/pipelines/kept_middle_and_override.yaml")
    )
    areas = {}
    for well in ("B02", "B03"):
        context, orchestrator = make(well, pipeline=pipeline)
        _compile(context, pipeline.steps, orchestrator)
        areas[well] = context.step_plans[1]["func"][0]["functions"][0]["parameters"]["min_area"]
    assert areas["B02"] == 40
    assert areas["B03"] != 40


def test_function_objects_make_the_plans_of_the_yaml_file(make, index):
    context, orchestrator = make()
    resolved, state = _compile(context, DEMO, orchestrator)
    document = load_yaml(ROOT / "config/pipeline.yaml")
    pipeline = validate(PipelineConfig, document)
    assert [step.name for step in resolved] == ["clean", "flatten", "count"]
    assert state == dict(enumerate(resolved))
    assert context.step_plans == _plate_dicts(index, document, pipeline, "B02")


def test_resolved_steps_serve_the_other_wells(make):
    first, orchestrator = make("B02")
    resolved, _ = _compile(first, DEMO, orchestrator)
    second, _ = make("B03")
    _compile(second, resolved, orchestrator, steps_already_resolved=True)
    assert [plan["well_id"] for plan in second.step_plans.values()] == ["B03"] * 3
    assert second.step_plans[0]["func"] == first.step_plans[0]["func"]
    with pytest.raises(CompileError, match=r"steps\[0\] is a FunctionStep, not resolved yet"):
        PipelineCompiler.initialize_step_plans_for_context(second, DEMO, orchestrator, True)


def test_the_life_of_a_context():
    config = WorkflowConfig(plates={"demo": {"path": str(PLATE)}})
    orchestrator = open_orchestrator(config, "demo")
    filemanager = FileManager(create_storage_registry())
    context = ProcessingContext(global_config=config, well_id="B02", filemanager=filemanager)

    resolved_steps, step_state_map = PipelineCompiler.initialize_step_plans_for_context(
        context, DEMO, orchestrator, steps_already_resolved=False
    )
    assert context.step_plans[1]["input_dir"] == "clean"
    assert not set(context.step_plans[2]) & {"zarr_config", "write_backend", "func", "gpu_id"}
    PipelineCompiler.declare_zarr_stores_for_context(context, resolved_steps, orchestrator)
    assert context.step_plans[2]["zarr_config"]["chunk_strategy"] == "WELL"
    assert context.step_plans[1]["zarr_config"] is None
    PipelineCompiler.plan_materialization_flags_for_context(context, resolved_steps, orchestrator)
    backends = ("read_backend", "write_backend", "force_disk_output")
    assert [context.step_plans[0][key] for key in backends] == ["virtual_workspace", "disk", False]
    assert [context.step_plans[2][key] for key in backends] == ["disk", "zarr", True]
    contracts = FuncStepContractValidator.validate_pipeline(resolved_steps, context, orchestrator)
    assert "func" not in context.step_plans[0]
    PipelineCompiler.validate_memory_contracts_for_context(
        context, resolved_steps, orchestrator, step_state_map=step_state_map
    )
    for number, contract in contracts.items():
        assert set(contract) == {"input_memory_type", "output_memory_type", "func"}
        assert contract.items() <= context.step_plans[number].items()
    assert context.required_visualizers == []
    PipelineCompiler.assign_gpu_resources_for_context(context, resolved_steps, orchestrator)
    assert context.step_plans[2]["gpu_id"] is None
    assert context.step_plans[2]["resources"]["gpu"] == 0
    assert not context.is_frozen()
    context.freeze()
    context.freeze()
    assert context.is_frozen()
    assert [plan["step_name"] for plan in context.step_plans.values()] == [
        "clean",
        "flatten",
        "count",
    ]
    assert context.filemanager is filemanager


def test_a_phase_may_be_repeated_and_the_ones_after_it_then_too(make):
    context, orchestrator = make()
    _compile(context, DEMO, orchestrator)
    whole = context.step_plans
    PipelineCompiler.plan_materialization_flags_for_context(context, DEMO, orchestrator)
    assert "func" not in context.step_plans[0]
    with pytest.raises(CompileError, match="must have validated memory contracts before GPU"):
        PipelineCompiler.assign_gpu_resources_for_context(context, DEMO, orchestrator)
    _compile(context, DEMO, orchestrator)
    assert context.step_plans == whole


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        (
            PipelinePathPlanner.prepare_pipeline_paths,
            "Context step_plans must be initialized before path planning; "
            "call PipelineCompiler.initialize_step_plans_for_context first",
        ),
        (
            PHASES[0],
            "Context step_plans must be initialized before ZARR store declaration; "
            "call PipelineCompiler.initialize_step_plans_for_context first",
        ),
        (
            MaterializationFlagPlanner.prepare_pipeline_flags,
            "Context step_plans must have ZARR stores declared before materialization planning; "
            "call PipelineCompiler.declare_zarr_stores_for_context first",
        ),
        (
            PHASES[2],
            "Context step_plans must have materialization flags before memory contract "
            "validation; call PipelineCompiler.plan_materialization_flags_for_context first",
        ),
        (
            PHASES[3],
            "Context step_plans must have validated memory contracts before GPU resource "
            "assignment; call PipelineCompiler.validate_memory_contracts_for_context first",
        ),
    ],
)
def test_a_phase_before_its_predecessor_is_refused(phase, message, make):
    context, orchestrator = make()
    with pytest.raises(CompileError) as error:
        phase(context, DEMO, orchestrator)
    assert str(error.value) == message
    assert context.step_plans == {}


def test_other_steps_or_another_plate_than_the_first_are_refused(make, index):
    context, orchestrator = make()
    resolved, state = PipelineCompiler.initialize_step_plans_for_context(
        context, DEMO, orchestrator
    )
    kept = (resolved[0].model_copy(update={"keep": True}), *resolved[1:])
    other = make(storage=VFSConfig(materialization="disk"))[1]
    for steps, plate in ((kept, orchestrator), (resolved[:2], orchestrator), (resolved, other)):
        with pytest.raises(CompileError, match="are not those that the context's step_plans"):
            PipelineCompiler.declare_zarr_stores_for_context(context, steps, plate)
    for phase in PHASES[:2]:
        phase(context, DEMO, orchestrator)
    with pytest.raises(CompileError, match="are not those"):
        PHASES[2](context, resolved, orchestrator, step_state_map=dict(enumerate(kept)))
    PHASES[2](context, kept, orchestrator, step_state_map=state)  # the saved settings count


def test_a_context_fits_its_plate(make):
    context, orchestrator = make("H12")
    with pytest.raises(
        CompileError, match="well 'H12' is none of plate 'demo'; wells to work on: 2, B02 to B03"
    ):
        _compile(context, DEMO, orchestrator)
    config = WorkflowConfig(plates={"demo": {"path": "x"}}, storage={"materialization": "disk"})
    context, orchestrator = make(config=config)
    with pytest.raises(CompileError, match="global_config are not those of the orchestrator"):
        _compile(context, DEMO, orchestrator)


def test_mistakes_of_steps_come_together_with_their_places(make):
    context, orchestrator = make()
    steps = [
        FunctionStep(func=(tophat, {"selem": 3}), name="a"),
        FunctionStep(func=lambda image: image, name="b"),
        FunctionStep(func="max_projektion", name="c"),
    ]
    line = next(
        number
        for number, text in enumerate(Path(__file__).read_text().splitlines(), 1)
        if '{"selem": 3}' in text
    )
    with pytest.raises(ErrorGroup) as group:
        _compile(context, steps, orchestrator)
    places = {error.__notes__[0]: str(error) for error in group.value.members}
    assert list(places) == [
        f"{__file__}:{line + 1} steps[1].func",
        f"{__file__}:{line + 2} steps[2].func",
        f"{__file__}:{line} steps[0].func.openhcs:tophat.selem",
    ]
    assert "a lambda cannot be used" in next(iter(places.values()))
    resolved = [StepConfig(name="a", func={"openhcs:tophat": {"selem": 3}})]
    with pytest.raises(ErrorGroup) as group:
        _compile(context, resolved, orchestrator)
    assert [error.__notes__ for error in group.value.members] == [
        ["steps[0].func.openhcs:tophat.selem"]
    ]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "no steps"),
        ([tophat], r"steps\[0\]: expected a FunctionStep, .*; found function"),
        ([DEMO[0], StepConfig(name="a", func="openhcs:tophat")], r"steps\[1\]: expected a Funct"),
    ],
)
def test_what_is_no_step_is_refused(steps, message, make):
    context, orchestrator = make()
    with pytest.raises(CompileError, match=message):
        _compile(context, steps, orchestrator)


def test_what_a_step_says_in_vain_is_logged_once(make, caplog):
    context, orchestrator = make()
    steps = [FunctionStep(func=tophat, name="a", napari_streaming_config=object())]
    _compile(context, steps, orchestrator)
    PHASES[0](context, steps, orchestrator)
    (record,) = caplog.records
    assert "napari_streaming_config is not used: there is no viewer" in record.getMessage()


def test_the_device_of_a_running_step_stands_in_its_plan(make):
    context, orchestrator = make()
    _compile(context, DEMO, orchestrator)
    (plan, *_) = context.planned.plans
    assert plan.as_dict("B02")["gpu_id"] is None
    assert plan.as_dict("B02", 1) == {**plan.as_dict("B02"), "gpu_id": 1}


def test_compiled_plans_go_together(make):
    steps = validate(PipelineConfig, load_yaml(ROOT / "tests/golden/pipelines/linked.yaml")).steps
    context, orchestrator = make()
    _compile(context, steps, orchestrator)
    assert context.step_plans[1]["special_inputs"]
    validate_system_integration(context.step_plans)
    assert GPUMemoryTypeValidator.validate_step_plans(context.step_plans) == {}


def test_a_plate_is_opened_as_the_config_says():
    plates = {"demo": {"path": str(PLATE), "wells": ["B02"]}, "gone": {"path": "nowhere"}}
    config = WorkflowConfig(plates=plates)
    assert open_orchestrator(config, "demo").wells == ("B02",)
    with pytest.raises(ConfigError, match="no plate 'dema'; the config has demo, gone"):
        open_orchestrator(config, "dema")
    with pytest.raises(ErrorGroup, match="plate 'gone'"):
        open_orchestrator(config, "gone")


def test_settings_of_a_pipeline_file_count(make):
    steps = (StepConfig(name="a", func="openhcs:tophat"),)
    pipeline = PipelineConfig(
        steps=steps, defaults={"output_dtype": "float32"}, storage={"materialization": "disk"}
    )
    context, orchestrator = make(pipeline=pipeline)
    _compile(context, pipeline.steps, orchestrator)
    assert context.step_plans[0]["write_backend"] == "disk"
    with pytest.raises(ErrorGroup, match="step_plans"):
        validate_system_integration([{**context.step_plans[0], "special_inputs": {"x": 3}}])
