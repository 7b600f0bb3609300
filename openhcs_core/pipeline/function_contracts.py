"""Decorators that declare what a function gives besides its image, and how it takes a stack."""

import re
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from openhcs_core.errors import CompileError
from openhcs_core.materialization import MaterializationSpec
from openhcs_core.planes import WELL_REGEX

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
        A name alone stays in memory; a name with a specification is written, by the writers
        that its options choose. Names are Python identifiers, and no well's (``B02``).

    Raises
    ------
    CompileError
        Something else, a name that cannot be one, or a name twice.

    Examples
    --------
    >>> from openhcs_core.materialization import CsvOptions
    >>> @special_outputs(("counts", MaterializationSpec(CsvOptions())))
    ... def count(image_stack):
    ...     return image_stack, {"label": []}
    """
    declared = tuple(map(_declared, outputs))
    names = [output.name for output in declared]
    for name in names:
        if names.count(name) > 1:
            raise CompileError(f"special output {name!r} is declared twice; give each its own name")

    def declare(function: F) -> F:
        function.special_outputs = declared  # type: ignore[attr-defined]  # metadata on a callable
        return function

    return declare


def _declared(output: str | tuple[str, MaterializationSpec]) -> SpecialOutput:
    match output:
        case str(name):
            declared = SpecialOutput(name, None)
        case (str(name), MaterializationSpec() as spec):
            declared = SpecialOutput(name, spec)
        case _:
            raise CompileError(
                f"special output {output!r}: expected a name, or a name and a MaterializationSpec, "
                'such as ("cell_counts", MaterializationSpec(CsvOptions()))'
            )
    if not name.isidentifier() or re.fullmatch(WELL_REGEX, name):
        raise CompileError(
            f"special output {name!r}: names are Python identifiers such as 'cell_counts', and "
            "none that a well could have"
        )
    return declared


def processing_contract(contract: ProcessingContract) -> Callable[[F], F]:
    """Declare how a function takes a stack; without it a function takes the stack whole."""

    def declare(function: F) -> F:
        function.processing_contract = contract  # type: ignore[attr-defined]  # metadata
        return function

    return declare
