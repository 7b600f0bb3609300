"""Import a user module: from bytes read before, under a name that nothing else has.

The module and what it imports from its folder are modules of a package whose name has a
digest of path and content. So neither two modules' helpers of one name nor a helper and a
library can be taken for each other, and a process that meets a newer version imports that one.
"""

import builtins
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from openhcs_core.errors import CompileError
from openhcs_core.plan import digest_text
from openhcs_core.registry.user_source import ModuleSource, absolute

_PACKAGES = "openhcs_user_"


def forget_modules() -> None:
    """Make this process forget every user module, so that the next job imports it anew.

    Libraries that they import stay. What a job has left in a module's own names, a counter or a
    cache, is gone with it, as it is with a process.
    """
    if not any(isinstance(finder, _Importer) for finder in sys.meta_path):
        return
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Importer)]
    for name in [name for name in sys.modules if name.startswith(_PACKAGES)]:
        del sys.modules[name]


def load_module(source: ModuleSource) -> ModuleType:
    """Import a user module, once a process and content.

    Raises
    ------
    CompileError
        It raised while it was imported; the message has file and line.
    """
    package = f"{_PACKAGES}{digest_text(absolute(source.path) + source.exact_digest)}"
    if package not in sys.modules:
        sys.meta_path.append(_Importer(package, source))
    try:
        return import_module(f"{package}.{source.name}")
    except (Exception, SystemExit) as error:  # a module may raise anything
        raise CompileError(_explain(error, source)) from error


class _Importer(MetaPathFinder, Loader):
    """Finds and runs the files of one source."""

    def __init__(self, package: str, source: ModuleSource) -> None:
        self._package = package
        self._files = source.files

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == self._package:
            return ModuleSpec(fullname, self, is_package=True)
        name = fullname.removeprefix(f"{self._package}.")
        if name == fullname or name not in self._files:
            return None
        file = self._files[name]
        origin = absolute(file.path)
        spec = ModuleSpec(fullname, self, origin=origin, is_package=file.is_package)
        spec.has_location = True  # gives it a __file__
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run the file's bytes; its import statements, whenever they run, come to us first."""
        if module.__name__ == self._package:
            return
        file = self._files[module.__name__.removeprefix(f"{self._package}.")]
        names = vars(module)
        names["__builtins__"] = {**vars(builtins), "__import__": self._import}
        code = compile(file.content, absolute(file.path), "exec", dont_inherit=True)
        exec(code, names)  # noqa: S102  a module that the config names

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  names of the builtin
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """Do as ``__import__`` does; modules beside the importing one come first."""
        top = name.partition(".")[0]
        if level or top not in self._files:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        own = f"{self._package}.{name}"
        if fromlist:
            return builtins.__import__(own, globals, locals, fromlist, 0)
        import_module(own)
        return sys.modules[f"{self._package}.{top}"]


def _first_line(error: BaseException) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(problem["msg"] for problem in error.errors())
    return str(error).partition("\n")[0]


def _explain(error: BaseException, source: ModuleSource) -> str:
    paths = {absolute(file.path): file.path for file in source.files.values()}
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{paths[at.filename]}:{at.lineno}" for at in frames if at.filename in paths]
    where = places[-1] if places else f"{source.path}:1"
    if isinstance(error, SystemExit):
        return (
            f"{where}: ends the process (exit code {error.code}) when it is imported; take it out"
        )
    said = f"{where}: {type(error).__name__}: {_first_line(error)}"
    if not isinstance(error, ImportError):
        return f"{said}; a module is imported to find its functions: mend it, or move it into one"
    if (error.name or "").partition(".")[0] == "openhcs":
        return f"{said}; decorators are imported from openhcs_core.memory and openhcs_core.pipeline"
    return f"{said}; install it, or put it beside the module and import it by name"
