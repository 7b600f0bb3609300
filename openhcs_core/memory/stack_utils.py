"""Planes to stacks and back: every function sees ``[Z, Y, X]``, files hold ``[Y, X]``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from openhcs_core.constants import MemoryType
from openhcs_core.errors import InputDataError, StepFunctionError
from openhcs_core.memory.detection import detect_memory_type
from openhcs_core.memory.frameworks import get_framework

if TYPE_CHECKING:
    from numpy.typing import NDArray


def stack_slices(
    slices: Sequence["NDArray[Any]"],
    memory_type: str,
    gpu_id: int | None = None,
    *,
    who: str = "stack",
) -> Any:
    """Stack 2-D planes along a new first axis.

    Parameters
    ----------
    slices : sequence of ndarray, shape (Y, X)
        At least one; all of one shape and dtype.
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
    """
    import numpy as np

    if not slices:
        raise InputDataError(f"{who}: no slices to stack; expected at least one 2-D plane")
    first = slices[0]
    for number, plane in enumerate(slices):
        if plane.ndim != 2:
            raise InputDataError(
                f"{who}: slice {number} has shape {plane.shape}; expected 2-D (Y, X)"
            )
        if plane.shape != first.shape or plane.dtype != first.dtype:
            raise InputDataError(
                f"{who}: slice {number} is {plane.shape} {plane.dtype} but slice 0 is "
                f"{first.shape} {first.dtype}; planes of one stack must be alike: stack other "
                "components (variable_components), or set output_dtype in the step before"
            )
    stack = np.empty((len(slices), *first.shape), dtype=first.dtype)
    for number, plane in enumerate(slices):
        stack[number] = plane
    return get_framework(memory_type).from_numpy(stack, gpu_id)


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
        Views of one array where the memory type allows it.

    Raises
    ------
    StepFunctionError
        `array` is not an array, or not 3-D.
    """
    kind = detect_memory_type(array)
    if kind is MemoryType.UNKNOWN:
        raise StepFunctionError(
            f"{who} returned {type(array).__name__}; expected an array of shape [Z, Y, X]"
        )
    host = get_framework(kind).to_numpy(array)
    if host.ndim != 3 or host.size == 0:
        raise StepFunctionError(
            f"{who} returned shape {list(host.shape)}; expected a 3-D stack [Z, Y, X]"
        )
    return list(get_framework(memory_type).from_numpy(host, gpu_id))
