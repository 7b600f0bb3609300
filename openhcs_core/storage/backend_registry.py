"""Which backends there are; each is imported when it is first asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

from openhcs_core.constants import Backend
from openhcs_core.errors import StorageResolutionError
from openhcs_core.storage.base import DataSink, ReadableBackend

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
        Arguments its constructor cannot do without.
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


def discover_all_backends() -> dict[str, BackendEntry]:
    """Return every known backend by name, importing none of them.

    Raises
    ------
    StorageResolutionError
        Two distributions claim one name.
    """
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


def get_backend_instance(name: Backend | str, **arguments: Any) -> DataSink | ReadableBackend:
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
        There is no such backend, it cannot be imported, or an argument is missing.
    """
    # The built-in names need no look through the installed distributions (tens of ms).
    entry = BUILTIN_BACKENDS.get(str(name)) or discover_all_backends().get(str(name))
    if entry is None:
        raise unknown_backend(name, discover_all_backends())
    missing = [argument for argument in entry.arguments if argument not in arguments]
    if missing:
        raise StorageResolutionError(
            f"storage backend {str(name)!r} needs {' and '.join(missing)}, not given"
        )
    backend: DataSink | ReadableBackend = _backend_class(str(name), entry)(**arguments)
    return backend


def create_storage_registry() -> dict[str, DataSink | ReadableBackend]:
    """Return a new instance of each backend that needs no arguments, by name.

    Each call gives a separate memory store. Backends bound to one plate, such as
    ``virtual_workspace``, are added by whoever knows the plate.
    """
    return {
        name: get_backend_instance(name)
        for name, entry in discover_all_backends().items()
        if not entry.arguments
    }


def unknown_backend(name: object, known: Mapping[str, object]) -> StorageResolutionError:
    """Return the error for a backend that is not among `known`."""
    return StorageResolutionError(
        f"no storage backend {str(name)!r}; known: {', '.join(sorted(known)) or 'none'}"
    )


def _backend_class(name: str, entry: BackendEntry) -> type[Any]:
    module, _, attribute = entry.target.partition(":")
    try:
        backend_class: type[Any] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise StorageResolutionError(
            f"storage backend {name!r} ({entry.target}) cannot be imported: {error}; {entry.remedy}"
        ) from error
    return backend_class


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"
