"""Backends are found by name, and importing the room stays light."""

import subprocess
import sys

import pytest

from openhcs_core.constants import Backend
from openhcs_core.errors import StorageResolutionError
from openhcs_core.storage import (
    StorageBackend,
    backend_registry,
    create_storage_registry,
    discover_all_backends,
    get_backend_instance,
)


def test_every_backend_of_the_enum_is_known():
    assert set(Backend) <= set(discover_all_backends())


@pytest.mark.parametrize("name", ["disk", Backend.DISK])
def test_a_backend_is_named_by_enum_or_text(name):
    assert type(get_backend_instance(name)).__name__ == "DiskStorageBackend"


def test_an_unknown_backend_lists_the_known_ones():
    with pytest.raises(StorageResolutionError, match=r"'dsik'.*disk, memory.*zarr"):
        get_backend_instance("dsik")


def test_a_backend_bound_to_a_plate_says_what_it_needs(tmp_path):
    with pytest.raises(StorageResolutionError, match="needs plate_root and mapping"):
        get_backend_instance("virtual_workspace")
    assert get_backend_instance("virtual_workspace", plate_root=tmp_path, mapping={})


def test_the_registry_holds_what_needs_no_plate_and_is_nobody_elses():
    first, second = create_storage_registry(), create_storage_registry()
    assert {"disk", "memory", "zarr"} <= set(first)
    assert "virtual_workspace" not in first
    assert all(isinstance(first[name], StorageBackend) for name in ("disk", "memory", "zarr"))
    first["memory"].save(1, "a/x")
    assert not second["memory"].exists("a/x")


def test_two_claims_to_one_name_are_an_error(monkeypatch):
    claims = [_entry_point("disk", "elsewhere:Disk")]
    monkeypatch.setattr(backend_registry, "entry_points", lambda group: claims)
    with pytest.raises(StorageResolutionError, match=r"'disk' is claimed by .* elsewhere:Disk"):
        discover_all_backends()


def test_backends_of_other_distributions_load_when_asked_for(monkeypatch):
    claims = [
        _entry_point("mine", "openhcs_core.storage.backends.memory_:MemoryStorageBackend"),
        _entry_point("broken", "no_such_module_at_all:Backend"),
    ]
    monkeypatch.setattr(backend_registry, "entry_points", lambda group: claims)
    assert type(get_backend_instance("mine")).__name__ == "MemoryStorageBackend"
    with pytest.raises(StorageResolutionError, match=r"'broken'.*no_such_module_at_all.*install"):
        get_backend_instance("broken")


def test_importing_storage_loads_no_array_library():
    heavy = ("numpy", "zarr", "numcodecs", "tifffile", "natsort", "scipy", "pandas", "snakemake")
    code = (
        "import sys, openhcs_core.storage as s; s.create_storage_registry();"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _entry_point(name, value):
    return backend_registry.EntryPoint(name, value, backend_registry.ENTRY_POINT_GROUP)
