"""Which backends there are; each is imported when it is first asked for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from threading import Lock
from types import MappingProxyType
from typing import Any

from openhcs_core.config import NO_GPU_VARIABLE, is_without_gpu_backends
from openhcs_core.constants import Backend
from openhcs_core.errors import StorageResolutionError
from openhcs_core.storage.base import DataSink

ENTRY_POINT_GROUP = "openhcs.storage"
"""Other distributions add backends as entry points of this group: ``name = "module:Class"``."""


@dataclass(frozen=True, slots=True)
class BackendEntry:
    """Where a backend's class is, and what to do when it cannot be imported.

    Attributes
    ----------
    target : str
        ``"module:Class"``.
    remedy : str
        What to install or change when the import fails.
    arguments : tuple of str
        Arguments its constructor cannot do without; with any it is in no registry by itself.
    """

    target: str
    remedy: str
    arguments: tuple[str, ...] = ()


_BACKENDS = "openhcs_core.storage.backends"
_INSTALL_AGAIN = "it is part of openhcs-core: install openhcs-core again with its dependencies"

BUILTIN_BACKENDS: Mapping[str, BackendEntry] = MappingProxyType(
    {
        Backend.MEMORY: BackendEntry(f"{_BACKENDS}.memory_:MemoryStorageBackend", _INSTALL_AGAIN),
        Backend.DISK: BackendEntry(f"{_BACKENDS}.disk_:DiskStorageBackend", _INSTALL_AGAIN),
        Backend.ZARR: BackendEntry(f"{_BACKENDS}.zarr_:ZarrStorageBackend", _INSTALL_AGAIN),
        Backend.VIRTUAL_WORKSPACE: BackendEntry(
            f"{_BACKENDS}.virtual_workspace:VirtualWorkspaceBackend",
            _INSTALL_AGAIN,
            arguments=("plate_root", "mapping"),
        ),
    }
)


LIGHT_BACKENDS = frozenset({Backend.DISK, Backend.MEMORY})
"""What ``OPENHCS_SUBPROCESS_NO_GPU=1`` leaves."""


class StorageRegistry(Mapping[str, DataSink]):
    """Backends by name; each is imported and made when it is first asked for, and kept.

    Parameters
    ----------
    entries : mapping of str to BackendEntry
        Where they are.
    """

    def __init__(self, entries: Mapping[str, BackendEntry]) -> None:
        self._entries = dict(entries)
        self._made: dict[str, DataSink] = {}
        self._lock = Lock()

    def __getitem__(self, name: str) -> DataSink:
        with self._lock:  # two threads must get one memory store
            if name not in self._made:
                self._made[name] = _make(name, self._entries[name], {})
            return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def discover_all_backends() -> dict[str, BackendEntry]:
    """Return every backend that may be used by name, importing none of them.

    Raises
    ------
    StorageResolutionError
        Two distributions claim one name.
    """
    known = _known_backends()
    if is_without_gpu_backends():
        return {name: entry for name, entry in known.items() if name in LIGHT_BACKENDS}
    return known


def get_backend_instance(name: Backend | str, **arguments: Any) -> DataSink:
    """Return a new backend.

    Parameters
    ----------
    name : Backend or str
        For example ``"disk"``.
    **arguments
        For the backend's constructor; ``virtual_workspace`` needs ``plate_root`` and ``mapping``.

    Raises
    ------
    StorageResolutionError
        There is no such backend, it cannot be imported, an argument is missing, or
        ``OPENHCS_SUBPROCESS_NO_GPU`` leaves it out.
    """
    # The built-in names need no look through the installed distributions (tens of ms).
    entry = BUILTIN_BACKENDS.get(str(name)) or _known_backends().get(str(name))
    if entry is None or (is_without_gpu_backends() and str(name) not in LIGHT_BACKENDS):
        raise unknown_backend(name, discover_all_backends())
    return _make(str(name), entry, arguments)


def create_storage_registry() -> StorageRegistry:
    """Return the backends that need no arguments, by name; each is made when first asked for.

    Each call gives a separate memory store. Backends bound to one plate, such as
    ``virtual_workspace``, are added by whoever knows the plate.
    """
    return StorageRegistry(
        {name: entry for name, entry in discover_all_backends().items() if not entry.arguments}
    )


def unknown_backend(name: object, known: Mapping[str, object]) -> StorageResolutionError:
    """Return the error for a backend that is not among `known`."""
    left_out = is_without_gpu_backends() and str(name) in _known_backends().keys() - LIGHT_BACKENDS
    why = f"; {NO_GPU_VARIABLE}=1 leaves no other: unset it to use this one" if left_out else ""
    return StorageResolutionError(
        f"no storage backend {str(name)!r}; known: {', '.join(sorted(known)) or 'none'}{why}"
    )


def load_backend_class(name: str, entry: BackendEntry) -> type[DataSink]:
    """Return a backend's class.

    Raises
    ------
    StorageResolutionError
        It cannot be imported.
    """
    module, _, attribute = entry.target.partition(":")
    try:
        backend_class: type[DataSink] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise StorageResolutionError(
            f"storage backend {name!r} ({entry.target}) cannot be imported: {error}; {entry.remedy}"
        ) from error
    return backend_class


def _known_backends() -> dict[str, BackendEntry]:
    found = {str(name): entry for name, entry in BUILTIN_BACKENDS.items()}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name in found:
            raise StorageResolutionError(
                f"storage backend {point.name!r} is claimed by {found[point.name].target} and by "
                f"{point.value} of {_distribution(point)}; uninstall one of them"
            )
        found[point.name] = BackendEntry(
            point.value, f"install {_distribution(point)} again or uninstall it"
        )
    return found


def _make(name: str, entry: BackendEntry, arguments: Mapping[str, Any]) -> DataSink:
    backend_class = load_backend_class(name, entry)
    missing = [each for each in _required_arguments(backend_class) if each not in arguments]
    if missing:
        raise StorageResolutionError(
            f"storage backend {name!r} needs {' and '.join(missing)}, not given; make it with "
            f"get_backend_instance({name!r}, {', '.join(f'{each}=…' for each in missing)})"
        )
    return backend_class(**arguments)


@cache
def _required_arguments(backend_class: type[DataSink]) -> tuple[str, ...]:
    """Return what a constructor must be given; to look takes longer than to make the backend."""
    return tuple(
        parameter.name
        for parameter in signature(backend_class).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    )


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"
