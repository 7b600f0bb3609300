"""Decorators that declare what a function gives besides its image, and how it takes a stack."""

import inspect
import re
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from openhcs_core.config import FrozenModel
from openhcs_core.errors import CompileError
from openhcs_core.materialization import MaterializationSpec
from openhcs_core.planes import WELL_REGEX

F = TypeVar("F", bound=Callable[..., Any])


class ProcessingContract(Enum):
    """How a function takes an image stack ``[Z, Y, X]``.

    PURE_3D takes the stack whole; PURE_2D is called once a slice; FLEXIBLE is
    called with a volume along z and once a slice along anything else;
    VOLUMETRIC_TO_SLICE takes the stack whole and returns one slice; BATCH_2D
    takes the stack whole but treats each slice alone, as if it were the only
    one: it may be called with fewer slices where memory runs out. PLATE is called
    once for all wells, in steps with ``scope: plate`` (:func:`plate_function`).
    """

    PURE_3D = "pure_3d"
    PURE_2D = "pure_2d"
    FLEXIBLE = "flexible"
    VOLUMETRIC_TO_SLICE = "volumetric_to_slice"
    PLATE = "plate"
    BATCH_2D = "batch_2d"


class FunctionCost(FrozenModel):
    """What a function takes, for predictions; it decides nothing about results.

    Attributes
    ----------
    bytes_per_px : float
        Most memory at once beyond the call's input, its result included, for each pixel of the
        call's input; of integers.
    float_bytes_per_px : float or None
        The same of floats; None: as of integers.
    ns_per_px : float
        CPU time.
    itemsize : int or None
        Bytes of a pixel of the result for integers; None: as the input. Floats stay as they are.
    library_mb : int
        What the libraries take that the function imports.
    """

    bytes_per_px: float = 24.0
    float_bytes_per_px: float | None = None
    ns_per_px: float = 200.0
    itemsize: int | None = 8
    library_mb: int = 35


def costs(
    *,
    bytes_per_px: float,
    ns_per_px: float,
    float_bytes_per_px: float | None = None,
    itemsize: int | None = None,
    library_mb: int = 35,
) -> Callable[[F], F]:
    """Declare what a function takes, see :class:`FunctionCost`; better predictions come of it.

    Examples
    --------
    >>> @costs(bytes_per_px=8, ns_per_px=20)
    ... def invert(image_stack):
    ...     return image_stack.max() - image_stack
    """
    cost = FunctionCost(
        bytes_per_px=bytes_per_px,
        float_bytes_per_px=float_bytes_per_px,
        ns_per_px=ns_per_px,
        itemsize=itemsize,
        library_mb=library_mb,
    )

    def declare(function: F) -> F:
        function.cost = cost  # type: ignore[attr-defined]  # metadata on a callable
        return function

    return declare


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


def special_inputs(*names: str) -> Callable[[F], F]:
    """Declare keyword parameters that an earlier function's special outputs are given to.

    Parameters
    ----------
    *names : str
        Names of parameters, each that of a special output: of an earlier function in the same
        chain, or of an earlier step. They are no parameters of the pipeline file.

    Raises
    ------
    CompileError
        Something else, a name twice, or no keyword parameter of the function.

    Examples
    --------
    >>> @special_inputs("positions")
    ... def stitch(image_stack, positions):
    ...     return image_stack
    """
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            raise CompileError(
                f"special input {name!r}: expected the name of a parameter such as 'positions'"
            )
        if names.count(name) > 1:
            raise CompileError(f"special input {name!r} is declared twice; leave one out")

    def declare(function: F) -> F:
        _check_parameters(function, names)
        function.special_inputs = names  # type: ignore[attr-defined]  # metadata on a callable
        return function

    return declare


def chain_breaker(function: F) -> F:
    """Declare that nothing goes on from a function's image.

    The function after it in its chain gets the images that the step began with; the step after
    one that ends in it reads the plate, as with ``input_source: pipeline_start``.
    """
    function.chain_breaker = True  # type: ignore[attr-defined]  # metadata on a callable
    return function


def plate_function(*, tables: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Declare a function that is called once for all wells of a plate.

    It returns its special outputs and no image. Its first parameter gets the images of all
    wells as a :class:`~openhcs_core.planes.PlaneStream`, unless that is among `tables`: then it
    reads no images at all.

    Parameters
    ----------
    tables : tuple of str
        Parameters that get a plate table as a pandas DataFrame; in the pipeline file they name
        it as ``step/output``, such as ``count/cell_counts``.

    Raises
    ------
    CompileError
        A name that is no parameter of the function.

    Examples
    --------
    >>> @plate_function(tables=("table",))
    ... @special_outputs("summary")
    ... def summarise(table, *, column: str):
    ...     return {column: table[column].sum()}
    """

    def declare(function: F) -> F:
        names = list(inspect.signature(function).parameters)
        for name in tables:
            if name not in names:
                raise CompileError(
                    f"plate table {name!r}: {function.__name__} has no such parameter; it has "
                    f"{', '.join(names) or 'none'}"
                )
        function.plate_tables = tuple(tables)  # type: ignore[attr-defined]  # metadata
        function.takes_images = names[:1] != [] and names[0] not in tables  # type: ignore[attr-defined]  # metadata
        return processing_contract(ProcessingContract.PLATE)(function)

    return declare


def _check_parameters(function: Callable[..., Any], names: tuple[str, ...]) -> None:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    taken = [parameter.name for parameter in parameters if parameter.kind in kinds]
    for name in names:
        if name not in taken:
            raise CompileError(
                f"special input {name!r}: {function.__name__} has no such keyword parameter after "
                f"the image; it has {', '.join(taken) or 'none'}"
            )


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
