"""What is in memory stays as it was saved."""

import numpy as np
import pytest

from openhcs_core.errors import StorageResolutionError
from openhcs_core.storage import get_backend_instance


@pytest.fixture
def memory():
    return get_backend_instance("memory")


def test_a_reader_cannot_change_what_is_stored(memory):
    memory.save(np.arange(6), "a/x.npy")
    loaded = memory.load("a/x.npy")
    with pytest.raises(ValueError, match="read-only"):
        loaded[0] = 9
    assert memory.load("a/x.npy")[0] == 0


def test_a_read_only_array_that_owns_its_memory_is_not_copied(memory):
    array = np.arange(6)
    array.flags.writeable = False
    memory.save(array, "a/x.npy")
    assert memory.load("a/x.npy") is array
    view = array[:3]
    memory.save(view, "a/y.npy")
    assert memory.load("a/y.npy") is not view


def test_other_objects_are_returned_as_they_are(memory):
    thing = object()
    memory.save(thing, "a/thing")
    assert memory.load("a/thing") is thing


def test_a_path_is_a_file_or_a_folder_not_both(memory):
    memory.save(1, "a/b")
    with pytest.raises(StorageResolutionError, match="not a folder"):
        memory.save(1, "a/b/c")
    with pytest.raises(StorageResolutionError, match="is a folder"):
        memory.save(1, "a")
