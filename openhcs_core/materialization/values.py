"""Single values: numbers, text and nothing, from whatever library they come."""

import datetime as dt
import math
import sys
from enum import Enum
from numbers import Integral, Real
from typing import Any, TypeAlias

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization.sources import as_array, describe

Single: TypeAlias = bool | int | float | str | None
_PLAIN = frozenset([bool, int, float, str])


def is_single(value: Any) -> bool:
    """Return whether :func:`single` takes a value."""
    if type(value) in _PLAIN:  # most values; what follows is slow
        return True
    if isinstance(value, Enum):
        return is_single(value.value)
    array = as_array(value)
    if array is not None:
        return array.ndim == 0 and array.dtype.names is None and is_single(array[()])
    kinds = (str, Real, dt.date, dt.time)
    return value is None or isinstance(value, kinds) or _is_numpy(value) or _is_missing(value)


def single(value: Any) -> Single:
    """Return a value as one of Python's own.

    Parameters
    ----------
    value : object
        A number or truth value of Python or numpy, text, a date or time (as text), an
        enumeration's member (its value), None, NaN or pandas' missing values (None).

    Returns
    -------
    bool, int, float, str or None
        A float of less precision becomes the float64 of the same number.

    Raises
    ------
    StepFunctionError
        It is none of these.
    """
    if type(value) in _PLAIN:
        return None if value != value else value  # NaN: faster than math.isnan
    if not is_single(value):
        raise StepFunctionError(f"is {describe(value)}; expected a number, text or nothing")
    return single(value.value) if isinstance(value, Enum) else _foreign(value)


def _foreign(value: Any) -> Single:
    """Return a value of numpy, pandas or the standard library as one of Python's own."""
    array = as_array(value)
    if array is not None:
        return single(array[()])
    if value is None or _is_missing(value):
        return None
    if isinstance(value, Real):
        return _number(value)
    if _is_numpy_bool(value):
        return bool(value)
    return str(value)


def _number(value: Any) -> bool | int | float | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    number = float(value)
    return None if math.isnan(number) else number


def _is_numpy(value: Any) -> bool:
    """Tell truth values and times of numpy, which are no numbers to Python."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(
        value, numpy.bool_ | numpy.datetime64 | numpy.timedelta64
    )


def _is_numpy_bool(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.bool_)


def _is_missing(value: Any) -> bool:
    """Tell pandas' NA and NaT, and numpy's NaT; NaN is a number here."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and (value is pandas.NA or value is pandas.NaT):
        return True
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.datetime64 | numpy.timedelta64):
        return False
    return bool(numpy.isnat(value))
