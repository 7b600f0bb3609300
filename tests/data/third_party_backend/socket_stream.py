"""A backend of another distribution: sends arrays to whoever listens on a local port."""

import socket
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

from openhcs_core.errors import StorageResolutionError
from openhcs_core.storage import StreamingBackend, host_array


class SocketStreamBackend(StreamingBackend):
    """Sends each array as two lengths, its identifier and an NPY file.

    Parameters
    ----------
    port : int
        Where a receiver listens on this machine.
    """

    def __init__(self, port: int) -> None:
        self._receiver = f"receiver on port {port}"
        self._socket: socket.socket | None = socket.create_connection(("127.0.0.1", port), 10)

    def save(self, data: Any, identifier: str | Path, **options: Any) -> None:
        """Send one array."""
        import numpy as np

        if self._socket is None:
            raise StorageResolutionError(f"{identifier}: the {self._receiver} was closed")
        content = BytesIO()
        np.save(content, host_array(data, identifier), allow_pickle=False)
        name = str(identifier).encode()
        head = struct.pack("!II", len(name), content.tell())
        try:
            self._socket.sendall(head + name + content.getvalue())
        except OSError as error:
            raise StorageResolutionError(
                f"{identifier}: the {self._receiver} is gone ({error}); start it again"
            ) from error

    def close(self) -> None:
        """Wait until the receiver has read all."""
        if self._socket is not None:
            with self._socket:
                self._socket.shutdown(socket.SHUT_WR)
                self._socket.recv(1)  # nothing, when the receiver hangs up
            self._socket = None
