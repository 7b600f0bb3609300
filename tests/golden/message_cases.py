"""Wrong input, one mistake a case: what is wrong, and how to make it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile

from openhcs_core.testing.plates import image_path

CONFIG = """plates:
  demo: {path: plate}
"""
PIPELINE = """steps:
  - name: smooth
    func: {skimage:filters.gaussian: {sigma: 1}}
  - name: count
    func: {openhcs:count_cells_single_channel: {min_area: 20}}
"""
PLATE_MAP = "plates:\n  demo: {path: plate, plate_map: map.csv}\n"
PREAMBLE = """from openhcs_core.compiler import PipelineCompiler, validate_system_integration
from openhcs_core.config import WorkflowConfig
from openhcs_core.functions.preprocess import tophat
from openhcs_core.pipeline import FunctionStep, ProcessingContext
from openhcs_core.session import open_orchestrator

config = WorkflowConfig(plates={"demo": {"path": "plate"}})
orchestrator = open_orchestrator(config, "demo")
context = ProcessingContext(global_config=config, well_id="A02", filemanager=None)
steps = [FunctionStep(func=(tophat, {"selem_radius": 50}), name="flatten")]
"""
STORAGE_PREAMBLE = """import numpy as np
from openhcs_core.storage import FileManager, create_storage_registry

files = FileManager(create_storage_registry())
image = np.zeros((64, 64), "float32")
"""
_START = "PipelineCompiler.initialize_step_plans_for_context(context, steps, orchestrator)\n"


@dataclass(frozen=True)
class Case:
    """One mistake.

    `files` replaces files of the project and is shown; `change` does something to its folder
    and `title` says what. `job` names a well whose first step is run. `script` is Python that
    is shown and run, after `preamble`, instead of compiling the project.
    """

    title: str
    files: Mapping[str, str] = field(default_factory=dict)
    change: Callable[[Path], object] | None = None
    job: str | None = None
    script: str | None = None
    preamble: str = PREAMBLE


def _plate(text):
    return {"config/config.yaml": f"plates:\n  demo: {text}\n"}


def _step(text):
    return {"config/pipeline.yaml": f"steps:\n  - {text}\n"}


def _empty(project):
    for path in sorted((project / "plate").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def _rename_plate(project):
    (project / "plate").rename(project / "away")


def _image(project):
    return image_path(project / "plate", "A02", 1)


def _bytes(make):
    def change(project):
        path = _image(project)
        path.write_bytes(make(path.read_bytes()))

    return change


def _array(array):
    return lambda project: tifffile.imwrite(_image(project), array)


SEVERAL = {
    "config/config.yaml": "plates:\n"
    "  demo: {path: plate, wells: [A01, A09]}\n"
    "  other: {path: nowhere}\n",
    "config/pipeline.yaml": "steps:\n"
    "  - {name: count, func: {skimage:filters.gausian: {sigma: 1}}}\n"
    "  - {name: count, func: {openhcs:count_cells_single_channel: {min_aera: 20}}}\n",
}

MODULE = "workflow/functions/mine.py"
WITH_MODULE = {"config/config.yaml": CONFIG + f"functions: [{MODULE}]\n"}
USING_IT = WITH_MODULE | {
    "config/pipeline.yaml": "steps:\n  - {name: s, func: mine:flatten}\n",
}


def _module(text, files=WITH_MODULE):
    return {**files, MODULE: text}


def _storage_case(title, call, change=None):
    return Case(title, change=change, script=f"{call}\n", preamble=STORAGE_PREAMBLE)


_FLATTEN = """from openhcs_core.memory import numpy


@numpy
def flatten(image_stack):
    return {}
