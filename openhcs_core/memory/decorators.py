"""Decorators that declare the array library a function is written for.

They are metadata only: the function is returned as it is, with attributes
``input_memory_type`` and ``output_memory_type``.
"""

from collections.abc import Callable
from typing import Any, TypeVar, overload

from openhcs_core.constants import MemoryType

F = TypeVar("F", bound=Callable[..., Any])


def memory_types(*, input_type: str, output_type: str) -> Callable[[F], F]:
    """Declare input and output memory type of a function.

    Parameters
    ----------
    input_type, output_type : str
        A :class:`~openhcs_core.constants.MemoryType` value, e.g. ``"numpy"``.

    Raises
    ------
    ValueError
        A name that is not a memory type.
    """
    source, target = MemoryType(input_type), MemoryType(output_type)

    def declare(function: F) -> F:
        function.input_memory_type = source  # type: ignore[attr-defined]  # metadata on a callable
        function.output_memory_type = target  # type: ignore[attr-defined]  # metadata on a callable
        return function

    return declare


@overload
def numpy(function: F) -> F: ...
@overload
def numpy(*, input_type: str = ..., output_type: str = ...) -> Callable[[F], F]: ...
def numpy(
    function: F | None = None, *, input_type: str = "numpy", output_type: str = "numpy"
) -> F | Callable[[F], F]:
    """Declare a function that takes and returns numpy arrays."""
    declare = memory_types(input_type=input_type, output_type=output_type)
    return declare if function is None else declare(function)
