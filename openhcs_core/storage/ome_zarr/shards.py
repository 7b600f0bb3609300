"""Shards of zarr v3 written a plane at a time: what is encoded is on disk, not in memory.

tensorstore has a shard whole in memory, or writes it again for each plane that is added. Here it
encodes each plane as it does within a shard, and the file is put together from that: the chunks
in order, then the index that says where they are. The bytes are the same.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.storage.ome_zarr.layout import ArrayLayout, Place
from openhcs_core.storage.ome_zarr.tensorstore_ import Pending, WriteQueue, naming_failures

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ShardWriter:
    """Writes the shards of a new array, each whole before the next is begun.

    Parameters
    ----------
    folder : Path
        The array's, whose metadata are there or follow.
    layout : ArrayLayout
        Of its shards.
    queue : WriteQueue
        Where planes are while they are encoded.
    """

    def __init__(self, folder: Path, layout: ArrayLayout, queue: WriteQueue) -> None:
        self._folder, self._layout, self._queue = folder, layout, queue
        self._planes = queue.encode(layout.planes_metadata())
        self._count = 0
        self._sizes: list[int] = []

    def put(self, place: Place, plane: "NDArray[Any]") -> None:
        """Start to encode the next plane of a shard; none may be left out.

        Parameters
        ----------
        place : (int, int, int)
            Its index ``(t, c, z)``.
        plane : ndarray
            ``[Y, X]``, which is not to be changed any more.
        """
        number, path = self._count, self._path(place)
        self._count += 1
        pending = self._planes.start(number, plane)

        def finish() -> None:
            pending.result()
            content = self._planes.take(number)
            self._sizes.append(len(content))
            _append(path, content)

        self._queue.put(_Finishing(self._folder, finish, pending), plane.nbytes)

    def close(self, place: Place) -> None:
        """End the shard that has a plane with its index, and bring it to disk."""
        path = self._path(place)

        def finish() -> None:
            _append(path, self._index())
            self._sizes = []
            self._queue.run(_Finishing(self._folder, partial(_sync, path)).result)

        self._queue.put(_Finishing(self._folder, finish), 0)

    def _path(self, place: Place) -> Path:
        return self._folder / self._layout.file_of(place)

    def _index(self) -> bytes:
        """Return where each chunk begins and how long it is, encoded as the metadata say."""
        import numpy as np

        sizes = np.array(self._sizes, np.uint64)
        spans = np.stack([np.cumsum(sizes) - sizes, sizes], axis=1)
        index = self._queue.encode(self._layout.index_metadata())
        index.start(0, spans).result()
        return index.take(0)


@dataclass(frozen=True)
class _Finishing:
    """What is left to do of a plane or shard once it is its turn."""

    folder: Path
    finish: Callable[[], None]
    pending: Pending | None = None

    def result(self) -> None:
        with naming_failures(self.folder):
            self.finish()

    def done(self) -> bool:
        return self.pending is None or self.pending.done()


def _append(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write(content)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
