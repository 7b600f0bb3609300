"""Random operations on every backend come to the same as on a dictionary."""

from openhcs_core.storage import get_backend_instance
from openhcs_core.testing.storage_machine import (
    FileManagerMachine,
    ImageStoreMachine,
    check_backend,
)


def test_memory():
    check_backend(lambda: FileManagerMachine(get_backend_instance("memory"), "plate"), examples=60)


def test_disk(tmp_path_factory):
    check_backend(
        lambda: FileManagerMachine(
            get_backend_instance("disk"), str(tmp_path_factory.mktemp("disk"))
        )
    )


def test_zarr(tmp_path_factory):
    check_backend(
        lambda: ImageStoreMachine(
            get_backend_instance("zarr"), str(tmp_path_factory.mktemp("stores"))
        ),
        examples=5,
        steps=12,
    )
