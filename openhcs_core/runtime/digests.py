"""Digests of image content: dtype, shape and values, not encoded bytes."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.planes import PlaneKey

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PART_BYTES = 4 * 2**20


def plane_digest(plane: "NDArray[Any]") -> str:
    """Return the XXH3-128 digest of an array's dtype, shape and values (32 hexadecimal digits).

    Equal values in another byte order or memory layout give the same digest.
    """
    import numpy as np
    import xxhash

    native = np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("="))
    digest = xxhash.xxh3_128(f"{native.dtype.name}{native.shape}".encode())
    digest.update(native.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def content_digest(content: bytes) -> str:
    """Return the XXH3-128 digest of bytes, e.g. of a file of encoded images."""
    import xxhash

    return xxhash.xxh3_128(content).hexdigest()


def file_digest(path: Path) -> str:
    """Return :func:`content_digest` of a file's bytes, of which a part is in memory at a time."""
    import xxhash

    digest = xxhash.xxh3_128()
    with path.open("rb", buffering=0) as stream:
        while part := stream.read(_PART_BYTES):
            digest.update(part)
    return digest.hexdigest()


def combined_digest(digests: Iterable[str]) -> str:
    """Return the digest of a sequence of digests."""
    import xxhash

    return xxhash.xxh3_128("\n".join(digests).encode()).hexdigest()


def label_digest(planes: Mapping[PlaneKey, str]) -> str:
    """Return the digest of a label image of a well, from those of its planes."""
    return combined_digest(f"{key.filename} {planes[key]}" for key in sorted(planes))
