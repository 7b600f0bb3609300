"""OME-TIFF by tifffile: axes, pixel size and channel names in the file's OME-XML."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from openhcs_core.errors import StorageResolutionError
from openhcs_core.storage.backends.tiff_ import resolution_tags, tiff_compression

_DEFAULT_AXES = {2: "YX", 3: "ZYX", 4: "CZYX", 5: "TCZYX"}
_DTYPES = frozenset(
    ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]
)
_UM = "µm"


def write_ome_tiff(
    stream: BinaryIO,
    image: Any,
    path: Path,
    *,
    pixel_size_um: float | None = None,
    z_step_um: float | None = None,
    axes: str | None = None,
    channel_names: Sequence[str] | None = None,
    compression: str | None = None,
) -> None:
    """Write an array as OME-TIFF, a plane a page; equal input gives equal bytes.

    Parameters
    ----------
    stream : binary file
        Where to write.
    image : ndarray
        ``[…, Y, X]`` of up to five axes.
    path : Path
        Where it goes, for messages.
    pixel_size_um, z_step_um : float, optional
        Written as ``PhysicalSizeX``, ``…Y``, ``…Z``; the pixel size as resolution tags too.
    axes : str, optional
        Of T, C, Z, then Y and X; when absent ``TCZYX`` from its end, but C before Z.
    channel_names : sequence of str, optional
        One for each index along C.
    compression : str, optional
        ``"zstd"``; none when absent.

    Raises
    ------
    StorageResolutionError
        OME-TIFF has no such dtype or axes, or names and axes do not fit.
    """
    import tifffile

    order = _checked_axes(image, path, axes)
    metadata: dict[str, Any] = {"axes": order, "Creator": "openhcs-core"}
    if pixel_size_um is not None:
        for axis in "XY":
            metadata |= {f"PhysicalSize{axis}": pixel_size_um, f"PhysicalSize{axis}Unit": _UM}
    if z_step_um is not None:
        metadata |= {"PhysicalSizeZ": z_step_um, "PhysicalSizeZUnit": _UM}
    if channel_names is not None:
        count = image.shape[order.index("C")] if "C" in order else 1
        if len(channel_names) != count:
            raise StorageResolutionError(
                f"{path}: {len(channel_names)} channel names for {count} channels along axes "
                f"{order}; give one each"
            )
        metadata["Channel"] = {"Name": list(channel_names)}
    metadata["UUID"] = str(_content_uuid(image, metadata))
    tifffile.imwrite(
        stream,
        image,
        ome=True,
        photometric="minisblack",
        metadata=metadata,
        **resolution_tags(pixel_size_um),
        **tiff_compression(compression, path),
    )


def _checked_axes(image: Any, path: Path, axes: str | None) -> str:
    if image.dtype.name not in _DTYPES:
        raise StorageResolutionError(
            f"{path}: OME-TIFF has no dtype {image.dtype.name}; save .tif, or convert to one of "
            f"{', '.join(sorted(_DTYPES))}"
        )
    order = axes or _DEFAULT_AXES.get(image.ndim, "")
    others = order.removesuffix("YX")
    if (
        len(order) != image.ndim
        or not order.endswith("YX")
        or not set(others) <= set("TCZ")
        or len(set(others)) != len(others)
    ):
        raise StorageResolutionError(
            f"{path}: expected axes of T, C and Z, then YX, one for each of {image.ndim} "
            f"dimensions, found {axes or 'none'}; give axes="
        )
    return order


def _content_uuid(image: Any, metadata: dict[str, Any]) -> UUID:
    """Return an id that follows from the content: tifffile's own is random."""
    import numpy as np
    import xxhash

    described = repr((image.shape, image.dtype.str, sorted(metadata.items())))
    digest = xxhash.xxh3_128(described.encode())
    digest.update(np.ascontiguousarray(image).data)
    return UUID(bytes=digest.digest(), version=5)
