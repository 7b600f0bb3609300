"""Describe a user module: ``python -m openhcs_core.registry.describe_user_module FILE``.

Imports the module, in a process of its own, and writes a :class:`ModuleDescription`
as JSON to its standard output; what the module prints goes to standard error.
"""

import ast
import inspect
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import distribution, packages_distributions, version
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from reprlib import repr as short
from typing import Any

from openhcs_core.errors import CompileError
from openhcs_core.registry.declared import describe_declared
from openhcs_core.registry.signatures import keyword_parameters
from openhcs_core.registry.unified_registry import FunctionMetadata
from openhcs_core.registry.user_description import ModuleDescription, ModuleProblem
from openhcs_core.registry.user_import import load_module
from openhcs_core.registry.user_source import ModuleSource, read_source

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def describe_module(path: Path) -> ModuleDescription:
    """Import a user module into this process and describe it.

    Parameters
    ----------
    path : Path
        The file. Mistakes are in the result.
    """
    try:
        source = read_source(path)
        names = vars(load_module(source))
    except CompileError as error:
        return ModuleDescription(problems=(ModuleProblem(message=str(error)),))
    lines = _assigned_lines(source)
    public = names.get("__all__", [name for name in lines if not name.startswith("_")])
    if refusal := _refuse_all(public, names):
        return ModuleDescription(problems=(ModuleProblem(message=f"{path}: {refusal}"),))
    values = {name: names[name] for name in public if callable(names.get(name))}
    declared = {name: value for name, value in values.items() if _is_declared(value)}
    undeclared = {
        name: lines.get(name, 1)
        for name, value in values.items()
        if name not in declared and inspect.isfunction(value)
    }
    functions: dict[str, FunctionMetadata] = {}
    problems: list[ModuleProblem] = []
    for name, function in declared.items():
        described = _describe_function(function, f"{source.name}:{name}")
        if isinstance(described, FunctionMetadata):
            functions[described.ref] = described
            continue
        where = f"{path}:{lines.get(name, 1)}: {name}"
        problems += [ModuleProblem(message=f"{where} {text}", function=name) for text in described]
    if not declared:
        problems.append(ModuleProblem(message=f"{path}: {_nothing_declared(undeclared)}"))
    libraries, unversioned = _libraries(source)
    return ModuleDescription(
        exact_digest=source.exact_digest,
        functions=functions,
        undeclared=undeclared,
        problems=tuple(problems),
        libraries=libraries,
        unversioned=unversioned,
    )


def _refuse_all(public: object, names: Mapping[str, object]) -> str | None:
    """Return what is wrong with the names that a module says are public."""
    if not isinstance(public, list | tuple) or not all(isinstance(name, str) for name in public):
        return f"__all__ is {short(public)}; expected a list of names"
    missing = [name for name in public if name not in names]
    return f"__all__ names {', '.join(missing)}, which it does not define" if missing else None


def _describe_function(function: Callable[..., Any], ref: str) -> FunctionMetadata | list[str]:
    """Return a function's metadata, or why pipelines cannot use it."""
    if refusals := list(_refusals(function)):
        return refusals
    try:
        return describe_declared(function, ref=ref, module=ref.partition(":")[0], versions={})
    except Exception as error:  # noqa: BLE001  evaluating type hints may raise anything
        return [_hint_problem(error)]


def _assigned_lines(source: ModuleSource) -> dict[str, int]:
    """Return the names that a module itself defines, not those it imports, with their lines."""
    lines: dict[str, int] = {}
    waiting: list[ast.AST] = [source.files[source.name].tree]
    while waiting:
        node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                lines[child.name] = child.lineno
            elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                lines[child.id] = child.lineno
            elif not isinstance(child, ast.Lambda):
                waiting.append(child)
    return dict(sorted(lines.items(), key=lambda item: item[1]))


def _is_declared(value: Any) -> bool:
    return getattr(value, "input_memory_type", None) is not None


