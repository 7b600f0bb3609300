"""What the registry reads from the functions without calling them."""

import inspect
import subprocess
import sys
import typing

import pytest
from pydantic import TypeAdapter, ValidationError

from openhcs_core.constants import MemoryType
from openhcs_core.functions.segment import count_cells_single_channel
from openhcs_core.pipeline.function_contracts import ProcessingContract
from openhcs_core.registry.openhcs_registry import OpenHCSRegistry

CONTRACTS = {
    "correct_illumination": ProcessingContract.PURE_2D,
    "estimate_illumination": ProcessingContract.PLATE,
    "normalize_to_controls": ProcessingContract.PLATE,
    "z_prime": ProcessingContract.PLATE,
    "count_cells_single_channel": ProcessingContract.PURE_2D,
    "max_projection": ProcessingContract.VOLUMETRIC_TO_SLICE,
    "measure_intensity": ProcessingContract.PURE_2D,
    "stack_percentile_normalize": ProcessingContract.PURE_3D,
    "tophat": ProcessingContract.PURE_2D,
}
REGISTRY = OpenHCSRegistry()
ALL = [REGISTRY.load_function(ref.split(":")[1]) for ref in REGISTRY.get_functions()]


def _parameters(function):
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return [(parameter, TypeAdapter(hints[parameter.name])) for parameter in parameters]


def test_every_public_function_is_declared_for_numpy_with_its_contract():
    assert {f.__name__: f.processing_contract for f in ALL} == CONTRACTS
    assert {f.input_memory_type for f in ALL} == {MemoryType.NUMPY}


@pytest.mark.parametrize("function", ALL, ids=lambda f: f.__name__)
def test_parameters_are_keywords_with_a_schema_and_a_valid_default(function):
    linked = getattr(function, "special_inputs", ())
    for parameter, adapter in _parameters(function):
        if parameter.name in linked:  # given by an earlier function, not by a pipeline
            continue
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert adapter.json_schema()["description"]
        if parameter.default is not inspect.Parameter.empty:
            assert adapter.validate_python(parameter.default) == parameter.default


def test_limits_are_part_of_the_schema():
    schemas = {p.name: a for p, a in _parameters(count_cells_single_channel)}
    for name, value in (("min_area", 0), ("sigma", -1), ("detection_method", "magic")):
        with pytest.raises(ValidationError):
            schemas[name].validate_python(value)


def test_importing_the_functions_loads_no_array_library():
    code = (
        "import sys, openhcs_core.materialization.engine;"
        "from openhcs_core.functions import measure, preprocess, project, segment;"
        "print([m for m in ('numpy', 'scipy', 'skimage', 'pandas', 'roifile') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
