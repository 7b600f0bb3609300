# ruff: noqa: D102, FBT001, S301  # a test's name says what it checks; its values are parameters
"""What every memory type promises, as a pytest class to subclass.

A subclass names the type and makes an array of its library in the library's own way::

    class TestMine(MemoryTypeTests):
        memory_type = "mine"

        def make(self, values):
            return mine.array(values)
"""

import pickle
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from openhcs_core.errors import InputDataError, MemoryConversionError, StepFunctionError
from openhcs_core.memory import (
    cleanup_all_gpu_frameworks,
    cleanup_gpu_memory_by_framework,
    convert_memory,
    detect_memory_type,
    get_framework,
    is_out_of_memory,
    stack_slices,
    unstack_slices,
)
from openhcs_core.memory.layout import EXCHANGED_DTYPES, allocate, own_copy

SHAPE = (3, 5, 7)
TOO_MANY = (2**16, 2**16, 2**16)
"""A shape that fits into no memory, of bytes even."""


def example_stack(dtype: str, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> NDArray[Any]:
    """Return an array with random bits, extremes, and for floats NaN, infinities and -0.0."""
    kind = np.dtype(dtype)
    raw = np.random.default_rng(seed).bytes(int(np.prod(shape)) * kind.itemsize)
    if kind.kind == "b":
        stack = (np.frombuffer(raw, np.uint8) % 2).astype(kind)
    else:
        stack = np.frombuffer(raw, kind).copy()
    if kind.kind in "iu":
        stack[:2] = np.iinfo(kind).min, np.iinfo(kind).max
    if kind.kind in "fc":
        stack[~np.isfinite(stack)] = 1
        stack[:4] = np.nan, np.inf, -np.inf, -0.0
    return stack.reshape(shape)


def assert_same_bits(found: Any, expected: NDArray[Any], what: str = "") -> None:
    """Assert equal shape, dtype but for byte order, and bits of every value."""
    assert isinstance(found, np.ndarray), what
    kinds = [array.dtype.newbyteorder("=") for array in (found, expected)]
    assert (kinds[0], found.shape) == (kinds[1], expected.shape), what
    bits = [np.asarray(array, kinds[0]).tobytes() for array in (found, expected)]
    assert bits[0] == bits[1], what


def hostile_arrays(dtype: str, folder: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield arrays that some library cannot take as they are, each with what is odd about it.

    Parameters
    ----------
    dtype : str
        Their type of value.
    folder : Path
        For a file that is memory-mapped.
    """
    stack = example_stack(dtype)
    wide = example_stack(dtype, (3, 10, 14), seed=1)
    yield "every other value", wide[:, ::2, ::2]
    yield "negative strides", stack[::-1, :, ::-1]
    yield "negative strides of one item", stack[:1][::-1]
    yield "transposed", stack.transpose(2, 0, 1)
    yield "Fortran order", np.asfortranarray(stack)
    yield "broadcast", np.broadcast_to(stack[0], SHAPE)
    yield "a part of rows", wide[:1, :5, :7]
    yield "other byte order", stack.astype(stack.dtype.newbyteorder(">"))
    yield "read-only", _read_only(stack)
    for offset in (1, 8, 16, 32):
        if offset % stack.itemsize == 0:
            yield f"{offset} bytes off", _moved(stack, offset)
    yield "not at a multiple of its item size", _moved(stack, 3)
    np.save(folder / "stack.npy", stack)
    for mode in ("r", "c", "r+"):
        yield f"memory-mapped {mode}", np.load(folder / "stack.npy", mmap_mode=mode)
    records = np.zeros(SHAPE, [("padding", "u1"), ("value", stack.dtype)])
    records["value"] = stack
    yield "a field of records", records["value"]


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    copy = own_copy(array)
    copy.flags.writeable = False
    return copy


def _moved(array: NDArray[Any], offset: int) -> NDArray[Any]:
    raw = allocate((array.nbytes + offset,), "u1")
    moved = raw[offset:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


class MemoryTypeTests(ABC):
    """Arrays come from numpy and go back with every bit, and no memory is shared wrongly.

    Attributes
    ----------
    memory_type : str
        Under test.
    can_hold : tuple of str
        The types of values it is to take; of all others it is to refuse the conversion.
    has_empty : bool
        Whether it has arrays without values or axes; else it is to refuse them.
    gpu_id : int or None
        The device to test on.
    """

    memory_type: ClassVar[str]
    can_hold: ClassVar[tuple[str, ...]] = EXCHANGED_DTYPES
    has_empty: ClassVar[bool] = True
    gpu_id: ClassVar[int | None] = None

    @abstractmethod
    def make(self, values: NDArray[Any]) -> Any:
        """Return an array of the library, made by the library itself from a copy of `values`."""

    def exhaust(self) -> Any:
        """Ask the library for more memory than any machine has: it is to raise its own error."""
        return np.ones(TOO_MANY, np.uint8)

    def to_mine(self, array: NDArray[Any], **options: Any) -> Any:
        return convert_memory(array, "numpy", self.memory_type, self.gpu_id, **options)

    def to_numpy(self, array: Any, **options: Any) -> NDArray[Any]:
        found: NDArray[Any] = convert_memory(array, self.memory_type, "numpy", **options)
        return found

    @pytest.mark.parametrize("copy", [None, True])
    @pytest.mark.parametrize("dtype", EXCHANGED_DTYPES)
    def test_round_trip_keeps_every_bit_or_is_refused(self, dtype: str, copy: bool | None) -> None:
        stack = example_stack(dtype)
        if dtype not in self.can_hold:
            with pytest.raises(MemoryConversionError, match=f"{self.memory_type}.*{dtype}"):
                self.to_mine(stack)
            return
        mine = self.to_mine(stack, copy=copy)
        assert detect_memory_type(mine) == self.memory_type
        assert get_framework(self.memory_type).describe(mine).dtype == dtype
        assert get_framework(self.memory_type).describe(mine).gpu_id == self.gpu_id
        assert_same_bits(self.to_numpy(mine, copy=copy), stack)

    def test_what_the_library_makes_itself_arrives(self) -> None:
        stack = example_stack("float32")
        assert detect_memory_type(self.make(stack)) == self.memory_type
        assert_same_bits(self.to_numpy(self.make(stack)), stack)

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    def test_hostile_arrays_arrive_with_every_bit(self, tmp_path: Path, dtype: str) -> None:
        for what, array in hostile_arrays(dtype, tmp_path):
            expected = np.ascontiguousarray(array).copy()
            mine = self.to_mine(array)
            assert_same_bits(self.to_numpy(mine), expected, what)
            self.use(mine)
            assert_same_bits(np.asarray(array, array.dtype.newbyteorder("=")), expected, what)

    def use(self, array: Any) -> None:
        """Work on an array in its library, which ends the process where its memory is unfit."""
        _ = array[0], array[-1, 1:, 2:]

    @pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0, 3), ()])
    def test_arrays_without_axes_or_values_arrive_or_are_refused(
        self, shape: tuple[int, ...]
    ) -> None:
        empty = np.zeros(shape, "uint8")
        if not self.has_empty:
            with pytest.raises(MemoryConversionError, match=re.escape(str(list(shape)))):
                self.to_mine(empty)
            return
        mine = self.to_mine(empty)
        assert_same_bits(self.to_numpy(mine), empty)
        if empty.ndim:
            assert_same_bits(self.to_numpy(self.to_mine(empty[::-1])), empty)

    def test_types_that_no_library_exchanges_are_refused(self) -> None:
        if self.memory_type == "numpy":
            return
        for array in (
            np.array([object()]), np.array(["text"]), np.array([1], "M8[s]"), np.zeros(2, "u1,f4"),
        ):  # fmt: skip
            with pytest.raises(MemoryConversionError):
                self.to_mine(array)
        with pytest.raises(MemoryConversionError, match="mask"):
            self.to_mine(np.ma.masked_equal(np.arange(3, dtype="u1"), 1))

    def test_a_cast_that_is_asked_for_is_made_and_one_that_loses_values_is_not(self) -> None:
        whole = np.arange(24, dtype="float64").reshape(2, 3, 4)
        assert_same_bits(self.to_numpy(self.to_mine(whole, dtype="uint8")), whole.astype("u1"))
        with pytest.raises(MemoryConversionError, match="do not fit uint8"):
            self.to_mine(whole * 100, dtype="uint8")

    def test_a_copy_shares_nothing(self) -> None:
        source = example_stack("uint8")
        before = source.copy()
        mine = self.to_mine(source, copy=True)
        source[...] = 0
        assert_same_bits(self.to_numpy(mine), before)
        back = self.to_numpy(mine, copy=True)
        back[...] = 0
        assert_same_bits(self.to_numpy(mine), before)

    def test_what_must_not_change_is_never_shared_with_what_may_be_written_to(self) -> None:
        framework = get_framework(self.memory_type)
        if not framework.is_immutable:
            return
        source = own_copy(example_stack("uint8"))
        before = source.copy()
        mine = self.to_mine(source)
        source[...] = 0
        assert_same_bits(self.to_numpy(mine), before)
        assert not self.to_numpy(mine).flags.writeable

    def test_writing_to_the_result_never_reaches_read_only_memory(self, tmp_path: Path) -> None:
        np.save(tmp_path / "stack.npy", example_stack("uint8"))
        mapped = np.load(tmp_path / "stack.npy", mmap_mode="r")
        mine = self.to_mine(mapped)
        host = self.to_numpy(mine)
        if host.flags.writeable and not np.shares_memory(host, mapped):
            host[...] = 0
        assert_same_bits(np.load(tmp_path / "stack.npy"), example_stack("uint8"))

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2", "float32"])
    def test_unstacking_undoes_stacking(self, dtype: str) -> None:
        stack = example_stack(dtype).astype(dtype)
        mine = stack_slices(list(stack), self.memory_type, self.gpu_id)
        assert detect_memory_type(mine) == self.memory_type
        assert_same_bits(self.to_numpy(mine), stack)
        for plane, expected in zip(unstack_slices(mine), stack, strict=True):
            assert_same_bits(plane, expected)
        own = unstack_slices(mine, self.memory_type, self.gpu_id)
        assert [detect_memory_type(plane) for plane in own] == [self.memory_type] * len(stack)
        again = stack_slices(own, self.memory_type, self.gpu_id)
        assert_same_bits(self.to_numpy(again), stack)

    def test_planes_that_lie_oddly_stack(self, tmp_path: Path) -> None:
        for what, array in hostile_arrays("uint16", tmp_path):
            mine = stack_slices(list(array), self.memory_type, self.gpu_id)
            assert_same_bits(self.to_numpy(mine), np.ascontiguousarray(array), what)

    def test_a_stack_has_memory_of_its_own(self) -> None:
        planes = list(example_stack("uint8"))
        before = np.stack(planes)
        mine = stack_slices(planes, self.memory_type, self.gpu_id)
        for plane in planes:
            plane[...] = 0
        assert_same_bits(self.to_numpy(mine), before)

    def test_planes_of_another_shape_or_type_do_not_stack(self) -> None:
        plane = self.make(example_stack("float32"))[0]
        for other in (example_stack("float32")[0, :2], example_stack("uint8")[0]):
            with pytest.raises(InputDataError, match="step 's': f: slice 1 is"):
                stack_slices([plane, other], self.memory_type, self.gpu_id, who="step 's': f")

    def test_results_that_are_no_stack_name_step_and_function(self) -> None:
        flat = self.make(example_stack("float32"))[0]
        with pytest.raises(StepFunctionError, match=r"step 's': f returned shape \[5, 7\]"):
            unstack_slices(flat, who="step 's': f")

    def test_running_out_of_memory_is_told_from_other_errors(self) -> None:
        with pytest.raises(Exception) as caught:  # noqa: PT011  every library has its own
            self.exhaust()
        assert is_out_of_memory(caught.value), repr(caught.value)
        wrapped = ValueError("what a function makes of it")
        wrapped.__cause__ = caught.value
        assert is_out_of_memory(wrapped)
        for error in (ValueError("out of range"), RuntimeError("wrong shape"), KeyError("memory")):
            assert not is_out_of_memory(error)

    def test_freeing_caches_leaves_arrays_as_they_are(self) -> None:
        stack = example_stack("float32")
        mine = self.to_mine(stack)
        cleanup_gpu_memory_by_framework(self.memory_type, self.gpu_id)
        cleanup_all_gpu_frameworks(self.gpu_id)
        assert_same_bits(self.to_numpy(mine), stack)

    def test_the_device_of_a_block_is_what_was_asked_for(self) -> None:
        stack = example_stack("float32")
        framework = get_framework(self.memory_type)
        with framework.on_device(self.gpu_id):
            made = self.make(stack)
            assert framework.describe(made).gpu_id == self.gpu_id
        assert_same_bits(self.to_numpy(made), stack)

    def test_a_device_that_is_not_there_is_refused(self) -> None:
        framework = get_framework(self.memory_type)
        if self.memory_type == "numpy":
            return
        with (
            pytest.raises(MemoryConversionError, match="sees no GPU 99"),
            framework.on_device(99),
        ):
            pass

    def test_errors_survive_another_process(self) -> None:
        with pytest.raises(MemoryConversionError) as caught:
            convert_memory([1], self.memory_type, "numpy")
        error = pickle.loads(pickle.dumps(caught.value))
        assert str(error) == str(caught.value)
        assert str(error).startswith("Failed to convert unknown → numpy via detection: ")
        assert "Unknown memory type - cannot process builtins.list" in error.reason
