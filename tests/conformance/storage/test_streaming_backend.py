"""A streaming backend of another distribution, found by its entry point, sends to a real socket."""

import socket
import struct
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from openhcs_core.errors import StorageResolutionError
from openhcs_core.storage import (
    StreamingBackend,
    create_storage_registry,
    discover_all_backends,
    get_backend_instance,
    operations_of,
)
from openhcs_core.testing.streaming import StreamingBackendTests

THIRD_PARTY = Path(__file__).parents[2] / "data/third_party_backend"


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.syspath_prepend(THIRD_PARTY)


class _Receiver(threading.Thread):
    """Reads one connection to its end."""

    def __init__(self):
        super().__init__()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(20)
        self.port = self._server.getsockname()[1]
        self.arrays = []

    def run(self):
        with (
            self._server,
            self._server.accept()[0] as connection,
            connection.makefile("rb") as stream,
        ):
            while head := stream.read(8):
                name, content = (stream.read(size) for size in struct.unpack("!II", head))
                self.arrays.append((name.decode(), np.load(BytesIO(content))))


class TestSocketStream(StreamingBackendTests):
    @pytest.fixture
    def receiver(self):
        receiver = _Receiver()
        receiver.start()
        yield receiver
        receiver.join()

    @pytest.fixture
    def received(self, receiver):
        def arrived():
            receiver.join()
            return receiver.arrays

        return arrived

    @pytest.fixture
    def backend(self, receiver):
        with get_backend_instance("socket_stream", port=receiver.port) as backend:
            yield backend


def test_it_is_known_by_its_entry_point_and_says_what_it_needs():
    assert discover_all_backends()["socket_stream"].target == "socket_stream:SocketStreamBackend"
    with pytest.raises(StorageResolutionError, match=r"needs port.*\('socket_stream', port=…\)"):
        create_storage_registry()["socket_stream"]


def test_it_takes_data_and_gives_none():
    assert operations_of(StreamingBackend) == {"save", "save_batch"}


def test_a_receiver_that_is_gone_is_named():
    server = socket.create_server(("127.0.0.1", 0))
    with server:
        backend = get_backend_instance("socket_stream", port=server.getsockname()[1])
        connection, _ = server.accept()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    plane = np.zeros((1024, 1024))  # more than the system keeps for a receiver
    with pytest.raises(StorageResolutionError, match=r"x: the receiver on port \d+ is gone"):
        backend.save_batch([plane, plane], ["x", "x"])
    backend._socket.close()
