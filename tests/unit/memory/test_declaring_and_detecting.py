"""Decorators are metadata; detection imports nothing."""

import datetime as dt
import inspect
import subprocess
import sys
import types

import numpy as np
import pytest

from openhcs_core import memory
from openhcs_core.constants import MemoryType
from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory import detect_memory_type, get_framework, memory_types, require_memory_type
from openhcs_core.memory.frameworks import discover_frameworks

KINDS = [kind for kind in MemoryType if kind is not MemoryType.UNKNOWN]


def _blur(image_stack, sigma: float = 2.0):
    """Say something."""
    return image_stack, sigma


@pytest.mark.parametrize("kind", KINDS)
def test_a_decorator_leaves_the_function_as_it_is(kind):
    def blur(image_stack, sigma: float = 2.0):
        """Say something."""
        return image_stack, sigma

    decorate = getattr(memory, kind)
    assert decorate(blur) is blur
    assert (blur.input_memory_type, blur.output_memory_type) == (kind, kind)
    assert blur.oom_recovery is False
    assert (blur.__doc__, blur(3)) == ("Say something.", (3, 2.0))
    assert inspect.signature(blur) == inspect.signature(_blur)
    assert decorate(input_type="numpy", oom_recovery=True)(blur) is blur
    assert (blur.input_memory_type, blur.output_memory_type) == ("numpy", kind)
    assert blur.oom_recovery is True
    assert decorate.__name__ == kind
    assert kind in decorate.__doc__


def test_mixed_types_are_declared_and_wrong_ones_refused():
    @memory_types(input_type="numpy", output_type="torch")
    def mixed(image_stack):
        return image_stack

    assert (mixed.input_memory_type, mixed.output_memory_type) == ("numpy", "torch")
    with pytest.raises(ValueError, match="'nonsense' is not a valid MemoryType"):
        memory_types(input_type="nonsense", output_type="numpy")


def test_detection_tells_numpy_from_the_rest():
    assert detect_memory_type(np.zeros(1)) is MemoryType.NUMPY
    assert detect_memory_type(np.zeros(1).view(np.ma.MaskedArray)) is MemoryType.NUMPY
    for other in ([1], None, np.float32(1), memoryview(b"1")):
        assert detect_memory_type(other) is MemoryType.UNKNOWN
    with pytest.raises(MemoryConversionError, match="Unknown memory type - cannot process builti"):
        require_memory_type([1])


def test_detection_imports_nothing_and_bears_modules_that_are_being_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    assert detect_memory_type([1]) is MemoryType.UNKNOWN
    code = (
        "import sys; from openhcs_core.memory import *; "
        "assert detect_memory_type([1]) == 'unknown'; installed_memory_types(); "
        "find_route('torch', 'jax', on_gpu=False, dtype='uint8'); "
        "print([name for name in ('numpy', 'torch', 'jax', 'tensorflow', 'cupy', 'pyclesperanto') "
        "if name in sys.modules and hasattr(sys.modules[name], '__path__')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_no_such_framework_lists_those_there_are():
    with pytest.raises(MemoryConversionError, match="no framework for it; available: numpy, cupy"):
        get_framework("abacus")


def test_values_that_are_no_arrays_cost_no_look_at_installed_distributions(monkeypatch):
    discover_frameworks()

    def refuse(**_):
        raise AssertionError("looked through the installed distributions")

    monkeypatch.setattr("importlib.metadata.distributions", refuse)
    monkeypatch.setattr("openhcs_core.memory.frameworks.entry_points", refuse)
    for value in ([1], "text", None, 1.5, dt.date(2026, 1, 2), object()):
        assert detect_memory_type(value) is MemoryType.UNKNOWN
