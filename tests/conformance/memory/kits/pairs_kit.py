"""Every pair of memory types that can be on a CPU, all libraries in one process."""

import os

os.environ.setdefault("JAX_ENABLE_X64", "1")

import itertools
import warnings

import numpy as np
import pytest

from openhcs_core.constants import GPU_ONLY_MEMORY_TYPES, MemoryType
from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory import conversion_functions as functions
from openhcs_core.memory import convert_memory, get_framework, plan_conversion
from openhcs_core.testing.memory import (
    EXCHANGED_DTYPES,
    assert_same_bits,
    example_stack,
    hostile_arrays,
)

# OpenCL first: PoCL ends a process that loaded tensorflow before
get_framework("pyclesperanto").prepare()

ALL = [kind for kind in MemoryType if kind is not MemoryType.UNKNOWN]
KINDS = [kind for kind in ALL if kind not in GPU_ONLY_MEMORY_TYPES]
PAIRS = list(itertools.product(KINDS, repeat=2))
SHARED = {"torch", "numpy"}


def _make(kind, values):
    return convert_memory(values, "numpy", kind, copy=True)


def _host(kind, array):
    return convert_memory(array, kind, "numpy")


def _function(source, target):
    return getattr(functions, f"convert_{source}_to_{target}")


def test_there_is_a_function_for_each_of_the_36_pairs():
    for source, target in itertools.product(ALL, repeat=2):
        function = _function(source, target)
        assert (function.source, function.target) == (source, target)
    assert len(functions.__all__) == 36 + 2


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_type_of_value_arrives_with_every_bit_or_is_refused(source, target):
    for dtype in EXCHANGED_DTYPES:
        values = example_stack(dtype)
        if dtype not in get_framework(source).dtypes:
            continue
        array = _make(source, values)
        if dtype not in get_framework(target).dtypes:
            with pytest.raises(MemoryConversionError, match=f"has no {dtype}"):
                _function(source, target)(array)
            continue
        for copy in (None, True):
            assert_same_bits(_host(target, _function(source, target)(array, copy=copy)), values)
        assert_same_bits(_host(source, array), values)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_handed_over_array_goes_by_the_planned_route(source, target):
    values = example_stack("float32")
    array = _make(source, values)
    route = plan_conversion(get_framework(source).describe(array), source, target, is_kept=False)
    if route.copies:
        with pytest.raises(MemoryConversionError, match="copy=False forbids"):
            _function(source, target)(array, copy=False)
        assert MemoryType.PYCLESPERANTO in (source, target)
        return
    assert_same_bits(_host(target, _function(source, target)(array, copy=False)), values)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_view_and_its_source_are_alike_in_who_may_write(source, target):
    """Writing to either never changes what its library holds to be unchanging."""
    values = example_stack("float32")
    array = _make(source, values)
    result = _function(source, target)(array)
    for kind, written, other, other_kind in (
        (source, array, result, target),
        (target, result, array, source),
    ):
        if kind == "torch":
            written.zero_()
        elif kind == "numpy" and written.flags.writeable:
            written[...] = 0
        else:
            continue
        if {source, target} <= SHARED:  # both may be written to: one memory, as both libraries say
            assert_same_bits(_host(other_kind, other), np.zeros_like(values))
        else:
            assert_same_bits(_host(other_kind, other), values)


@pytest.mark.parametrize("target", KINDS)
def test_tensors_that_lie_oddly_arrive(target, tmp_path):
    import torch

    convert = _function("torch", target)
    wide = torch.arange(240, dtype=torch.float32).reshape(6, 40)
    for tensor in (
        wide.t(), wide[::2, ::3], wide[1:], wide.flatten()[1:], wide[:, :1], wide[:1].expand(3, 40),
        torch._neg_view(wide), wide.clone().requires_grad_(), torch.ones(1, 5)[:, ::2],
    ):  # fmt: skip
        expected = tensor.detach().resolve_neg().numpy().copy()
        assert_same_bits(_host(target, convert(tensor)), expected)
    if target != "pyclesperanto":
        conjugate = torch.full((3,), 1 + 2j, dtype=torch.complex64).conj()
        assert_same_bits(_host(target, convert(conjugate)), np.full(3, 1 - 2j, "complex64"))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "numpy"])
def test_handing_over_hostile_memory_is_right_or_refused(kind, tmp_path):
    convert = _function("numpy", kind)
    for what, array in hostile_arrays("uint16", tmp_path):
        expected = np.ascontiguousarray(array).copy()
        facts = get_framework("numpy").describe(array)
        if plan_conversion(facts, "numpy", kind, is_kept=False).copies:
            with pytest.raises(MemoryConversionError, match="copy=False forbids"):
                convert(array, copy=False)
        else:
            assert_same_bits(_host(kind, convert(array, copy=False)), expected, what)


def test_jax_refuses_types_it_would_narrow():
    import jax

    for source in ("numpy", "torch", "tensorflow"):
        array = _make(source, np.zeros(3, "float64"))
        with jax.enable_x64(False), warnings.catch_warnings(action="ignore"):
            with pytest.raises(MemoryConversionError, match="JAX_ENABLE_X64=1"):
                _function(source, "jax")(array)
            narrow = _function(source, "jax")(array, dtype="float32")
            assert narrow.dtype == np.float32
