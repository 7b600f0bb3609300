"""Casts that are asked for: no value is lost without an error."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cast_array(array: "NDArray[Any]", dtype: str) -> "NDArray[Any]":
    """Return `array` as another type of value; itself where that is its type.

    Floats become integers by rounding to the nearest, and floats of less precision by
    rounding too; infinities and NaN stay what they are in floating types.

    Raises
    ------
    ValueError
        A value is out of range, an integer would lose digits in a floating type, a complex
        number its imaginary part, or a number other than 0 and 1 would be a truth value.
    """
    import numpy as np

    target = np.dtype(dtype)
    if array.dtype == target:
        return array
    if array.size == 0:
        return array.astype(target)
    cast = _cast_to_integer(array, target) if target.kind in "iu" else _cast(array, target)
    if cast is None:
        raise ValueError(f"values {array.min()}…{array.max()} do not fit {dtype}")
    return cast


def _cast_to_integer(array: "NDArray[Any]", target: Any) -> "NDArray[Any] | None":
    import numpy as np

    if array.dtype.kind == "c":
        return None
    whole = np.rint(array) if array.dtype.kind == "f" else array
    limits = np.iinfo(target)
    # NaN compares as false and is refused with the rest
    fits = bool(whole.min() >= limits.min and whole.max() <= limits.max)
    return whole.astype(target) if fits else None


def _cast(array: "NDArray[Any]", target: Any) -> "NDArray[Any] | None":
    import numpy as np

    if array.dtype.kind == "c" and target.kind != "c":
        return None
    with np.errstate(over="ignore"):
        cast: NDArray[Any] = array.astype(target)
    lost = np.isinf(cast) != np.isinf(array)
    if array.dtype.kind in "iu":
        lost |= cast.astype(np.float64 if target.kind != "c" else target) != array
    elif target.kind == "b":
        lost |= cast != array
    return None if lost.any() else cast