"""


SECTIONS = {
    "Config": [
        Case("A misspelt key", _plate("{path: plate, wels: [A01]}")),
        Case("A key that does not exist", {"config/config.yaml": CONFIG + "colour: blue\n"}),
        Case("A key that is missing", _plate("{wells: all}")),
        Case("A value that is none of those allowed", _plate("{path: plate, raw: no}")),
        Case(
            "A number out of range",
            {"config/config.yaml": CONFIG + "storage: {zarr: {compression_level: 10}}\n"},
        ),
        Case(
            "Text where a number belongs",
            {"config/config.yaml": CONFIG + "storage: {cache_gb: lots}\n"},
        ),
        Case("Two plates of one name", {"config/config.yaml": CONFIG + "  demo: {path: plate2}\n"}),
        Case("A name no file can have", {"config/config.yaml": "plates:\n  a/b: {path: plate}\n"}),
        Case(
            "A results folder that is a file",
            change=lambda project: (project / "results").write_text("notes"),
            job="A02",
        ),
        Case("Not YAML", {"config/config.yaml": "plates:\n  demo: {path: plate\n"}),
        Case(
            "A sign that no path has",
            {"config/config.yaml": 'plates:\n  demo: {path: "plate\\0"}\nresults: ""\n'},
        ),
        Case(
            "A value that holds itself many times",
            {
                "config/config.yaml": "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
                + "".join(
                    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
                    for old, new in zip("abcdef", "bcdefg", strict=True)
                )
            },
        ),
        Case(
            "A misspelt key in the defaults of a plate",
            _plate("{path: plate, defaults: {kep: true}}"),
        ),
        Case(
            "A key of the whole config in the storage of a plate",
            _plate("{path: plate, storage: {cache_gb: 10}}"),
        ),
        Case(
            "A pipeline file that is not there",
            {"config/config.yaml": CONFIG + "pipeline: config/pipelin.yaml\n"},
        ),
        Case(
            "A GPU setting that does not exist",
            {"config/config.yaml": CONFIG + "execution: {gpu: 0}\n"},
        ),
        Case(
            "A fallback that does not exist",
            {"config/config.yaml": CONFIG + "fallbacks: [oom_split, oom_pray]\n"},
        ),
        Case("Several mistakes at once", SEVERAL),
    ],
    "Plate": [
        Case("A folder that is not there", change=_rename_plate),
        Case("An empty folder", change=_empty),
        Case(
            "A folder that is no plate",
            change=lambda project: (_empty(project), (project / "plate/notes.txt").touch()),
        ),
        Case("A file instead of a folder", _plate("{path: config/config.yaml}")),
        Case(
            "A URL with a password",
            _plate("{path: 's3://AKIA:abc@bucket/plate'}"),
        ),
        Case("A URL that nothing here reads", _plate("{path: 'zeiss://plate'}")),
        Case("A URL where no plate is", _plate("{path: 'memory://no/plate'}")),
        Case("A well that does not exist", _plate("{path: plate, wells: [A01, H12]}")),
        Case("A well that is not written as one", _plate("{path: plate, wells: [A1]}")),
        Case("A rectangle of wells that is none", _plate('{path: plate, wells: "A01-A03"}')),
        Case(
            "A missing image (`A02`, site 1)",
            change=lambda project: _image(project).unlink(),
        ),
        Case(
            "A plate map without wells",
            {"map.csv": "name,dose\nA01,1\n"} | {"config/config.yaml": PLATE_MAP},
        ),
        Case(
            "A plate map with a well twice",
            {"map.csv": "well,dose\nA01,1\nA01,2\n"} | {"config/config.yaml": PLATE_MAP},
        ),
    ],
    "Pipeline": [
        Case("A misspelt key of a step", _step("{name: count, func: 'openhcs:tophat', kep: true}")),
        Case("A function that does not exist", _step("{name: s, func: 'openhcs:max_projektion'}")),
        Case("A library that does not exist", _step("{name: s, func: 'skimaje:filters.median'}")),
        Case("A reference without library", _step("{name: s, func: max_projection}")),
        Case("A misspelt parameter", _step("{name: s, func: {openhcs:tophat: {selem: 3}}}")),
        Case(
            "A parameter of the wrong type",
            _step("{name: s, func: {openhcs:tophat: {selem_radius: big}}}"),
        ),
        Case(
            "A parameter out of range",
            _step("{name: s, func: {openhcs:tophat: {selem_radius: 0}}}"),
        ),
        Case(
            "A parameter that is none of those allowed",
            _step("{name: s, func: {openhcs:count_cells_single_channel: {threshold_method: ots}}}"),
        ),
        Case(
            "Two steps of one name",
            {
                "config/pipeline.yaml": "steps:\n"
                "  - {name: s, func: openhcs:tophat}\n"
                "  - {name: s, func: openhcs:max_projection}\n"
            },
        ),
        Case(
            "A GPU for functions that use none",
            _step("{name: s, func: 'openhcs:tophat', resources: {gpu: 1, gpu_model: a100}}"),
        ),
        Case(
            "A GPU model that no scheduler takes",
            _step("{name: s, func: 'openhcs:tophat', resources: {gpu_model: 'a100:2'}}"),
        ),
        Case(
            "A folder of kept images that leads elsewhere",
            _step("{name: s, func: 'openhcs:tophat', materialize: {sub_dir: ../elsewhere}}"),
        ),
        Case(
            "A folder of kept images that has results of another kind",
            _step("{name: s, func: 'openhcs:tophat', materialize: {sub_dir: tables}}"),
        ),
        Case(
            "Kept images inside those of another step",
            {
                "config/pipeline.yaml": "steps:\n"
                "  - {name: a, func: openhcs:tophat, materialize: {backend: disk}}\n"
                "  - {name: b, func: openhcs:tophat, materialize: {sub_dir: images/a}}\n"
            },
        ),
        Case(
            "A setting of one step only in the defaults",
            {"config/pipeline.yaml": "defaults: {passthrough: [DAPI]}\n" + PIPELINE},
        ),
        Case(
            "Defaults of the config that contradict a step",
            {
                "config/config.yaml": CONFIG + "defaults: {variable_components: [channel]}\n",
                **_step("{name: s, group_by: channel, func: {DAPI: openhcs:tophat}}"),
            },
        ),
        Case("A channel the plate does not have", _step("{name: s, func: {GFP: openhcs:tophat}}")),
        Case(
            "A well without a function, and a function for a well that does not exist",
            _step("{name: s, group_by: well, func: {A01: openhcs:tophat, B07: openhcs:tophat}}"),
        ),
        Case(
            "A mistake in one well's function",
            _step(
                "{name: s, group_by: well, passthrough: [A02], "
                "func: {A01: {openhcs:tophat: {selem: 3}}}}"
            ),
        ),
        Case(
            "Wells stacked",
            _step("{name: s, func: 'openhcs:max_projection', variable_components: [well]}"),
        ),
        Case(
            "An override for a well that does not exist",
            {
                "config/pipeline.yaml": PIPELINE
                + "overrides:\n  - {wells: [B07], set: {count: {min_area: 40}}}\n"
            },
        ),
        Case(
            "An override of a step that does not exist",
            {
                "config/pipeline.yaml": PIPELINE
                + "overrides:\n  - {wells: [A02], set: {cout: {min_area: 40}}}\n"
            },
        ),
    ],
    "Modules of your own": [
        Case("A module that is not there", WITH_MODULE),
        Case("A module that is not Python", _module("def flatten(:\n")),
        Case(
            "A module that raises when it is imported",
            _module("import labtools_of_ours\n"),
        ),
        Case(
            "A module without functions for pipelines",
            _module("def flatten(image_stack):\n    return image_stack\n"),
        ),
        Case(
            "A function that does not say what arrays it takes",
            _module(
                "from openhcs_core.memory import numpy\n\n\n"
                "@numpy\ndef smooth(image_stack):\n    return image_stack\n\n\n"
                "def flatten(image_stack):\n    return image_stack\n",
                USING_IT,
            ),
        ),
        Case(
            "Functions that pipelines cannot use",
            _module(
                "from openhcs_core.memory import numpy\n\n"
                "flatten = numpy(lambda image_stack: image_stack)\n\n\n"
                "@numpy\ndef smooth(image_stack, kernel={1, 2}):\n    return image_stack\n",
                USING_IT,
            ),
        ),
        Case(
            "A function for arrays that nothing here can hold",
            _module(
                "from openhcs_core.memory import memory_types\n\n\n"
                '@memory_types(input_type="cupy", output_type="cupy")\n'
                "def flatten(image_stack):\n    return image_stack\n",
                USING_IT,
            ),
        ),
        Case(
            "A name that a library has",
            {"config/config.yaml": CONFIG + "functions: [workflow/functions/torch.py]\n"},
        ),
        Case(
            "Two modules of one name",
            {"config/config.yaml": CONFIG + "functions: [first/mine.py, second/mine.py]\n"}
            | dict.fromkeys(
                ("first/mine.py", "second/mine.py"),
                "from openhcs_core.memory import numpy\n\n\n"
                "@numpy\ndef flatten(image_stack):\n    return image_stack\n",
            ),
        ),
    ],
    "Results of functions, found by the job that calls them": [
        Case(
            "A result that is no array",
            _module(_FLATTEN.format("image_stack.tolist()"), USING_IT),
            job="A02",
        ),
        Case(
            "A result that is no stack",
            _module(_FLATTEN.format("image_stack[0]"), USING_IT),
            job="A02",
        ),
    ],
    "Images, found by the job that reads them": [
        Case("Text named `.TIF`", change=_bytes(lambda _: b"Thursday"), job="A02"),
        Case("A file of 0 bytes", change=_bytes(lambda _: b""), job="A02"),
        Case("A truncated file", change=_bytes(lambda image: image[: len(image) // 2]), job="A02"),
        Case(
            "A file whose end was overwritten with zeros",
            change=_bytes(lambda image: image[:8] + bytes(len(image) - 8)),
            job="A02",
        ),
        Case(
            "A git-LFS pointer instead of the image",
            change=_bytes(lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
            job="A02",
        ),
        Case("An image of another shape", change=_array(np.zeros((32, 64), "u2")), job="A02"),
        Case("An image of another dtype", change=_array(np.zeros((64, 64), "f4")), job="A02"),
    ],
    "Functions, while they run": [
        Case(
            "A function that raises",
            {"config/pipeline.yaml": PIPELINE.replace("sigma: 1", "sigma: -1")},
            job="A02",
        ),
        Case(
            "Values that do not fit the dtype asked for",
            _step("{name: s, func: 'openhcs:tophat', output_dtype: uint8}"),
            job="A02",
        ),
    ],
    "In Python: the compiler's phases": [
        Case(
            "A phase before its predecessor",
            script="from openhcs_core.compiler import PipelinePathPlanner\n\n"
            "PipelinePathPlanner.prepare_pipeline_paths(context, steps, orchestrator)\n",
        ),
        Case(
            "A phase left out",
            script=f"{_START}PipelineCompiler.plan_materialization_flags_for_context("
            "context, steps, orchestrator)\n",
        ),
        Case(
            "Other steps than in the phase before",
            script=f"{_START}steps.append(FunctionStep(func=tophat))\n"
            "PipelineCompiler.declare_zarr_stores_for_context(context, steps, orchestrator)\n",
        ),
        Case(
            "A function that jobs cannot import, and a misspelt parameter",
            script='steps.append(FunctionStep(func=lambda stack: stack, name="own"))\n'
            'steps.append(FunctionStep(func=(tophat, {"selem": 3}), name="hat"))\n' + _START,
        ),
        Case(
            "A well that the plate does not have",
            script='context = ProcessingContext(config, "H12", None)\n' + _START,
        ),
        Case(
            "A frozen context that is compiled again",
            script=f"context.freeze()\n{_START}",
        ),
        Case(
            "A frozen context that is changed", script='context.freeze()\ncontext.well_id = "A01"\n'
        ),
        Case(
            "A step plan that is changed",
            script=f'{_START}context.step_plans[0]["output_dir"] = "elsewhere"\n',
        ),
        Case(
            "Values that the other library has no type for",
            script="""import numpy