def _refusals(function: Callable[..., Any]) -> Iterator[str]:
    """Yield why jobs could not call a declared function by its name."""
    name = getattr(function, "__qualname__", None)
    if inspect.isclass(function) or not isinstance(name, str):
        yield f"is a {type(function).__name__}, not a function; write a 'def' that calls it"
    elif "<lambda>" in name:
        yield "is a lambda; write it as a 'def' with a name"
    elif "<locals>" in name:
        yield (
            f"is the function {name.replace('<locals>.', '')}, made inside another one; define it "
            "at the top level (a decorator of your own keeps the name with functools.wraps)"
        )
    elif inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        yield "does not return its result when it is called; write it without async and yield"
    else:
        yield from _parameter_refusals(function)


def _parameter_refusals(function: Callable[..., Any]) -> Iterator[str]:
    (*parameters,) = inspect.signature(function).parameters.values()
    if not parameters or parameters[0].kind not in _POSITIONAL:
        yield "needs a first parameter, which takes the image stack; write it before any '*'"
    for parameter in parameters[1:]:
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            yield f"has {parameter.name!r}, which cannot be given by name; put it after the '/'"
    hidden = getattr(function, "special_inputs", ())
    for parameter in keyword_parameters(function):
        default = parameter.default
        if default is inspect.Parameter.empty or parameter.name in hidden or _is_json(default):
            continue
        yield (
            f"has the default {short(default)} for {parameter.name!r}, which JSON cannot hold; "
            "take None, true or false, a number, text or a list of these, and make the rest inside"
        )


def _is_json(value: Any) -> bool:
    """Return whether JSON has a value; a tuple counts as its list, members of enums do not."""
    if type(value) is float:
        return isfinite(value)
    if type(value) in (list, tuple):
        return all(map(_is_json, value))
    if type(value) is dict:
        return all(type(key) is str and _is_json(item) for key, item in value.items())
    return value is None or type(value) in (bool, int, str)


def _hint_problem(error: Exception) -> str:
    said = str(error).partition("\n")[0].rstrip(".")
    return (
        f"has a type hint that cannot be read ({type(error).__name__}: {said}); parameters are "
        "bool, int, float, str, lists and dicts of these or Literal; what hints name is imported "
        "outside 'if TYPE_CHECKING'"
    )


def _nothing_declared(undeclared: dict[str, int]) -> str:
    if not undeclared:
        return "defines no function for pipelines; take it out of functions:"
    example = next(iter(undeclared))
    return (
        "no function says what arrays it takes; write '@numpy' above "
        f"'def {example}' (from openhcs_core.memory import numpy)"
    )


def _libraries(source: ModuleSource) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return versions of imported distributions, and what is imported of none.

    One installed with ``pip install --editable`` is none: its code changes under one version.
    What is not installed (an import inside ``try``) is neither.
    """
    owners = packages_distributions() if source.libraries else {}
    names = {owner for library in source.libraries for owner in owners.get(library, ())}
    if source.uses_native:
        names |= {"numpy", "scikit-image", "scipy"}
    editable = {name for name in names if _is_editable(name)}
    others = [
        library
        for library in source.libraries
        if (library not in owners and find_spec(library) is not None)
        or editable.intersection(owners.get(library, ()))
    ]
    return {name: version(name) for name in sorted(names)}, tuple(others)


def _is_editable(name: str) -> bool:
    """Return whether a distribution's code lies where somebody works on it (PEP 610)."""
    origin = distribution(name).read_text("direct_url.json")
    return bool(origin and json.loads(origin).get("dir_info", {}).get("editable"))


def main(arguments: list[str]) -> int:
    """Print the description of the one file named in `arguments`."""
    (path,) = arguments
    if not sys.flags.safe_path:
        sys.path.pop(0)  # the working directory: jobs do not have it
    answer = os.dup(1)
    os.dup2(2, 1)  # prints of the module and of what it starts
    with warnings.catch_warnings(action="ignore"):  # pydantic's, of parameters named like its own
        description = describe_module(Path(path))
    with os.fdopen(answer, "w", encoding="utf-8") as stream:
        stream.write(description.model_dump_json())
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
