"""Plans of functions: what is called with which parameters and values, by group."""

from pydantic import JsonValue

from openhcs_core.config.base import FrozenModel
from openhcs_core.constants import Component, MemoryType
from openhcs_core.materialization.spec import MaterializationSpec

SOURCE_VERSION = "source"
"""Key among a function's versions that is a digest of code; all others are distributions."""


class SpecialOutputPlan(FrozenModel):
    """A value a function returns after its image, and the files to write of it.

    Attributes
    ----------
    is_linked : bool
        A function of a later step takes it: it is kept in a file of its own.
    """

    name: str
    spec: MaterializationSpec | None = None
    is_linked: bool = False


class SpecialInputPlan(FrozenModel):
    """A value a function takes from an earlier one, and which of that one's values it is.

    Attributes
    ----------
    name : str
        Name of the parameter and of the special output.
    step : str or None
        The step that gives it; None for the same chain.
    group : str or None
        The component value whose chain gives it, None where one chain does all of them.
    agree_on : tuple of Component
        What the planes of value and call have in common.
    each_of_stack : tuple of Component
        The call has several of these, the value one: a list, one for each in stack order.
    each_of_projection : tuple of Component
        As well, for what a projection has taken together: one for each there was, in natural
        order.
    of_plate : bool
        The step that gives it does the whole plate at once: all wells get the same.
    """

    name: str
    step: str | None = None
    group: str | None = None
    agree_on: tuple[Component, ...] = ()
    each_of_stack: tuple[Component, ...] = ()
    each_of_projection: tuple[Component, ...] = ()
    of_plate: bool = False

    @property
    def is_list(self) -> bool:
        """Whether a call gets a list of values instead of one."""
        return bool(self.each_of_stack or self.each_of_projection)


class PlateTable(FrozenModel):
    """A plate table that a function takes: an earlier step's, with the plate map joined.

    Attributes
    ----------
    of_plate : bool
        A step over the plate has written it, instead of its being joined from wells' tables.
    """

    step: str
    file: str
    of_plate: bool = False


class FunctionPlan(FrozenModel):
    """One function of a chain, with everything that decides its result.

    Attributes
    ----------
    ref : str
        ``library:name``.
    parameters : dict
        All of them, defaults included.
    versions : dict
        Library and source versions the result depends on.
    slice_by_slice : bool
        Call it once a slice instead of once a stack.
    as_2d : bool
        Hand slices over as ``[Y, X]`` (library functions) instead of ``[1, Y, X]``.
    collapses : bool
        It returns one slice for a whole stack.
    chain_breaker : bool
        The next function gets what the step began with, not what this one returns.
    takes_images : bool
        False for functions over plate tables alone.
    tables : dict
        Parameters that are given a plate table, to the table.
    """

    ref: str
    parameters: dict[str, JsonValue] = {}
    versions: dict[str, str] = {}
    input_memory_type: MemoryType = MemoryType.NUMPY
    output_memory_type: MemoryType = MemoryType.NUMPY
    slice_by_slice: bool = False
    as_2d: bool = False
    collapses: bool = False
    special_outputs: tuple[SpecialOutputPlan, ...] = ()
    special_inputs: tuple[SpecialInputPlan, ...] = ()
    chain_breaker: bool = False
    takes_images: bool = True
    tables: dict[str, PlateTable] = {}


class GroupPlan(FrozenModel):
    """The chain for one component value.

    Attributes
    ----------
    value : str or None
        Value of the step's ``group_by`` component; None stands for every value.
    functions : tuple of FunctionPlan
        Empty for a value that passes through untouched.
    """

    value: str | None = None
    functions: tuple[FunctionPlan, ...] = ()

    @property
    def image_functions(self) -> tuple[FunctionPlan, ...]:
        """Return the functions that the resulting image comes from: after a chain breaker."""
        starts = [
            number
            for number, function in enumerate(self.functions[:-1], start=1)
            if function.chain_breaker
        ]
        return self.functions[starts[-1] if starts else 0 :]

    def is_projected(self, before: int | None = None) -> bool:
        """Return whether the image that function number `before` gets (or the result) is one."""
        functions = self.functions[:before]
        if before is not None and functions and functions[-1].chain_breaker:
            return False
        part = GroupPlan(functions=functions).image_functions
        return any(function.collapses for function in part)
