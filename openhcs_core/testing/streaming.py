# ruff: noqa: D102  # a test's name says what it checks
"""What every streaming backend promises, as a pytest class to subclass.

Subclasses give a backend with a real receiver, and what that has got::

    class TestMine(StreamingBackendTests):
        @pytest.fixture
        def received(self):
            with start_receiver() as receiver:
                yield receiver.list_arrays

        @pytest.fixture
        def backend(self, received):
            with MyStream(...) as backend:
                yield backend
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from openhcs_core.errors import StorageResolutionError
from openhcs_core.storage import FileManager, StreamingBackend, get_backend_instance
from openhcs_core.testing.storage import IMAGE_DTYPES, assert_same_array, example_plane

Received = Callable[[], Sequence[tuple[str, Any]]]


class StreamingBackendTests(ABC):
    """What is sent arrives, in order and unchanged; see :class:`StreamingBackend`."""

    @pytest.fixture
    @abstractmethod
    def received(self) -> Received:
        """Return a function that lists identifier and array of what has arrived."""

    @pytest.fixture
    @abstractmethod
    def backend(self, received: Received) -> StreamingBackend:
        """Return an open backend that sends there."""

    @pytest.mark.parametrize("dtype", IMAGE_DTYPES)
    def test_every_bit_arrives(
        self, backend: StreamingBackend, received: Received, dtype: str
    ) -> None:
        plane = example_plane(dtype)
        backend.save(plane, "a/x.tif")
        backend.close()
        ((identifier, found),) = received()
        assert identifier == "a/x.tif"
        assert_same_array(found, plane)

    def test_objects_arrive_in_the_order_saved(
        self, backend: StreamingBackend, received: Received
    ) -> None:
        planes = [example_plane("uint16", seed=seed) for seed in range(5)]
        backend.save(planes[0], "0")
        backend.save_batch(planes[1:4], ["1", "2", "3"])
        backend.save(planes[4], "4")
        backend.close()
        arrived = received()
        assert [identifier for identifier, _ in arrived] == list("01234")
        for (_, found), plane in zip(arrived, planes, strict=True):
            assert_same_array(found, plane)

    def test_changing_an_array_after_saving_it_changes_nothing_sent(
        self, backend: StreamingBackend, received: Received
    ) -> None:
        plane = example_plane("uint16")
        kept = plane.copy()
        backend.save(plane, "x")
        plane[:] = 0
        backend.close()
        assert_same_array(received()[0][1], kept)

    def test_a_closed_backend_takes_nothing(self, backend: StreamingBackend) -> None:
        backend.close()
        backend.close()
        with pytest.raises(StorageResolutionError, match="late"):
            backend.save(np.zeros((2, 2), "uint8"), "late")

    def test_leaving_a_block_closes(self, backend: StreamingBackend, received: Received) -> None:
        with backend as same:
            same.save(example_plane("uint8"), "x")
        assert [identifier for identifier, _ in received()] == ["x"]

    def test_a_file_manager_saves_to_it_and_reads_from_others(
        self, backend: StreamingBackend, received: Received
    ) -> None:
        files = FileManager({"stream": backend, "disk": get_backend_instance("disk")})
        files.save_image(example_plane("uint8"), "x", "stream")
        with pytest.raises(StorageResolutionError, match=r"'stream' cannot load; .*: disk"):
            files.load("x", "stream")
        with pytest.raises(StorageResolutionError, match=r"'stream' cannot list_dir; .*: disk"):
            files.list_dir("x", "stream")
        backend.close()
        assert len(received()) == 1
