"""What a user module's functions are, as data: what the child process answers."""

from openhcs_core.config import FrozenModel
from openhcs_core.registry.unified_registry import FunctionMetadata


class ModuleProblem(FrozenModel):
    """What is wrong, with file and line; with one function, or with the module as a whole."""

    message: str
    function: str | None = None


class ModuleDescription(FrozenModel):
    """A user module as data.

    Attributes
    ----------
    exact_digest : str
        Of the bytes it was made from.
    functions : dict
        By reference; without versions.
    undeclared : dict
        Line of each public function without a memory type.
    problems : tuple of ModuleProblem
        Why it cannot be used.
    libraries : dict
        Version of each distribution it imports from.
    unversioned : tuple of str
        What it imports from elsewhere that belongs to no distribution.
    """

    exact_digest: str = ""
    functions: dict[str, FunctionMetadata] = {}
    undeclared: dict[str, int] = {}
    problems: tuple[ModuleProblem, ...] = ()
    libraries: dict[str, str] = {}
    unversioned: tuple[str, ...] = ()
