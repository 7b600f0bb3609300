"""Packages whose names are imported when they are first asked for."""

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def importing_lazily(package: str, names: Mapping[str, Iterable[str]]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` (PEP 562) that imports what it has of other modules.

    Parameters
    ----------
    package : str
        Name of the module that gets it.
    names : mapping
        By module: what the package has of it.
    """
    places = {name: module for module, among in names.items() for name in among}

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(places[name]), name)
        setattr(sys.modules[package], name, value)  # asked for once
        return value

    return get
