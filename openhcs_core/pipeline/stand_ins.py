"""Stand-ins for OpenHCS while a pipeline file is read: whatever it imports becomes a name.

They stand in even where OpenHCS is installed, so that a script means the same everywhere
and no array library loads.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any

from openhcs_core.pipeline.function_step import FunctionStep

_STOOD_IN_FOR = frozenset({"openhcs", "objectstate", "polystore", "zmqruntime"})
"""OpenHCS and the packages it was split into that its scripts import from."""


@dataclass(frozen=True)
class Reference:
    """Something of OpenHCS by its dotted name: a function, an enum member, a class."""

    dotted: str

    def __getattr__(self, name: str) -> Any:
        """Return a reference to an attribute, or FunctionStep itself."""
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(f"{self.dotted}.{name}")

    def __call__(self, *arguments: Any, **keywords: Any) -> "Call":
        """Record the call; nothing is called."""
        return Call(self, arguments, keywords)

    @property
    def constant(self) -> str | None:
        """The value of an enum member, by OpenHCS's convention its name in lower case."""
        name = self.dotted.rpartition(".")[2]
        return name.lower() if name.isupper() else None


@dataclass(frozen=True)
class Call:
    """A call of something of OpenHCS, such as ``LazyProcessingConfig(group_by=…)``."""

    called: "Reference | Call"
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]

    def __call__(self, *arguments: Any, **keywords: Any) -> "Call":
        """Record the call of what a call returned, such as a decorator with options."""
        return Call(self, arguments, keywords)

    @property
    def dotted(self) -> str:
        """The dotted name of what is called."""
        return self.called.dotted

    @property
    def name(self) -> str:
        """The last part of the dotted name."""
        return self.dotted.rpartition(".")[2]

    @property
    def decorated(self) -> Callable[..., Any] | None:
        """The function that this call decorates, if it does that."""
        (first, *rest) = self.arguments or (None,)
        if isinstance(first, Call):
            first = first.decorated
        return first if isinstance(first, FunctionType) and not rest else None


def _stand_in(dotted: str) -> Any:
    return FunctionStep if dotted.endswith(".FunctionStep") else Reference(dotted)


class _StandInModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(f"{self.__name__}.{name}")


class _Importer(MetaPathFinder, Loader):
    """Finds and makes modules of OpenHCS, whichever are asked for."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in _STOOD_IN_FOR:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing in it to run."""


@contextmanager
def openhcs_stand_ins() -> Iterator[None]:
    """Make ``import openhcs…`` give stand-ins inside the block."""
    importer = _Importer()
    sys.meta_path.insert(0, importer)
    try:
        yield
    finally:
        sys.meta_path.remove(importer)
