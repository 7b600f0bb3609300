"""Digests of source code that ignore comments, layout and docstrings."""

import ast
from importlib.util import find_spec
from pathlib import Path

from openhcs_core.plan import digest_text

_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def source_digest(module_name: str, package: str) -> str:
    """Return the digest of a module's code and of the modules of `package` that it imports.

    Parameters
    ----------
    module_name : str
        E.g. ``openhcs_core.functions.segment``.
    package : str
        Imports from here are followed, others are not.
    """
    texts: dict[str, str] = {}
    waiting = [module_name]
    while waiting:
        name = waiting.pop()
        if name in texts:
            continue
        tree = _parse(name)
        texts[name] = ast.unparse(tree)
        waiting.extend(_imports(tree, package))
    return digest_text("\n".join(texts[name] for name in sorted(texts)))


def _parse(module_name: str) -> ast.Module:
    spec = find_spec(module_name)
    if spec is None or spec.origin is None:
        raise ImportError(f"module {module_name} has no source file", name=module_name)
    return without_docstrings(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))


def without_docstrings(tree: ast.Module) -> ast.Module:
    """Take the docstrings out of a module's syntax, in place; return it."""
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _imports(tree: ast.Module, package: str) -> list[str]:
    """Return the modules of `package` that a module imports, ``from package import module`` too."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            if node.module == package:
                names += [f"{package}.{alias.name}" for alias in node.names]
    return [name for name in names if name.startswith(f"{package}.") and find_spec(name)]
