"""Backends are found by name, and importing the room stays light."""

import subprocess
import sys

import pytest

from openhcs_core.constants import Backend
from openhcs_core.errors import ConfigError, StorageResolutionError
from openhcs_core.storage import (
    DataSink,
    FileManager,
    StorageBackend,
    StreamingBackend,
    VirtualBackend,
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


def test_a_registry_makes_each_backend_once_when_it_is_asked_for(monkeypatch):
    claims = [_entry_point("broken", "no_such_module_at_all:Backend")]
    monkeypatch.setattr(backend_registry, "entry_points", lambda group: claims)
    registry = create_storage_registry()
    assert "broken" in registry
    assert registry["memory"] is registry[Backend.MEMORY]
    files = FileManager(registry)
    with pytest.raises(StorageResolutionError, match=r"'zarr' cannot mirror_directory; .* disk"):
        files.mirror_directory("a", "b", "zarr")
    with pytest.raises(StorageResolutionError, match=r"'broken'.*no_such_module_at_all"):
        files.load("a", "broken")


def test_without_gpu_backends_only_disk_and_memory_are_left(monkeypatch):
    monkeypatch.setenv("OPENHCS_SUBPROCESS_NO_GPU", "1")
    registry = create_storage_registry()
    assert set(discover_all_backends()) == set(registry) == {"disk", "memory"}
    assert get_backend_instance(Backend.DISK)
    wanted = r"'zarr'; known: disk, memory; OPENHCS_SUBPROCESS_NO_GPU=1 leaves no other: unset"
    for ask in (
        lambda: get_backend_instance("zarr"),
        lambda: FileManager(registry).load("a.ome.zarr/x", Backend.ZARR),
    ):
        with pytest.raises(StorageResolutionError, match=wanted):
            ask()
    with pytest.raises(StorageResolutionError, match=r"'tape'; known: disk, memory$"):
        get_backend_instance("tape")


def test_the_variable_is_one_or_zero(monkeypatch):
    monkeypatch.setenv("OPENHCS_SUBPROCESS_NO_GPU", "0")
    assert "zarr" in create_storage_registry()
    monkeypatch.setenv("OPENHCS_SUBPROCESS_NO_GPU", "yes")
    with pytest.raises(
        ConfigError, match="OPENHCS_SUBPROCESS_NO_GPU: expected 1 or 0, found 'yes'"
    ):
        create_storage_registry()


def test_every_backend_has_one_of_the_interfaces():
    for name, entry in discover_all_backends().items():
        backend = backend_registry.load_backend_class(name, entry)
        assert issubclass(backend, DataSink)
        assert issubclass(backend, StorageBackend | VirtualBackend | StreamingBackend)


def test_a_backend_refuses_by_itself_what_it_cannot(tmp_path):
    plate = get_backend_instance("virtual_workspace", plate_root=tmp_path, mapping={})
    with pytest.raises(
        StorageResolutionError, match=r"WorkspaceBackend cannot save; it can exists, gen"
    ):
        plate.save(1, "a")
    zarr = get_backend_instance("zarr")
    with pytest.raises(StorageResolutionError, match=r"ZarrStorageBackend cannot mirror_director"):
        zarr.mirror_directory("a", "b")


def test_a_virtual_backend_names_images_by_their_components(tmp_path):
    plate = get_backend_instance("virtual_workspace", plate_root=tmp_path, mapping={})
    parts = {"well": "B02", "site": 10, "channel": "1", "z_index": 2, "timepoint": "3"}
    assert plate.generate_filename(parts) == "B02_s010_w1_z002_t003.tif"
    for wrong, message in (
        ({"well": "B02"}, "expected well, site, channel, z_index, timepoint .* found well"),
        (parts | {"plate": 1}, "found well, .*plate"),
        (parts | {"channel": "a/b"}, "no image name holds .*a/b"),
        (parts | {"site": "first"}, "no image name holds .*first"),
        (parts | {"well": "B2"}, "no image name holds .*B2"),
    ):
        with pytest.raises(StorageResolutionError, match=message):
            plate.generate_filename(wrong)


def test_importing_storage_loads_no_array_library():
    heavy = (
        *("numpy", "zarr", "numcodecs", "tifffile", "natsort", "scipy", "pandas", "snakemake"),
        *("PIL", "pyarrow", "imagecodecs", "torch", "cupy", "jax", "tensorflow", "pyclesperanto"),
    )
    code = (
        "import sys, openhcs_core.storage as s; dict(s.create_storage_registry());"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _entry_point(name, value):
    return backend_registry.EntryPoint(name, value, backend_registry.ENTRY_POINT_GROUP)
