"""A user module as source: the file and the modules beside it that it imports, read once.

What is digested is what is run: jobs execute these bytes (``user_import``), and modules that
are not found here cannot be imported from the module's folder.
"""

import ast
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules

from openhcs_core.errors import CompileError
from openhcs_core.plan import canonical_json, digest_bytes, digest_text
from openhcs_core.registry.source import source_digest, without_docstrings

_NATIVE = "openhcs_core.functions"
_OURS = {"openhcs_core", "__main__"}


@dataclass(frozen=True)
class SourceFile:
    """One file: its path as given, its bytes, its syntax and code without docstrings."""

    path: Path
    content: bytes
    tree: ast.Module
    code: str
    is_package: bool = False


@dataclass(frozen=True)
class ModuleSource:
    """A user module and what it imports from its own folder.

    Attributes
    ----------
    path : Path
        The module's file, as given.
    files : mapping of str to SourceFile
        By dotted name as imports write it; the module itself under its stem.
    libraries : tuple of str
        Top-level names imported from elsewhere, without the standard library and this package.
    uses_native : bool
        It imports native functions of this package.
    """

    path: Path
    files: Mapping[str, SourceFile]
    libraries: tuple[str, ...]
    uses_native: bool

    @property
    def name(self) -> str:
        """The module's name: the stem of its file."""
        return self.path.stem

    @cached_property
    def digest(self) -> str:
        """Digest of all its code, without comments, docstrings and layout: the version."""
        code = {name: file.code for name, file in self.files.items()}
        native = _native_digests() if self.uses_native else {}
        return digest_text(canonical_json({"code": code, "native": native}))

    @cached_property
    def exact_digest(self) -> str:
        """Digest of every byte of all files."""
        return digest_text(
            canonical_json({name: digest_bytes(file.content) for name, file in self.files.items()})
        )


def read_source(path: Path) -> ModuleSource:
    """Read a user module and, recursively, the modules beside it that it imports.

    Import statements are followed wherever they stand, by name and relative ones; a folder
    counts as a package. Nothing is imported.

    Raises
    ------
    CompileError
        A file cannot be read or is not Python; the message has file and line.
    """
    files = {path.stem: _read(path)}
    libraries: set[str] = set()
    uses_native = False
    waiting = [path.stem]
    while waiting:
        name = waiting.pop()
        for imported, is_relative in _imported_names(name, files[name]):
            top = imported.partition(".")[0]
            if top == path.stem and not is_relative and _is_library(top):
                raise CompileError(
                    f"{files[name].path}: imports {top!r}, which is the library of that name to "
                    f"other programs and {path} here; rename {path.name}"
                )
            if top not in files and _find(path.parent, top) is None:
                uses_native |= f"{imported}.".startswith(f"{_NATIVE}.")
                if not is_relative:
                    libraries.add(top)
                continue
            for part in _with_parents(imported):
                if part not in files and (file := _find(path.parent, part)) is not None:
                    files[part] = _read(file)
                    waiting.append(part)
    elsewhere = libraries - sys.stdlib_module_names - _OURS
    return ModuleSource(path, files, tuple(sorted(elsewhere)), uses_native)


def _is_library(name: str) -> bool:
    return name in sys.stdlib_module_names or find_spec(name) is not None


def _read(path: Path) -> SourceFile:
    """Read a file; a folder stands for a package without ``__init__.py``."""
    try:
        content = b"" if path.is_dir() else path.read_bytes()
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise CompileError(f"{path}: {reason}; expected a Python file there") from error
    try:
        tree = without_docstrings(ast.parse(content, str(path)))
        code = ast.unparse(tree)
    except RecursionError as error:
        raise CompileError(f"{path}: an expression is nested too deep; split it") from error
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        reason = getattr(error, "msg", None) or str(error)
        raise CompileError(f"{path}:{line}: not valid Python: {reason}; mend this line") from error
    return SourceFile(path, content, tree, code, path.is_dir() or path.name == "__init__.py")


def _find(folder: Path, name: str) -> Path | None:
    """Return the file of a module in a folder, as Python would choose it."""
    place = folder.joinpath(*name.split("."))
    for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
        if path.is_file():
            return path
    return place if place.is_dir() and any(place.glob("*.py")) else None


def _imported_names(name: str, file: SourceFile) -> Iterator[tuple[str, bool]]:
    """Yield dotted names that may be modules, and whether the import is a relative one."""
    package = name.split(".") if file.is_package else name.split(".")[:-1]
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parts = [*base, *(node.module.split(".") if node.module else [])]
            if parts:
                yield ".".join(parts), node.level > 0
            yield from ((".".join([*parts, alias.name]), node.level > 0) for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def _native_digests() -> dict[str, str]:
    import openhcs_core.functions

    return {
        module.name: source_digest(f"{_NATIVE}.{module.name}", _NATIVE)
        for module in iter_modules(openhcs_core.functions.__path__)
    }


def absolute(path: str | Path) -> str:
    """Return a path that means the same in every folder; links stay, as what lies beside them."""
    return os.path.abspath(path)  # noqa: PTH100  Path.resolve follows links
