"""Pipelines written in Python: the same plans as YAML, and every refusal with its line."""

import shutil
import time
from pathlib import Path

import pytest

from openhcs_core.config import PipelineConfig, validate
from openhcs_core.errors import ConfigError, ErrorGroup, render_error
from openhcs_core.plan import encode_plan
from openhcs_core.registry import RegistryService
from openhcs_core.session import compile_workflow
from openhcs_core.session.python_pipelines import load_python

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "tests/data/pipelines"
FUNCTIONS = RegistryService()
_OWN = "; if it is yours, name its file under functions: in the config"
OPENHCS = """\
from openhcs.core.steps.function_step import FunctionStep
from openhcs.processing.backends.processors.cupy_processor import tophat
"""


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read lines after two imports, so that they begin in line 3."""
    monkeypatch.chdir(tmp_path)

    def read_(text, head=OPENHCS, **options):
        Path("p.py").write_text(head + text)
        return load_python("p.py", FUNCTIONS, **options)

    return read_


@pytest.fixture
def funcs(read):
    def funcs_(text):
        pipeline = read(text)
        assert [str(problem) for problem in pipeline.problems] == []
        return [step["func"] for step in pipeline.document.data["steps"]]

    return funcs_


@pytest.fixture
def problems(read):
    def problems_(text, head=OPENHCS):
        return [render_error(problem) for problem in read(text, head).problems]

    return problems_


@pytest.fixture
def compile_with(tmp_path, monkeypatch):
    def compile_(script):
        shutil.copy(script, tmp_path)
        monkeypatch.chdir(tmp_path)
        plate = ROOT / "data/demo/9987_Plate_3434"
        Path("config.yaml").write_text(
            f"plates:\n  demo: {{path: {plate}}}\npipeline: {Path(script).name}\n"
        )
        return compile_workflow("config.yaml")

    return compile_


def test_the_demo_in_python_has_the_plans_of_the_demo_in_yaml(compile_with):
    python = compile_with(SCRIPTS / "demo.py")
    yaml = compile_with(ROOT / "config/pipeline.yaml")
    assert python.files == yaml.files
    assert [encode_plan(plan) for plan in python.compiled.plates[0].steps] == [
        encode_plan(plan) for plan in yaml.compiled.plates[0].steps
    ]
    assert python.warnings == yaml.warnings


def test_a_script_for_openhcs_compiles(compile_with, capfd):
    compilation = compile_with(SCRIPTS / "openhcs_script.py")
    steps = compilation.compiled.plates[0].steps
    assert [step.step_name for step in steps] == [
        "Enhance",
        "Z-Stack Flattening",
        "Smooth",
        "Count",
    ]
    assert [step.variable_components for step in steps[:2]] == [("site",), ("z_index",)]
    enhance = [(call.ref, call.parameters) for call in steps[0].groups[0].functions]
    assert [ref for ref, _ in enhance] == ["openhcs:stack_percentile_normalize", "openhcs:tophat"]
    assert enhance[0][1]["low_percentile"] == 0.5
    assert steps[2].groups[0].functions[0].slice_by_slice
    (count,) = steps[3].groups[0].functions
    assert count.parameters["detection_method"] == "watershed"
    assert steps[3].store is not None
    assert [text for text in compilation.warnings if text.startswith("openhcs_script.py")] == [
        "openhcs_script.py:25: pipeline_config: num_workers, path_planning_config: not used; "
        "config/config.yaml has settings of its own",
        "openhcs_script.py:65: napari_streaming_config is not used: there is no viewer",
    ]
    out, err = capfd.readouterr()
    assert (out, err) == ("", "prints do no harm\n")


def test_a_materialization_config_of_openhcs_says_whether_and_where_images_are_kept(read):
    head = OPENHCS + "from openhcs.core.config import LazyStepMaterializationConfig as Kept\n"
    configs = ["Kept()", "Kept(sub_dir='x/y')", "Kept(sub_dir=None)", "None"]
    configs += ["Kept(enabled=False, sub_dir='x')"]
    steps = ", ".join(
        f"FunctionStep(func=tophat, name='s{number}', step_materialization_config={config})"
        for number, config in enumerate(configs)
    )
    pipeline = read(f"pipeline_steps = [{steps}]", head)
    assert list(pipeline.problems) == []
    config = validate(PipelineConfig, pipeline.document)
    assert [step.keep for step in config.steps] == [True, True, True, False, False]
    folders = [step.materialize and step.materialize.sub_dir for step in config.steps]
    assert folders == [None, "x/y", None, None, None]


def test_forms_of_func(funcs):
    forms = {
        "tophat": {"openhcs:tophat": {}},
        "(tophat, {'selem_radius': 5})": {"openhcs:tophat": {"selem_radius": 5}},
        "(tophat, dict(selem_radius=5))": {"openhcs:tophat": {"selem_radius": 5}},
        "tophat, selem_radius=5": {"openhcs:tophat": {"selem_radius": 5}},
        "'tophat', selem_radius=5": {"openhcs:tophat": {"selem_radius": 5}},
        "'gaussian', sigma=2.0": {"skimage:filters.gaussian": {"sigma": 2.0}},
        "'skimage:filters.gaussian'": {"skimage:filters.gaussian": {}},
        "[tophat, (tophat, {})]": [{"openhcs:tophat": {}}, {"openhcs:tophat": {}}],
        "{1: tophat, 'FITC': [tophat]}": {
            "1": {"openhcs:tophat": {}},
            "FITC": [{"openhcs:tophat": {}}],
        },
    }
    steps = ", ".join(f"FunctionStep(func={text}, name='s')" for text in forms)
    assert funcs(f"pipeline_steps = [{steps}]") == list(forms.values())


def test_functions_of_libraries_have_their_public_names(funcs):
    imports = "import skimage.filters as f\nfrom skimage.filters import median\n"
    text = "pipeline_steps = [FunctionStep(f.gaussian, name='a'), FunctionStep(median, name='b')]"
    assert funcs(imports + text) == [
        {"skimage:filters.gaussian": {}},
        {"skimage:filters.median": {}},
    ]


def test_numpy_numbers_enums_and_paths_are_plain_values(funcs):
    text = """
