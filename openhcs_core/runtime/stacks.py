"""Planes that were read straight into the memory of their stack."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def find_stack(planes: Sequence["NDArray[Any]"]) -> "NDArray[Any] | None":
    """Return the array ``[Z, Y, X]`` whose slices `planes` are, all of them and in order.

    Parameters
    ----------
    planes : sequence of ndarray, shape (Y, X)
        At least one.

    Returns
    -------
    ndarray or None
        None where they are anything else: no views, views of a part or in another order, or
        of an array that is not writable or does not own its memory.
    """
    import numpy as np

    stack = planes[0].base
    if not isinstance(stack, np.ndarray) or not (stack.flags.owndata and stack.flags.writeable):
        return None
    if stack.shape != (len(planes), *planes[0].shape) or not stack.flags.c_contiguous:
        return None
    is_slice = (
        plane.base is stack
        and plane.dtype == stack.dtype
        and plane.flags.c_contiguous
        and plane.shape == part.shape
        and plane.ctypes.data == part.ctypes.data
        for plane, part in zip(planes, stack, strict=True)
    )
    return stack if all(is_slice) else None
