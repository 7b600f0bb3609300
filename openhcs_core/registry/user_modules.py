"""``mine:`` — the functions of a module that the config names.

The module is imported by a child process, which describes it as JSON. The description is kept
by content and library versions, so that nothing is imported while both stay as they are.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import openhcs_core
from openhcs_core.errors import CompileError, UnreadableFunctionError
from openhcs_core.pipeline.child_process import run_module
from openhcs_core.plan import SOURCE_VERSION, canonical_json, digest_bytes, digest_text
from openhcs_core.registry.cache import cache_file, write_cache
from openhcs_core.registry.unified_registry import FunctionMetadata, LibraryRegistryBase
from openhcs_core.registry.user_description import ModuleDescription, ModuleProblem
from openhcs_core.registry.user_import import load_module
from openhcs_core.registry.user_source import ModuleSource, read_source

logger = logging.getLogger(__name__)
_CHILD = "openhcs_core.registry.describe_user_module"
_DESCRIBING = ("registry", "pipeline", "materialization", "memory")
TIMEOUT_S = 120.0
"""A module only defines functions; this is for slow file systems and imports."""


class UserModule(LibraryRegistryBase):
    """The functions of one file.

    Parameters
    ----------
    path : str
        The file; its stem is the library's name.
    timeout_s : float
        How long the file may take to be imported.

    Attributes
    ----------
    problems : tuple of str
        What is wrong with the file, each with file and line. Functions that have no mistake can
        be used all the same.
    unversioned : tuple of str
        What it imports that has no version.
    """

    distributions = ()

    def __init__(self, path: str, timeout_s: float = TIMEOUT_S) -> None:
        self.path = path
        self.library_name = Path(path).stem
        self._source: ModuleSource | None = None
        try:
            self._source = read_source(Path(path))
            self._description = _describe(self._source, timeout_s)
        except CompileError as error:
            self._description = ModuleDescription(problems=(ModuleProblem(message=str(error)),))
        self.problems = tuple(problem.message for problem in self._description.problems)
        self.unversioned = self._description.unversioned

    def get_functions(self) -> dict[str, FunctionMetadata]:
        """Return metadata by reference: what the child process told, with versions of today."""
        return {
            ref: metadata.model_copy(update={"versions": self.get_library_versions()})
            for ref, metadata in self._description.functions.items()
        }

    def discover(self) -> dict[str, FunctionMetadata]:
        """Return the same: a module is described when it is opened."""
        return self.get_functions()

    def get_library_versions(self) -> dict[str, str]:
        """Return the digest of the module's code and the versions of what it imports."""
        source = {} if self._source is None else {SOURCE_VERSION: self._source.digest}
        return source | self._description.libraries

    def load_function(self, name: str) -> Callable[..., Any]:
        """Import a function of the module into this process."""
        if f"{self.library_name}:{name}" not in self._description.functions or not self._source:
            raise LookupError(f"{self.library_name}:{name} is not a known function")
        function: Callable[..., Any] = getattr(load_module(self._source), name)
        return function

    def explain_missing(self, name: str) -> CompileError | None:
        """Return why a name is not among the functions, where there is more to say."""
        problems = self._description.problems
        if any(problem.function in (None, name) for problem in problems):
            return UnreadableFunctionError(f"{self.path} has mistakes; see there")
        line = self._description.undeclared.get(name)
        if line is None:
            return None
        return CompileError(
            f"{self.library_name}:{name} does not say what arrays it takes; write '@numpy' above "
            f"'def {name}' in {self.path}:{line} (from openhcs_core.memory import numpy)"
        )


def _describe(source: ModuleSource, timeout_s: float) -> ModuleDescription:
    path = cache_file(source.name, _identity(source))
    try:
        kept = ModuleDescription.model_validate_json(path.read_bytes())
        if _installed(kept.libraries) == kept.libraries:
            return kept
    except FileNotFoundError:
        pass
    except (OSError, ValidationError) as error:
        logger.warning("%s is not usable (%s); making it again", path, type(error).__name__)
    logger.info("describing the functions of %s", source.path)
    description = _ask_child(source.path, timeout_s)
    if not description.problems:  # a mistake may be one of the environment, and mended there
        if description.exact_digest != source.exact_digest:
            raise CompileError(f"{source.path} changed while it was read; run the command again")
        write_cache(path, description.model_dump_json(indent=1).encode())
    return description


def _identity(source: ModuleSource) -> str:
    """Return the digest of all that a description depends on, but the versions of libraries."""
    identity = {
        "content": source.exact_digest,
        "version": openhcs_core.__version__,
        "own": {str(path): digest_bytes(path.read_bytes()) for path in _own_code()},
        "python": sys.version_info[:2],
        "found": [name for name in source.libraries if find_spec(name) is not None],
    }
    return digest_text(canonical_json(identity))


def _own_code() -> list[Path]:
    """Return the files that decide what a description says of a module."""
    package = Path(openhcs_core.__file__).parent
    return [path for room in _DESCRIBING for path in sorted((package / room).glob("*.py"))]


def _installed(libraries: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for library in libraries:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = ""
    return found


def _ask_child(path: Path, timeout_s: float) -> ModuleDescription:
    try:
        answer, exit_code = run_module(_CHILD, str(path), timeout_s=timeout_s)
    except TimeoutError as error:
        raise CompileError(
            f"{path}: not imported after {timeout_s:g} s; a module only defines functions: "
            "move what waits or computes into one"
        ) from error
    try:
        return ModuleDescription.model_validate_json(answer)
    except ValidationError as error:
        raise CompileError(
            f"{path}: Python ended (exit code {exit_code}) while the module was imported; "
            f"run it to see why: {sys.executable} {path}"
        ) from error
