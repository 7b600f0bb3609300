"""Memory types in plans: contracts, conversions and GPUs, for libraries that need not be there."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from openhcs_core.cli.compile_command import describe, summarise
from openhcs_core.compiler import (
    CompileRequest,
    assign_gpu_resources,
    compile_plate,
    explain_plate,
    plan_inter_step_conversions,
)
from openhcs_core.config import (
    Level,
    OverrideConfig,
    PipelineConfig,
    ResourcesConfig,
    SettingsLevel,
    StepSettings,
    VFSConfig,
    load_yaml,
    resolve_pipeline,
    validate,
)
from openhcs_core.constants import MemoryType
from openhcs_core.emission import emit_plan_files, emit_plan_index
from openhcs_core.errors import ErrorGroup
from openhcs_core.memory import get_framework
from openhcs_core.microscopes import get_handler
from openhcs_core.plan import CompiledPipeline, plan_digest
from openhcs_core.registry import FunctionMetadata

PLATE = Path(__file__).parents[3] / "data/demo/9987_Plate_3434"
SIX = tuple(kind for kind in MemoryType if kind is not MemoryType.UNKNOWN)


def _function(name, takes, gives=None, **more):
    return FunctionMetadata(
        ref=f"t:{name}",
        module="t",
        attribute=name,
        input_memory_type=takes,
        output_memory_type=gives or takes,
        **more,
    )


FUNCTIONS = {
    function.ref: function
    for function in (
        *(_function(kind.value, kind) for kind in SIX),
        _function("infer", MemoryType.NUMPY, MemoryType.TORCH),
        _function("find", MemoryType.TORCH, chain_breaker=True),
        FunctionMetadata(ref="t:bare", module="t", attribute="bare"),
    )
}


class _Catalogue:
    def find(self, ref):
        return FUNCTIONS[ref]


@pytest.fixture(scope="module")
def index():
    return get_handler("imagexpress", PLATE).index(PLATE)


@pytest.fixture
def request_of(tmp_path, index):
    def make(*steps, gpu="auto", memory_types=SIX):
        path = tmp_path / "pipeline.yaml"
        path.write_text("\n".join(["steps:", *(f"  - {{{step}}}" for step in steps)]))
        document = load_yaml(path)
        return CompileRequest(
            plate="demo",
            index=index,
            wells=index.wells,
            pipeline=validate(PipelineConfig, document),
            document=document,
            storage=VFSConfig(),
            functions=_Catalogue(),
            memory_types=memory_types,
            gpu=gpu,
        )

    return make


@pytest.fixture
def compile_steps(request_of):
    return lambda *steps, **more: compile_plate(request_of(*steps, **more))


@pytest.fixture
def problems(compile_steps):
    def find(*steps, **more):
        with pytest.raises(ErrorGroup) as caught:
            compile_steps(*steps, **more)
        return [
            ([note.partition("pipeline.yaml:")[2] for note in error.__notes__], str(error))
            for error in caught.value.exceptions
        ]

    return find


def _shown(conversions):
    return [(c.step, c.group, c.at, c.route.source, c.route.target) for c in conversions]


BY_CHANNEL = 'func: {DAPI: t:torch, FITC: [t:cupy, t:cupy]}, passthrough: ["3"]'


def test_between_steps_images_are_numpy_and_within_a_chain_nothing_is_converted(compile_steps):
    plan = compile_steps(
        "name: a, func: [t:torch, t:torch]", "name: b, func: t:cupy", "name: c, func: t:numpy"
    )
    assert _shown(plan.conversions) == [
        ("a", None, "input", "numpy", "torch"),
        ("a", None, "output", "torch", "numpy"),
        ("b", None, "input", "numpy", "cupy"),
        ("b", None, "output", "cupy", "numpy"),
    ]


def test_a_result_that_is_handed_over_goes_straight_to_the_next_type(compile_steps):
    plan = compile_steps("name: a, func: t:torch", "name: b, func: t:cupy")
    conversions = plan_inter_step_conversions(plan.steps, plan.resources, {"b"})
    assert _shown(conversions)[2] == ("b", None, "input", "torch", "cupy")
    assert conversions[2].route.method == "cuda_array_interface"
    same = compile_steps("name: a, func: t:torch", "name: b, func: t:torch")
    assert [
        conversion.at
        for conversion in plan_inter_step_conversions(same.steps, same.resources, {"b"})
        if conversion.step == "b"
    ] == ["output"]


def test_a_declared_change_of_type_is_no_conversion_of_ours(compile_steps):
    plan = compile_steps("name: a, func: [t:infer, t:torch]")
    assert _shown(plan.conversions) == [("a", None, "output", "torch", "numpy")]
    (step,) = plan.steps
    assert (step.input_memory_type, step.output_memory_type) == ("numpy", "torch")


def test_after_a_chain_breaker_the_input_is_converted_again(compile_steps):
    plan = compile_steps("name: a, func: [t:find, t:jax]")
    assert _shown(plan.conversions) == [
        ("a", None, "input", "numpy", "torch"),
        ("a", None, "function 2", "numpy", "jax"),
        ("a", None, "output", "jax", "numpy"),
    ]


def test_each_chain_of_a_component_dict_has_its_own(compile_steps):
    plan = compile_steps(f"name: a, {BY_CHANNEL}", "name: b, func: t:torch")
    assert _shown(plan.conversions)[:4] == [
        ("a", "1", "input", "numpy", "torch"),
        ("a", "1", "output", "torch", "numpy"),
        ("a", "2", "input", "numpy", "cupy"),
        ("a", "2", "output", "cupy", "numpy"),
    ]
    handed = plan_inter_step_conversions(plan.steps, plan.resources, {"b"})
    assert [c[3:] for c in _shown(handed) if c[0] == "b"] == [
        ("cupy", "torch"),
        ("numpy", "torch"),
        ("torch", "numpy"),
    ]


def test_what_passes_through_is_stored_from_the_type_it_came_in(compile_steps):
    plan = compile_steps("name: a, func: t:torch", f"name: b, {BY_CHANNEL}")
    handed = plan_inter_step_conversions(plan.steps, plan.resources, {"b"})
    assert ("b", "3", "output", "torch", "numpy") in _shown(handed)


def test_routes_are_those_of_the_device_the_job_has(compile_steps):
    steps = ("name: a, func: t:torch", "name: b, func: t:torch, resources: {gpu: 0}")
    methods = {c.step: c.route.method for c in compile_steps(*steps).conversions}
    assert methods == {"a": "host_copy", "b": "dlpack"}
    methods = {c.step: c.route.method for c in compile_steps(*steps, gpu="none").conversions}
    assert methods == {"a": "dlpack", "b": "dlpack"}


def test_nothing_of_this_is_in_plan_files_or_digests(compile_steps):
    step = "name: a, func: t:torch"
    plans = [
        compile_steps(step),
        compile_steps(step, gpu="none"),
        compile_steps(f"{step}, resources: {{gpu: 2, gpu_model: a100}}"),
    ]
    assert len({plan_digest(plan.steps[0]) for plan in plans}) == 1
    assert len({str(emit_plan_files(plan)) for plan in plans}) == 1
    assert "conversions" not in str(emit_plan_files(plans[0]))
    text = emit_plan_index(CompiledPipeline(results="results", plates=(plans[0],)))
    assert '"from_type": "numpy"' in text


def test_each_mistake_of_a_chain_at_the_call_that_is_wrong(problems):
    assert problems(
        "name: a, func: [t:torch, t:torch, t:numpy]",
        'name: b, func: {DAPI: [t:jax, {t:cupy: {}}]}, passthrough: ["2", "3"]',
    ) == [
        (
            ["2 steps[0].func[2]"],
            "step 'a': Incompatible memory types in chain: t:torch gives torch but t:numpy takes "
            "numpy; put t:numpy and what comes after it into a step of their own: images are "
            "converted between steps",
        ),
        (
            ["3 steps[1].func.DAPI[1].t:cupy"],
            "step 'b': Incompatible memory types in chain: t:jax gives jax but t:cupy takes cupy; "
            "put t:cupy and what comes after it into a step of their own: images are converted "
            "between steps",
        ),
    ]


def test_memory_types_that_no_job_can_hold_and_functions_without(problems):
    found = problems(
        "name: a, func: [t:infer, t:torch]",
        "name: b, func: [t:bare, t:numpy]",
        memory_types=(MemoryType.NUMPY, MemoryType.JAX),
    )
    texts = [text for _, text in found]
    assert [place for (place,), _ in found] == [
        "2 steps[0].func[0]",
        "2 steps[0].func[1]",
        "2 steps[0].func[1]",
        "3 steps[1].func[0]",
    ]
    remedy = (
        "its library is not installed here; pip install 'openhcs-core[torch]', or use a function "
        "of another memory type"
    )
    assert texts[:3] == [
        f"step 'a': Unsupported output memory type: torch, declared by t:infer: {remedy}",
        f"step 'a': Unsupported input memory type: torch, declared by t:torch: {remedy}",
        f"step 'a': Unsupported output memory type: torch, declared by t:torch: {remedy}",
    ]
    assert texts[3].startswith("step 'b': t:bare declares no memory type; add @numpy above")


def test_jobs_hold_the_arrays_of_the_libraries_that_are_installed():
    defaults = {field.name: field for field in fields(CompileRequest)}
    held = defaults["memory_types"].default_factory()
    assert held == tuple(kind for kind in SIX if get_framework(kind).is_installed)
    assert MemoryType.NUMPY in held
    assert defaults["gpu"].default == "auto"


def _gpus(plan):
    return {step: (of.gpu, of.gpu_model) for step, of in plan.resources.items()}


def test_gpus_are_asked_for_where_functions_use_them(request_of):
    request = request_of(
        "name: a, func: t:torch",
        "name: b, func: t:cupy, resources: {gpu: 2, gpu_model: a100}",
        "name: c, func: t:numpy",
        "name: d, func: t:infer, resources: {gpu: 0}",
        f"name: e, {BY_CHANNEL}, resources: {{gpu_model: h100}}",
    )
    plan = compile_plate(request)
    assert _gpus(plan) == {
        "a": (1, None),
        "b": (2, "a100"),
        "c": (0, None),
        "d": (0, None),
        "e": (1, "h100"),
    }
    assert assign_gpu_resources(plan.steps, request) == plan.resources


def test_without_gpu_the_same_pipeline_runs_on_the_cpu(compile_steps):
    plan = compile_steps(
        "name: a, func: [t:torch, t:torch], resources: {gpu: 2, gpu_model: a100}",
        "name: b, func: t:pyclesperanto",
        "name: c, func: t:jax",
        "name: d, func: t:tensorflow",
        gpu="none",
    )
    assert set(_gpus(plan).values()) == {(0, None)}
    assert not any(conversion.route.leaves_device for conversion in plan.conversions)


def test_without_gpu_everything_that_needs_one_is_listed_at_once(problems):
    assert problems(
        "name: a, func: t:torch",
        f"name: b, {BY_CHANNEL}",
        "name: c, func: [t:cupy], resources: {gpu: 0}",
        gpu="none",
    ) == [
        (
            [
                "3 steps[1].func.FITC[0]",
                "3 steps[1].func.FITC[1]",
                "4 steps[2].func[0]",
            ],
            "GPU memory type requires gpu_id, and execution.gpu is none; these functions cannot "
            "run on a CPU: step 'b': t:cupy (cupy); step 'c': t:cupy (cupy). Set execution.gpu "
            "to auto, or use functions of another memory type",
        )
    ]


@pytest.mark.parametrize(
    ("step", "place", "text"),
    [
        (
            "func: t:cupy, resources: {gpu: 0}",
            "gpu",
            "GPU memory type requires gpu_id: t:cupy (cupy) cannot run on a CPU; leave "
            "resources.gpu out or make it 1, or use functions of another memory type",
        ),
        (
            "func: t:numpy, resources: {gpu: 0}",
            "gpu",
            "resources.gpu is for functions that use a GPU; none of this step's does: leave it out",
        ),
        (
            "func: t:numpy, resources: {gpu_model: a100}",
            "gpu_model",
            "resources.gpu_model is for functions that use a GPU; none of this step's does: "
            "leave it out",
        ),
        (
            "func: t:torch, resources: {gpu: 0, gpu_model: a100}",
            "gpu_model",
            "resources.gpu is 0, so that it runs on the CPU, but gpu_model is 'a100'; "
            "leave one of them out",
        ),
    ],
)
def test_gpu_settings_that_cannot_be(problems, step, place, text):
    assert problems(f"name: x, {step}") == [
        ([f"2 steps[0].resources.{place}"], f"step 'x': {text}")
    ]


def test_mistakes_of_resources_and_of_overrides_come_together(request_of):
    request = request_of("name: x, func: t:numpy, resources: {gpu: 1}")
    overrides = (OverrideConfig(wells=("H12",), set={"x": {}}),)
    pipeline = request.pipeline.model_copy(update={"overrides": overrides})
    with pytest.raises(ErrorGroup) as caught:
        compile_plate(replace(request, pipeline=pipeline))
    assert len(caught.value.exceptions) == 2


def test_compile_shows_what_is_converted_and_asked_for(compile_steps):
    plan = compile_steps(
        "name: a, func: t:torch, resources: {gpu_model: a100}",
        'name: b, func: {DAPI: t:jax, FITC: t:jax, "3": t:torch}, resources: {gpu: 0}',
        "name: c, func: t:numpy",
    )
    _, a, a_converts, b, b_converts, c = describe(plan).splitlines()
    assert "MB and 1 GPU (a100) a job" in a
    assert a_converts == (
        "    converts numpy → torch (host_copy, 1 copy) … torch → numpy (host_copy, 1 copy, "
        "leaves the device)"
    )
    assert "MB a job" in b
    assert b_converts == (
        "    converts 1, 2: numpy → jax (dlpack, no copy) … jax → numpy (dlpack, no copy); "
        "3: numpy → torch (dlpack, no copy) … torch → numpy (dlpack, no copy)"
    )
    assert c.startswith("  c (")


def test_compile_json_has_them_by_step(compile_steps):
    plates = (compile_steps("name: a, func: t:torch", "name: b, func: t:numpy"),)
    a, b = summarise(CompiledPipeline(results="results", plates=plates))[0]["steps"]
    assert (a["gpu"], a["gpu_model"], b["gpu"], b["conversions"]) == (1, None, 0, [])
    assert a["conversions"][1] == {
        "step": "a",
        "group": None,
        "at": "output",
        "from_type": "torch",
        "to_type": "numpy",
        "through": [],
        "method": "host_copy",
        "copies": 1,
        "leaves_device": True,
    }


def test_the_step_decides_where_its_gpu_settings_contradict_defaults(request_of):
    text = "name: a, func: t:torch, resources: {gpu: 0}"
    request = request_of(text)
    inherited = StepSettings(resources=ResourcesConfig(gpu_model="a100"))
    level = SettingsLevel(Level.PIPELINE, request.document, (), inherited, VFSConfig())
    resolved = resolve_pipeline(request.pipeline, request.document, [level])
    request = replace(request, pipeline=resolved.pipeline, origins=resolved.origins)
    plan = compile_plate(request)
    assert (plan.resources["a"].gpu, plan.resources["a"].gpu_model) == (0, None)
    (step,) = explain_plate(plan, request).steps
    (model,) = [value for value in step.settings if value.name == "resources.gpu_model"]
    assert (model.value, model.note) == (None, "a100 is not used: this step uses no GPU")