from openhcs_core.memory.conversion_functions import convert_numpy_to_pyclesperanto

convert_numpy_to_pyclesperanto(numpy.zeros((2, 3, 4)))
""",
        ),
        Case(
            "An array of no known library",
            script="""from openhcs_core.memory.conversion_functions import convert_numpy_to_torch

convert_numpy_to_torch([[1, 2], [3, 4]])
""",
        ),
        Case(
            "Step plans that do not go together",
            script="""step_plan = {
    "step_name": "stitch",
    "input_memory_type": "nunpy",
    "output_memory_type": "cupy",
    "gpu_id": None,
    "read_backend": "tape",
    "special_inputs": {"positions": {"path": "/vfs/positions.pkl", "backend": "memory"}},
}
validate_system_integration([step_plan])
""",
        ),
    ],
    "In Python: storage": [
        _storage_case("A backend that does not exist", 'files.load("a.tif", "tape")'),
        _storage_case(
            "A backend that cannot do it", 'files.mirror_directory("plate", "mirror", "zarr")'
        ),
        _storage_case("An ending without a format", 'files.save(image, "a.jpg", "disk")'),
        _storage_case("Values that a format cannot hold", 'files.save(image, "a.png", "disk")'),
        _storage_case(
            "An option of another format", 'files.save(image, "a.npy", "disk", pixel_size_um=0.65)'
        ),
        _storage_case("A name that is taken", 'files.move("config", "plate", "disk")'),
        _storage_case(
            "A folder that is a file",
            'files.save(image, "config/config.yaml/a.tif", "disk")',
        ),
        _storage_case(
            "A mirror of links that lead nowhere",
            'files.mirror_directory("plate", "mirror", "disk")',
            change=lambda project: (project / "plate/lost.TIF").symlink_to("nowhere"),
        ),
    ],
}
