"""All function registries behind one door."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.errors import CompileError
from openhcs_core.registry.unified_registry import FunctionMetadata, LibraryRegistryBase

if TYPE_CHECKING:
    from openhcs_core.registry.user_modules import UserModule

REGISTRIES = {
    "openhcs": "openhcs_core.registry.openhcs_registry:OpenHCSRegistry",
    "skimage": "openhcs_core.registry.scikit_image_registry:ScikitImageRegistry",
}
"""Library name → ``module:Class``; loaded when a pipeline first names the library."""


class RegistryService:
    """Finds functions by reference.

    Parameters
    ----------
    table : dict, optional
        Library name to ``module:Class``.
    modules : iterable of UserModule
        Libraries of the user's own.
    """

    def __init__(
        self, table: dict[str, str] | None = None, modules: Iterable["UserModule"] = ()
    ) -> None:
        self._table = dict(REGISTRIES if table is None else table)
        self._modules = {module.library_name: module for module in modules}
        self._registries: dict[str, LibraryRegistryBase] = dict(self._modules)
        self._functions: dict[str, dict[str, FunctionMetadata]] = {}

    def get_registry(self, library: str) -> LibraryRegistryBase:
        """Return the registry of a library.

        Raises
        ------
        CompileError
            No such library.
        """
        if library not in self._libraries:
            close = get_close_matches(library, self._libraries, n=1, cutoff=0.8)
            remedy = f"did you mean {close[0]!r}? " if close else ""
            own = "" if close else "; name the file of a module of your own under functions:"
            known = ", ".join(sorted(self._libraries))
            raise CompileError(f"unknown library {library!r}; {remedy}known: {known}{own}")
        if library not in self._registries:
            module_name, class_name = self._table[library].split(":")
            self._registries[library] = getattr(import_module(module_name), class_name)()
        return self._registries[library]

    def get_functions(self, library: str) -> dict[str, FunctionMetadata]:
        """Return the functions of one library by reference, described once."""
        if library not in self._functions:
            self._functions[library] = self.get_registry(library).get_functions()
        return self._functions[library]

    def get_all_functions_with_metadata(self) -> dict[str, FunctionMetadata]:
        """Return the functions of every registry, by reference."""
        return {
            ref: metadata
            for library in self._libraries
            for ref, metadata in self.get_functions(library).items()
        }

    def find(self, ref: str) -> FunctionMetadata:
        """Return the metadata of ``library:name``.

        Raises
        ------
        CompileError
            No such function; names near ones.
        """
        library, _, name = ref.partition(":")
        functions = self.get_functions(library)
        if ref not in functions:
            explained = self.get_registry(library).explain_missing(name)
            if explained is not None:
                raise explained
            close = get_close_matches(ref, functions, n=1) or get_close_matches(
                ref, self.get_all_functions_with_metadata(), n=1
            )
            remedy = (
                f"did you mean {close[0]!r}?"
                if close
                else f"functions of {library}: {', '.join(sorted(functions))}"
            )
            raise CompileError(f"unknown function {ref!r}; {remedy}")
        return functions[ref]

    def load(self, ref: str) -> Callable[..., Any]:
        """Import the function behind a reference (in a job)."""
        library, _, name = ref.partition(":")
        return self.get_registry(library).load_function(name)

    @property
    def modules(self) -> list["UserModule"]:
        """The libraries of the user's own."""
        return list(self._modules.values())

    def find_module(self, file: str) -> str | None:
        """Return the library name of the user's module in a file; None when it is none."""
        for library, module in self._modules.items():
            if Path(module.path).resolve() == Path(file).resolve():
                return library
        return None

    @property
    def _libraries(self) -> list[str]:
        return [*self._table, *self._modules]
