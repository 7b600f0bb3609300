"""Decorators that declare what a function gives besides its image, and how it takes a stack."""

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from openhcs_core.materialization import MaterializationSpec

F = TypeVar("F", bound=Callable[..., Any])


class ProcessingContract(Enum):
    """How a function takes an image stack ``[Z, Y, X]``.

    PURE_3D takes the stack whole; PURE_2D is called once a slice; FLEXIBLE is
    called with a volume along z and once a slice along anything else;
    VOLUMETRIC_TO_SLICE takes the stack whole and returns one slice.
    """

    PURE_3D = "pure_3d"
    PURE_2D = "pure_2d"
    FLEXIBLE = "flexible"
    VOLUMETRIC_TO_SLICE = "volumetric_to_slice"


class SpecialOutput(NamedTuple):
    """A named value that a function returns after its image."""

    name: str
    spec: MaterializationSpec | None


def special_outputs(*outputs: str | tuple[str, MaterializationSpec]) -> Callable[[F], F]:
    """Declare the values a function returns after its image, in order.

    Parameters
    ----------
    *outputs : str or (str, MaterializationSpec)
        A name alone stays in memory; a name with a specification is written.

    Examples
    --------
    >>> from openhcs_core.materialization import CsvOptions
    >>> @special_outputs(("counts", MaterializationSpec(CsvOptions())))
    ... def count(image_stack):
    ...     return image_stack, {"label": []}
    """
    declared = tuple(
        SpecialOutput(output, None) if isinstance(output, str) else SpecialOutput(*output)
        for output in outputs
    )

    def declare(function: F) -> F:
        function.special_outputs = declared  # type: ignore[attr-defined]  # metadata on a callable
        return function

    return declare


def processing_contract(contract: ProcessingContract) -> Callable[[F], F]:
    """Declare how a function takes a stack; without it a function takes the stack whole."""

    def declare(function: F) -> F:
        function.processing_contract = contract  # type: ignore[attr-defined]  # metadata
        return function

    return declare
