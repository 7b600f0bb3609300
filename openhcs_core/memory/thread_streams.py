"""Streams of work on a device: one a thread, so that threads do not wait for each other."""

import threading
from collections.abc import Callable
from typing import Any


class ThreadStreams:
    """One stream for each thread and device.

    Parameters
    ----------
    make : callable
        Makes a stream on a device.
    """

    def __init__(self, make: Callable[[int], Any]) -> None:
        self._make = make
        self._mine = threading.local()

    def get(self, gpu_id: int) -> Any:
        """Return the calling thread's stream on a device, made when it is first asked for."""
        streams: dict[int, Any] = self._mine.__dict__.setdefault("streams", {})
        if gpu_id not in streams:
            streams[gpu_id] = self._make(gpu_id)
        return streams[gpu_id]
