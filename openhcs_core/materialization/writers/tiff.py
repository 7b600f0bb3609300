"""Images as pages of one TIFF."""

import io
from collections.abc import Sequence

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization.sources import Entry, describe, image_planes

_LARGEST_CLASSIC_BYTES = 2**32 - 2**25
"""Offsets of classic TIFF have 32 bits; what is larger is BigTIFF."""


def tiff_bytes(entries: Sequence[Entry]) -> bytes:
    """Return a TIFF with a page an image, uncompressed, of any number's dtype.

    Pages stand in the order of the calls and have the image's name, such as
    ``s001_w1_z001_t001``, for description; shapes and dtypes may differ. No times and no
    names of software: the same images give the same bytes. Without images it is a TIFF
    header without pages.

    Raises
    ------
    StepFunctionError
        Not an image ``[Y, X]`` or ``[Z, Y, X]`` of numbers.
    """
    from tifffile import TiffWriter

    pages = [(entry.name_of(key), plane) for entry in entries for key, plane in image_planes(entry)]
    for _, plane in pages:
        if plane.dtype.kind not in "biuf":
            raise StepFunctionError(f"is {describe(plane)}; TIFF takes images of real numbers")
    size_bytes = sum(plane.nbytes for _, plane in pages)
    stream = io.BytesIO()
    with TiffWriter(stream, byteorder="<", bigtiff=size_bytes > _LARGEST_CLASSIC_BYTES) as writer:
        for name, plane in pages:
            writer.write(
                plane,
                description=name,
                photometric="minisblack",
                contiguous=False,
                metadata=None,
                software=False,
            )
    return stream.getvalue()
