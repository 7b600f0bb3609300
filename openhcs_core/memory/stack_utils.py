"""Planes to stacks and back: every function sees ``[Z, Y, X]``, files hold ``[Y, X]``."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from openhcs_core.constants import MemoryType
from openhcs_core.errors import (
    InputDataError,
    MemoryConversionError,
    StepFunctionError,
    located,
)
from openhcs_core.memory.conversion import convert_memory
from openhcs_core.memory.detection import (
    UNKNOWN_MEMORY_TYPE,
    detect_memory_type,
    require_memory_type,
)
from openhcs_core.memory.frameworks import get_framework, remedy_for


def stack_slices(
    slices: Sequence[Any],
    memory_type: str,
    gpu_id: int | None = None,
    *,
    who: str = "stack",
) -> Any:
    """Stack 2-D planes along a new first axis.

    Parameters
    ----------
    slices : sequence of array, shape (Y, X)
        At least one, of any memory type; all of one shape and dtype.
    memory_type : str
        Memory type of the result.
    gpu_id : int, optional
        Device of the result, for memory types that live on one; numpy does not.
    who : str
        Named in messages, e.g. ``step 'count', well B02``.

    Returns
    -------
    array, shape (Z, Y, X)
        A new array in `memory_type`; each slice is copied into it once.

    Raises
    ------
    InputDataError
        No slices, a slice that is not 2-D, or slices that differ in shape or dtype.
    MemoryConversionError
        The memory type lacks their dtype, or the device; or its library is not there.
    """
    if not slices:
        raise InputDataError(f"{who}: no slices to stack; expected at least one 2-D plane")
    with _naming(who):
        kinds = [require_memory_type(plane, memory_type) for plane in slices]
        _check_alike(slices, kinds, who)
        target = get_framework(memory_type)
        try:
            planes = [
                _bring(plane, kind, memory_type, gpu_id)
                for plane, kind in zip(slices, kinds, strict=True)
            ]
            return target.stack(planes, gpu_id)
        except ImportError as error:
            reason = f"{error}; {remedy_for(memory_type)}"
            raise MemoryConversionError(kinds[0], str(memory_type), "import", reason) from error


def _check_alike(slices: Sequence[Any], kinds: Sequence[MemoryType], who: str) -> None:
    found = [
        (tuple(plane.shape), _dtype_name(plane, kind))
        for plane, kind in zip(slices, kinds, strict=True)
    ]
    for number, (shape, dtype) in enumerate(found):
        if len(shape) != 2:
            raise InputDataError(f"{who}: slice {number} has shape {shape}; expected 2-D (Y, X)")
        if (shape, dtype) != found[0]:
            raise InputDataError(
                f"{who}: slice {number} is {shape} {dtype} but slice 0 is "
                f"{found[0][0]} {found[0][1]}; planes of one stack must be alike: stack other "
                "components (variable_components), or set output_dtype in the step before"
            )


def _dtype_name(plane: Any, kind: MemoryType) -> str:
    if kind is MemoryType.NUMPY:
        return str(plane.dtype)  # says the byte order too
    return get_framework(kind).describe(plane).dtype


def _bring(plane: Any, kind: MemoryType, memory_type: str, gpu_id: int | None) -> Any:
    """Return a plane as what the stack of a memory type is made from: numpy's, or its own."""
    if kind in (memory_type, MemoryType.NUMPY):
        return plane
    is_on_gpu = get_framework(kind).describe(plane).gpu_id is not None
    to = memory_type if is_on_gpu and gpu_id is not None else MemoryType.NUMPY
    return convert_memory(plane, kind, to)


@contextmanager
def _naming(who: str) -> Iterator[None]:
    """Note who asked for a conversion that fails."""
    try:
        yield
    except MemoryConversionError as error:
        located(error, who)
        raise


def unstack_slices(
    array: Any,
    memory_type: str = MemoryType.NUMPY,
    gpu_id: int | None = None,
    *,
    who: str = "the function",
) -> list[Any]:
    """Return the 2-D planes of a 3-D array of any memory type.

    Parameters
    ----------
    array : array, shape (Z, Y, X)
        Of any memory type.
    memory_type : str
        Memory type of the planes.
    gpu_id : int, optional
        Device of the planes, for memory types that live on one; numpy does not.
    who : str
        Named in messages, e.g. ``step 'count': openhcs:max_projection``.

    Returns
    -------
    list of array, shape (Y, X)
        Views of one array where the memory type allows it; read-only where `array` must not
        be written to.

    Raises
    ------
    StepFunctionError
        `array` is not an array, or not 3-D.
    MemoryConversionError
        The memory type lacks its dtype, or the device; or its library is not there.
    """
    kind = detect_memory_type(array)
    if kind is MemoryType.UNKNOWN:
        raise StepFunctionError(
            f"{who} returned {type(array).__name__}; expected an array of shape [Z, Y, X] "
            f"({UNKNOWN_MEMORY_TYPE} {type(array).__name__})"
        )
    shape = tuple(array.shape)
    if len(shape) != 3 or 0 in shape:
        raise StepFunctionError(
            f"{who} returned shape {list(shape)}; expected a 3-D stack [Z, Y, X]"
        )
    with _naming(who):
        converted = convert_memory(array, kind, memory_type, gpu_id)
    return [converted[number] for number in range(shape[0])]
