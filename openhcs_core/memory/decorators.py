"""Decorators that declare the array library a function is written for.

They are metadata only: the function is returned as it is, with attributes
``input_memory_type``, ``output_memory_type`` and ``oom_recovery``.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, overload

from openhcs_core.constants import MemoryType

F = TypeVar("F", bound=Callable[..., Any])


def memory_types(
    *, input_type: str, output_type: str, oom_recovery: bool = False
) -> Callable[[F], F]:
    """Declare input and output memory type of a function.

    Parameters
    ----------
    input_type, output_type : str
        A :class:`~openhcs_core.constants.MemoryType` value, e.g. ``"numpy"``.
    oom_recovery : bool
        Whether the function may be called again when memory ran out, as the config's
        ``fallbacks`` say.

    Raises
    ------
    ValueError
        A name that is not a memory type.
    """
    source, target = MemoryType(input_type), MemoryType(output_type)

    def declare(function: F) -> F:
        function.input_memory_type = source  # type: ignore[attr-defined]  # metadata on a callable
        function.output_memory_type = target  # type: ignore[attr-defined]  # metadata on a callable
        function.oom_recovery = oom_recovery  # type: ignore[attr-defined]  # metadata on a callable
        return function

    return declare


class MemoryDecorator(Protocol):
    """A decorator of one memory type, with or without arguments."""

    @overload
    def __call__(self, function: F) -> F: ...
    @overload
    def __call__(
        self, *, input_type: str = ..., output_type: str = ..., oom_recovery: bool = ...
    ) -> Callable[[F], F]: ...
    def __call__(
        self,
        function: F | None = None,
        *,
        input_type: str = "",
        output_type: str = "",
        oom_recovery: bool = False,
    ) -> F | Callable[[F], F]:
        """Declare `function`, or return what declares one."""


def _decorator(memory_type: MemoryType) -> MemoryDecorator:
    """Return the decorator of a memory type."""

    @overload
    def declare(function: F) -> F: ...
    @overload
    def declare(
        *, input_type: str = ..., output_type: str = ..., oom_recovery: bool = ...
    ) -> Callable[[F], F]: ...
    def declare(
        function: F | None = None,
        *,
        input_type: str = memory_type,
        output_type: str = memory_type,
        oom_recovery: bool = False,
    ) -> F | Callable[[F], F]:
        decorate = memory_types(
            input_type=input_type, output_type=output_type, oom_recovery=oom_recovery
        )
        return decorate if function is None else decorate(function)

    declare.__name__ = declare.__qualname__ = memory_type
    declare.__doc__ = f"Declare a function that takes and returns arrays of {memory_type}."
    return declare


numpy = _decorator(MemoryType.NUMPY)
cupy = _decorator(MemoryType.CUPY)
torch = _decorator(MemoryType.TORCH)
tensorflow = _decorator(MemoryType.TENSORFLOW)
jax = _decorator(MemoryType.JAX)
pyclesperanto = _decorator(MemoryType.PYCLESPERANTO)