import enum, pathlib
import numpy as np
class Kind(enum.Enum):
    A = "a"
pipeline_steps = [FunctionStep(func=(tophat, {
    'a': np.float32(0.5), 'b': np.int64(3), 'c': Kind.A, 'd': pathlib.Path('x'), 'e': (1, 2)}))]
"""
    parameters = {"a": 0.5, "b": 3, "c": "a", "d": "x", "e": [1, 2]}
    assert funcs(text) == [{"openhcs:tophat": parameters}]


def test_a_step_without_name_has_its_functions(read):
    document = read("pipeline_steps = [FunctionStep(func=tophat)]").document
    assert validate(PipelineConfig, document).steps[0].name == "tophat"


def test_steps_made_in_a_loop_or_a_pipeline_object(read):
    head = OPENHCS + "from openhcs.core.pipeline import Pipeline\n"
    text = "steps = [FunctionStep(func=tophat, name=f's{i}') for i in range(3)]\n"
    document = read(text + "pipeline_steps = Pipeline(steps)", head).document
    assert [step["name"] for step in document.data["steps"]] == ["s0", "s1", "s2"]
    assert document.where(("steps", 2, "func")) == "p.py:4 steps[2].func"


def test_overrides_and_defaults_of_all_steps(read):
    head = OPENHCS + "from openhcs.core.config import PipelineConfig, LazyProcessingConfig\n"
    text = """
