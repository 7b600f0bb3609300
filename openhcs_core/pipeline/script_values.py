"""Values and functions of a pipeline script as data, or the reason why they cannot be."""

import functools
import os
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from numbers import Integral, Real
from types import FunctionType
from typing import Any

from openhcs_core.pipeline.script_data import ScriptCall
from openhcs_core.pipeline.stand_ins import Call, Reference

SCRIPT_MODULE = "openhcs_pipeline_file"
"""``__name__`` in a pipeline file: not ``__main__``, so that a script does not start itself."""
_REMEDY = "jobs import their functions by name; use one that 'openhcs-core functions list' shows"


class RefusedError(ValueError):
    """A value or a function that cannot stand in a plan; the message says what to do instead."""


def plain(value: Any) -> Any:
    """Return a value as what JSON has.

    Raises
    ------
    RefusedError
        It is none of text, number, boolean, None, list, dict and enum member.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (Mapping, list, tuple)):
        return (
            _plain_mapping(value) if isinstance(value, Mapping) else [plain(item) for item in value]
        )
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> int | float | str:
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, Reference) and value.constant is not None:
        return value.constant
    raise RefusedError(
        f"{describe(value)} cannot stand in a plan; write numbers, text, lists and dicts"
    )


def _plain_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    keys = [str(plain(key)) for key in value]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise RefusedError(f"key {twice[0]!r} stands twice (once as a number); keep one")
    return dict(zip(keys, (plain(item) for item in value.values()), strict=True))


def describe(value: Any) -> str:
    """Return what a value is, for messages."""
    if isinstance(value, Call):
        return f"{value.dotted}(…)"
    if isinstance(value, Reference):
        return value.dotted
    if isinstance(value, (str, int, float)) or value is None:
        return repr(value)
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def name_function(function: Any, line: int) -> ScriptCall:
    """Return a function by the names it can be imported by.

    Raises
    ------
    RefusedError
        A job on another node could not import it.
    """
    if isinstance(function, Call):
        if function.decorated is None:
            raise RefusedError(f"{function.dotted}(…) is not a function here; name a function")
        function = function.decorated
    if isinstance(function, str):
        return ScriptCall(written=function, line=line)
    if isinstance(function, Reference):
        return ScriptCall(dotted=(function.dotted,), line=line)
    if isinstance(function, functools.partial):
        raise RefusedError(
            f"functools.partial of {_name(function.func)} cannot be imported by jobs; "
            "write (function, {parameters})"
        )
    if not callable(function) or isinstance(function, type):
        raise RefusedError(
            "expected a function, (function, {parameters}), a list or a dict; "
            f"found {_name(function) if callable(function) else describe(function)}"
        )
    _refuse_local(function)
    file = getattr(sys.modules.get(str(function.__module__)), "__file__", None)
    return ScriptCall(dotted=_import_names(function), line=line, file=file)


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", None) or describe(function))


def _refuse_local(function: Any) -> None:
    name = _name(function).replace("<locals>.", "")
    if isinstance(function, FunctionType) and function.__name__ == "<lambda>":
        raise RefusedError(f"a lambda cannot be used: {_REMEDY}")
    if isinstance(function, FunctionType) and "<locals>" in function.__qualname__:
        raise RefusedError(f"{name} is a function inside a function: {_REMEDY}")
    if getattr(function, "__module__", None) == SCRIPT_MODULE:
        raise RefusedError(f"{name} is defined in this file: {_REMEDY}")
    module = sys.modules.get(str(getattr(function, "__module__", None)))
    if module is not None and getattr(module, name, None) is function:
        return
    raise RefusedError(f"{name} cannot be imported by its name: {_REMEDY}")


def _import_names(function: Any) -> tuple[str, ...]:
    """Return ``module.name`` for every public module that has the function, shortest first."""
    own, name = str(function.__module__), str(function.__name__)
    root = own.partition(".")[0]
    found = {f"{own}.{name}"} if "._" not in own else set()
    with warnings.catch_warnings(action="ignore"):  # from deprecated modules, which tell on access
        for module_name, module in list(sys.modules.items()):
            if module_name.partition(".")[0] != root or "._" in module_name:
                continue
            with suppress(ImportError):
                if getattr(module, name, None) is function:
                    found.add(f"{module_name}.{name}")
    return tuple(sorted(found, key=lambda dotted: (len(dotted), dotted))) or (f"{own}.{name}",)
