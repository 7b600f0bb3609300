"""Checks that every function makes of the stack it is given."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def checked_stack(image_stack: Any, function: str) -> "NDArray[Any]":
    """Return `image_stack` as it is, once it is known to be a stack of finite real numbers.

    Parameters
    ----------
    image_stack : numpy.ndarray
        Shape ``[Z, Y, X]``, none of them 0; any integer or floating dtype.
    function : str
        Name of the caller, for messages.

    Raises
    ------
    ValueError
        Not three axes, an empty axis, another kind of dtype, NaN or infinity.
    """
    import numpy as np

    stack: NDArray[Any] = np.asarray(image_stack)
    if stack.ndim != 3 or stack.size == 0:
        raise ValueError(
            f"{function} takes a stack of shape [Z, Y, X] without empty axes, got {stack.shape}"
        )
    if stack.dtype.kind not in "iuf":
        raise ValueError(f"{function} takes integers or floats, got dtype {stack.dtype}")
    if stack.dtype.kind == "f":
        _refuse_non_finite(stack, function)
    return stack


def _refuse_non_finite(stack: "NDArray[np.floating[Any]]", function: str) -> None:
    import numpy as np

    bad = int(stack.size - np.count_nonzero(np.isfinite(stack)))
    if bad:
        raise ValueError(
            f"{function} got {bad} NaN or infinite pixels of {stack.size}; "
            "replace them in an earlier step, or find the step that made them"
        )