pipeline_config = PipelineConfig(processing_config=LazyProcessingConfig(group_by="site"))
pipeline_steps = [FunctionStep(tophat), FunctionStep(tophat, name="b", group_by="z_index")]
overrides = [{"wells": ["B02"], "set": {"tophat": {"selem_radius": 3}}}]
"""
    config = validate(PipelineConfig, read(text, head).document)
    assert [step.group_by for step in config.steps] == ["site", "z_index"]
    assert config.overrides[0].set == {"tophat": {"selem_radius": 3}}


def test_lines_reach_into_a_call(read):
    text = """pipeline_steps = [
    FunctionStep(
        name="s",
        func=[
            tophat,
            (tophat,
             {"selem_radius": 3,
              "downsample": 4}),
        ],
    ),
]
"""
    where = read(text).document.where
    ref = "openhcs:tophat"
    assert where(("steps",)) == "p.py:3 steps"
    assert where(("steps", 0)) == "p.py:4 steps[0]"
    assert where(("steps", 0, "name")) == "p.py:5 steps[0].name"
    assert where(("steps", 0, "func", 0)) == "p.py:7 steps[0].func[0]"
    assert where(("steps", 0, "func", 1, ref)).startswith("p.py:8 ")
    assert where(("steps", 0, "func", 1, ref, "downsample")).startswith("p.py:10 ")


JOBS = "jobs import their functions by name; use one that 'openhcs-core functions list' shows"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f = lambda x: x\npipeline_steps = [\n    FunctionStep(func=f, name='s')]",
         f"p.py:5 steps[0].func: step 's': a lambda cannot be used: {JOBS}"),
        ("def f(x): return x\npipeline_steps = [FunctionStep(func=[tophat, f], name='s')]",
         f"p.py:4 steps[0].func[1]: step 's': f is defined in this file: {JOBS}"),
        ("def make():\n    def f(x): return x\n    return f\n"
         "pipeline_steps = [FunctionStep(func={'1': make()}, name='s')]",
         f"p.py:6 steps[0].func.1: step 's': make.f is a function inside a function: {JOBS}"),
        ("import functools\nfrom skimage.filters import gaussian\n"
         "pipeline_steps = [FunctionStep(func=functools.partial(gaussian, sigma=1), name='s')]",
         "p.py:5 steps[0].func: step 's': functools.partial of gaussian cannot be imported by "
         "jobs; write (function, {parameters})"),
        ("import functools\nfrom skimage.filters import gaussian\n"
         "@functools.wraps(gaussian)\ndef f(x): return x\n"
         "pipeline_steps = [FunctionStep(func=f, name='s')]",
         f"p.py:7 steps[0].func: step 's': gaussian cannot be imported by its name: {JOBS}"),
        ("from openhcs.core.memory.decorators import numpy\n@numpy\ndef f(x): return x\n"
         "pipeline_steps = [FunctionStep(func=f, name='s')]",
         f"p.py:6 steps[0].func: step 's': f is defined in this file: {JOBS}"),
        ("from openhcs.processing.func_registry import get_function\n"
         "pipeline_steps = [FunctionStep(func=get_function('x'), name='s')]",
         "p.py:4 steps[0].func: step 's': openhcs.processing.func_registry.get_function(…) is not "
         "a function here; name a function"),
        ("pipeline_steps = [FunctionStep(func=3, name='s')]",
         "p.py:3 steps[0].func: step 's': expected a function, (function, {parameters}), a list "
         "or a dict; found 3"),
        ("pipeline_steps = [FunctionStep(func=[], name='s')]",
         "p.py:3 steps[0].func: step 's': an empty list of functions; name at least one"),
        ("pipeline_steps = [FunctionStep(func=[tophat, tophat], name='s', sigma=2)]",
         "p.py:3 steps[0].sigma: step 's': sigma: parameters of a step are for a single function; "
         "write (function, {parameters})"),
        ("pipeline_steps = [FunctionStep(func=(tophat, 3), name='s')]",
         "p.py:3 steps[0].func: step 's': parameters must be a dict such as {'sigma': 2}; found 3"),
        ("import numpy as np\n"
         "pipeline_steps = [FunctionStep(func=(tophat, {\n  'a': np.ones(3)}), name='s')]",
         "p.py:5 steps[0].func.a: step 's': parameter 'a': numpy.ndarray cannot stand in a plan; "
         "write numbers, text, lists and dicts"),
        ("pipeline_steps = [3]", "p.py:3 steps[0]: expected a FunctionStep; found 3"),
        ("pipeline_steps = [FunctionStep(func={1: tophat, '1': tophat}, name='s')]",
         "p.py:3 steps[0].func: step 's': key '1' stands twice (once as a number); keep one"),
        ("pipeline_steps = [FunctionStep(func=tophat, name='s', enabled=False)]",
         "p.py:3 steps[0].enabled: step 's': a step cannot be switched off; leave it out of "
         "pipeline_steps"),
        ("from openhcs.core.config import LazyStepWellFilterConfig as W\n"
         "pipeline_steps = [FunctionStep(func=tophat, name='s',\n"
         "    step_well_filter_config=W(well_filter=3))]",
         "p.py:5 steps[0].step_well_filter_config: step 's': a step has all wells of its plate; "
         "choose them with plates.<name>.wells in the config"),
        ("pipeline_steps = [FunctionStep(func=[(tophat, {'slice_by_slice': True}), tophat])]",
         "p.py:3 steps[0].func: slice_by_slice differs between functions; it is a setting of a "
         "step here: split the step"),
        ("from openhcs.constants import GroupBy\n"
         "pipeline_steps = [FunctionStep(func={'1': tophat}, name='s', group_by=GroupBy.NONE)]",
         "p.py:4 steps[0].func: step 's': GroupBy.NONE cannot pick entries of a dict; name a "
         "component"),
        ("from openhcs.core.config import PipelineConfig\n"
         "pipeline_config = PipelineConfig(well_filter_config=3)\n"
         "pipeline_steps = [FunctionStep(func=tophat, name='s')]",
         "p.py:4: pipeline_config: well_filter_config: no counterpart here; leave it out"),
        # names without a counterpart
        ("pipeline_steps = [FunctionStep(func='gaussian_filter', name='s', sigma=2)]",
         "p.py:3 steps[0].func: step 's': 'gaussian_filter' is not among the functions here; "
         "nearest: 'skimage:filters.gaussian'; see 'openhcs-core functions list'"),
        ("from openhcs.processing.backends.processors.numpy_processor import create_composite\n"
         "pipeline_steps = [FunctionStep(func=create_composite, name='s')]",
         "p.py:4 steps[0].func: step 's': "
         "openhcs.processing.backends.processors.numpy_processor.create_composite is not among "
         "the functions here; nothing is named like it; see 'openhcs-core functions list'"),
        ("from shutil import copy\npipeline_steps = [FunctionStep(func=copy, name='s')]",
         "p.py:4 steps[0].func: step 's': shutil.copy is not among the functions here; nothing is "
         "named like it; see 'openhcs-core functions list'" + _OWN),
        ("from scipy.ndimage import gaussian_filter\n"
         "pipeline_steps = [FunctionStep(func=gaussian_filter, name='s')]",
         "p.py:4 steps[0].func: step 's': scipy.ndimage.gaussian_filter is not among the functions "
         "here; nearest: 'skimage:filters.gaussian'; see 'openhcs-core functions list'" + _OWN),
    ],
)  # fmt: skip
def test_refusals(problems, text, expected):
    assert problems(text) == [expected]


def test_a_function_of_a_module_beside_the_script(problems, tmp_path):
    (tmp_path / "mine.py").write_text("def clean(stack): return stack\n")
    assert problems("import mine\npipeline_steps = [FunctionStep(func=mine.clean)]") == [
        "p.py:4 steps[0].func: mine.clean is not among the functions here; nothing is named "
        "like it; see 'openhcs-core functions list'" + _OWN
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\nx = x / 0\n", "p.py:4: ZeroDivisionError: division by zero"),
        ("def f(:\n", "p.py:3: not valid Python: invalid syntax"),
        ("import nowhere\n", "p.py:3: ModuleNotFoundError: No module named 'nowhere'"),
        ("import sys\nsys.exit(3)\n",
         "p.py:4: the file ends the process (exit code 3) before it is read"),
        ("input()\n", "p.py:3: EOFError: EOF when reading a line"),
        ("x = 1\n",
         "p.py: pipeline_steps is not defined; expected pipeline_steps = [FunctionStep(...), ...] "
         "at the top level, outside functions and `if __name__` blocks"),
        ("steps = [FunctionStep(func=tophat)]\n",
         "p.py: pipeline_steps is not defined; expected pipeline_steps = [FunctionStep(...), ...] "
         "at the top level; rename 'steps'"),
        ("pipeline_steps = [FunctionStep(name='x')]\n",
         "p.py:3: TypeError: FunctionStep.__init__() missing 1 required positional argument: "
         "'func'"),
    ],
)  # fmt: skip
def test_what_the_script_does_wrong(read, text, expected):
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value) == expected


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.py: No such file or directory; expected a Py"):
        load_python(str(tmp_path / "absent.py"), FUNCTIONS)


def test_a_script_that_hangs_is_ended_with_all_it_started(read):
    start = time.monotonic()
    with pytest.raises(ConfigError, match=r"p\.py: not read after 2 s; a pipeline file only"):
        read("import subprocess\nsubprocess.run(['sleep', '60'])\n", timeout_s=2)
    assert time.monotonic() - start < 20


def test_a_script_that_kills_python(read):
    with pytest.raises(ConfigError, match=r"p\.py: Python ended \(exit code 7\) before the file"):
        read("import os\nos._exit(7)\n")


def test_all_mistakes_are_reported_together(tmp_path, compile_with):
    script = tmp_path / "sources" / "wrong.py"
    script.parent.mkdir()
    script.write_text(
        OPENHCS
        + "from openhcs.processing.backends.pos_gen.ashlar_main_cpu import ashlar_positions\n"
        "pipeline_steps = [\n"
        "    FunctionStep(func=lambda x: x, name='a'),\n"
        "    FunctionStep(func=ashlar_positions, name='b'),\n"
        "    FunctionStep(func=(tophat, {'selem_radios': 3}), name='c'),\n"
        "    FunctionStep(func=tophat, name='d', variable_components=['zz']),\n"
        "]\n"
    )
    with pytest.raises(ErrorGroup) as caught:
        compile_with(script)
    lines = [render_error(error).partition(" steps")[0] for error in caught.value.members]
    assert lines == ["wrong.py:5", "wrong.py:6", "wrong.py:8"]
    script.write_text(script.read_text().replace("['zz']", "['site']"))
    with pytest.raises(ErrorGroup) as caught:
        compile_with(script)
    assert render_error(caught.value.members[-1]) == (
        "wrong.py:7 steps[2].func.openhcs:tophat.selem_radios: step 'c': openhcs:tophat: unknown "
        "parameter 'selem_radios'; did you mean 'selem_radius'?"
    )
