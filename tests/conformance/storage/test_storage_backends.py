"""The shipped kit run on the backends of this package."""

import pytest

from openhcs_core.storage import get_backend_instance
from openhcs_core.testing.storage import ImageStorageTests, StorageBackendTests


class TestDisk(StorageBackendTests):
    @pytest.fixture
    def backend(self):
        return get_backend_instance("disk")

    @pytest.fixture
    def root(self, tmp_path):
        return str(tmp_path / "root")


class TestMemory(StorageBackendTests):
    @pytest.fixture
    def backend(self):
        return get_backend_instance("memory")

    @pytest.fixture
    def root(self):
        return "results/plate"


class TestZarr(ImageStorageTests):
    @pytest.fixture
    def backend(self):
        return get_backend_instance("zarr")

    @pytest.fixture
    def root(self, tmp_path):
        return str(tmp_path / "plates" / "clean.ome.zarr")
