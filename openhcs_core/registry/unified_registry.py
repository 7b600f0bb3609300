"""What a function registry is, and what it tells about a function: data only."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from pydantic import JsonValue

from openhcs_core.config import FrozenModel
from openhcs_core.constants import MemoryType
from openhcs_core.errors import CompileError
from openhcs_core.pipeline import FunctionCost, Locality, ProcessingContract
from openhcs_core.pipeline.value_types import ValueType
from openhcs_core.plan import SpecialOutputPlan


class FunctionMetadata(FrozenModel):
    """Everything the compiler needs to know of a function, without importing its library.

    Attributes
    ----------
    ref : str
        ``library:name``.
    module, attribute : str
        Where to import it from.
    doc : str
        First line of its docstring.
    parameters_schema : dict
        JSON Schema of its keyword parameters, with defaults.
    defaults : dict
        Default of every parameter that has one.
    fixed : dict
        Parameters that the registry sets and a user cannot.
    versions : dict
        Library and source versions its results depend on.
    locality : Locality or None
        How far it looks for a pixel, as declared.
    as_2d : bool
        Takes slices as ``[Y, X]``.
    special_inputs : tuple of str
        Keyword parameters that take special outputs of earlier functions; not in the schema.
    special_input_types, special_output_types : dict
        By name, what type hints say of them; those without hints are left out.
    chain_breaker : bool
        Nothing goes on from its image.
    plate_tables : tuple of str
        Parameters that get a plate table.
    takes_images : bool
        False for functions over plate tables alone.
    cost : FunctionCost
        What it takes, as declared, or cautious values.
    """

    ref: str
    module: str
    attribute: str
    doc: str = ""
    parameters_schema: dict[str, JsonValue] = {}
    defaults: dict[str, JsonValue] = {}
    fixed: dict[str, JsonValue] = {}
    input_memory_type: MemoryType | None = None
    output_memory_type: MemoryType | None = None
    contract: ProcessingContract = ProcessingContract.PURE_3D
    as_2d: bool = False
    special_outputs: tuple[SpecialOutputPlan, ...] = ()
    special_inputs: tuple[str, ...] = ()
    special_input_types: dict[str, ValueType] = {}
    special_output_types: dict[str, ValueType] = {}
    chain_breaker: bool = False
    plate_tables: tuple[str, ...] = ()
    takes_images: bool = True
    cost: FunctionCost = FunctionCost()
    locality: Locality | None = None
    versions: dict[str, str] = {}


class LibraryRegistryBase(ABC):
    """The functions of one library.

    Attributes
    ----------
    library_name : str
        The part of a reference before the colon.
    distributions : tuple of str
        Distributions whose versions the results depend on.
    """

    library_name: str
    distributions: tuple[str, ...]

    @abstractmethod
    def get_functions(self) -> dict[str, FunctionMetadata]:
        """Return metadata by reference. Never imports an array library into this process."""

    @abstractmethod
    def discover(self) -> dict[str, FunctionMetadata]:
        """Return metadata by reference, importing whatever it takes (in a child process)."""

    @abstractmethod
    def load_function(self, name: str) -> Callable[..., Any]:
        """Import a function (in a job). `name` is the part of the reference after the colon.

        Raises
        ------
        LookupError
            There is no such function.
        """

    def explain_missing(self, name: str) -> CompileError | None:
        """Return why a name is not among the functions, where there is more to say."""
        return None

    def get_library_versions(self) -> dict[str, str]:
        """Return the installed version of each distribution."""
        from importlib.metadata import version

        return {name: version(name) for name in self.distributions}
