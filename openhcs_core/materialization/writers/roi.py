"""Label images and outlines as ImageJ ROI sets."""

import copy
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization.sources import (
    Entry,
    as_array,
    describe,
    image_planes,
    is_roi,
    plane_name,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DATE = (1980, 1, 1, 0, 0, 0)
_LARGEST_COORDINATE = 32767
_ROI_KINDS = (
    "a label image [Y, X] or [Z, Y, X], or a list of polygons (points (y, x), three or more) or of "
    "roifile.ImagejRoi"
)


def roi_bytes(entries: Sequence[Entry]) -> bytes:
    """Return an ImageJ ROI zip of label images, polygons and ROIs.

    Objects of label images are outlined as :func:`roi_zip_bytes` does. Of a list each polygon
    is an entry ``<image>-<position from 1:04d>.roi`` and each :class:`roifile.ImagejRoi` that
    has a name of its own an entry ``<image>-<name>.roi``. A polygon's points are ``(y, x)``
    from the top left corner of the image, so that ``(0.5, 0.5)`` is the middle of the first
    pixel; whole numbers stay whole, fractions are kept in ImageJ's single precision.

    Raises
    ------
    StepFunctionError
        None of these, two ROIs of one name, or a point beyond 32767.
    """
    return _zip(pair for entry in entries for pair in _entry_rois(entry))


def _entry_rois(entry: Entry) -> "Iterator[tuple[str, bytes]]":
    if as_array(entry.value) is not None:
        for key, plane in image_planes(entry):
            yield from _label_rois(plane_name(key), plane)
        return
    if not isinstance(entry.value, list | tuple):
        raise StepFunctionError(f"is {describe(entry.value)}; ROIs come from {_ROI_KINDS}")
    for number, outline in enumerate(entry.value, start=1):
        name = f"{entry.name}-{number:04d}"
        yield (
            _named_roi(entry.name, name, outline)
            if is_roi(outline)
            else (
                name,
                _roi_bytes(name, _polygon(outline, number)),
            )
        )


def _named_roi(image: str, numbered: str, roi: Any) -> tuple[str, bytes]:
    """Return a ROI as it is but for its name, which has to differ from image to image."""
    name = f"{image}-{roi.name}" if roi.name else numbered
    if "/" in name or "\\" in name:
        raise StepFunctionError(f"has a ROI named {roi.name!r}; slashes cannot be in its name")
    named = copy.copy(roi)
    named.name = name
    content: bytes = named.tobytes()
    return name, content


def _polygon(outline: Any, number: int) -> "NDArray[Any]":
    """Return a polygon's corners as ``(x, y)``, int32 or float32."""
    import numpy as np

    found = as_array(outline)
    try:
        corners: NDArray[Any] = np.asarray(outline) if found is None else found
    except ValueError:  # points of different lengths
        corners = np.empty(0)
    if (
        corners.ndim != 2
        or corners.shape[1] != 2
        or len(corners) < 3
        or corners.dtype.kind not in "iuf"
    ):
        raise StepFunctionError(
            f"has {describe(outline)} for ROI {number} of a list; ROIs come from {_ROI_KINDS}"
        )
    if not np.all(np.abs(corners.astype(np.float64)) <= _LARGEST_COORDINATE):
        raise StepFunctionError(
            f"has a point in polygon {number} that is not finite or beyond {_LARGEST_COORDINATE}, "
            "where ImageJ's ROI format ends"
        )
    kind = np.float32 if corners.dtype.kind == "f" else np.int32
    return corners[:, ::-1].astype(kind)


def roi_zip_bytes(labels_by_slice: "Sequence[tuple[str, NDArray[Any]]]") -> bytes:
    """Outline every object of label images by a polygon, as ImageJ's ROI Manager saves them.

    A polygon runs along the corners of the object's pixels, which ImageJ counts
    from the top left of the image: the pixel in row 2 and column 5 is the square
    from (5, 2) to (6, 3). Filled, it gives the object's pixels back, and those of
    holes in it. The zip is stored uncompressed with fixed dates: the same
    labels give the same bytes.

    Parameters
    ----------
    labels_by_slice : sequence of (str, numpy.ndarray)
        Prefix and integer labels ``[Y, X]``, 0 outside. The prefixes differ.

    Returns
    -------
    bytes
        A zip with an entry an object, named ``<prefix>-<label:04d>.roi``; an
        object in several pieces that do not share a pixel side has an entry a
        piece, the further ones with ``.2``, ``.3``… after the label. A valid
        empty zip where there is no object.

    Raises
    ------
    StepFunctionError
        Not 2-D integers, a negative label, an image wider or higher than 32767
        pixels, or a prefix twice.
    """
    prefixes = [prefix for prefix, _ in labels_by_slice]
    if len(set(prefixes)) < len(prefixes):
        raise StepFunctionError(f"label images with the same name: {', '.join(sorted(prefixes))}")
    return _zip(pair for prefix, labels in labels_by_slice for pair in _label_rois(prefix, labels))


def _label_rois(prefix: str, labels: Any) -> Iterator[tuple[str, bytes]]:
    for name, corners in _named_polygons(prefix, _checked(labels, prefix)):
        yield name, _roi_bytes(name, corners)


def _zip(rois: Iterable[tuple[str, bytes]]) -> bytes:
    stream = io.BytesIO()
    names = set()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in rois:
            if name in names:
                raise StepFunctionError(f"has two ROIs named {name!r}; ImageJ would show one")
            names.add(name)
            entry = zipfile.ZipInfo(f"{name}.roi", _DATE)
            entry.create_system = 3
            archive.writestr(entry, content)
    return stream.getvalue()


def _checked(labels: Any, prefix: str) -> "NDArray[np.integer[Any]]":
    import numpy as np

    image: NDArray[Any] = np.asarray(labels)
    if image.ndim != 2 or image.dtype.kind not in "iu":
        raise StepFunctionError(
            f"labels of {prefix!r} must be integers [Y, X], got {image.dtype} {image.shape}"
        )
    if image.size and image.min() < 0:
        raise StepFunctionError(f"labels of {prefix!r} have a negative label {image.min()}")
    if max(image.shape) > _LARGEST_COORDINATE:
        raise StepFunctionError(
            f"labels of {prefix!r} have shape {image.shape}; ImageJ's ROI format ends at "
            f"{_LARGEST_COORDINATE} pixels"
        )
    return image


def _named_polygons(
    prefix: str, labels: "NDArray[np.integer[Any]]"
) -> "Iterator[tuple[str, NDArray[np.int32]]]":
    import numpy as np
    from scipy.ndimage import find_objects  # type: ignore[attr-defined]  # scipy has no types

    present = np.unique(labels)
    numbers = present[present > 0]
    # Numbered without gaps first: `find_objects` has an entry for every number up to the largest.
    compact = np.searchsorted(numbers, labels, side="left").astype(np.int32) + 1
    compact[labels == 0] = 0
    for index, box in enumerate(find_objects(compact), start=1):
        corner = np.array([box[1].start, box[0].start], np.int32)
        outlines = _outlines(compact[box] == index)
        for piece, outline in enumerate(outlines, start=1):
            suffix = "" if piece == 1 else f".{piece}"
            yield f"{prefix}-{int(numbers[index - 1]):04d}{suffix}", outline + corner


def _outlines(mask: "NDArray[np.bool_]") -> "list[NDArray[np.int32]]":
    """Return the outer outline of each 4-connected piece as corners ``(x, y)``, largest first."""
    import numpy as np
    from skimage.measure import find_contours

    padded = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2))
    padded[1:-1, 1:-1] = mask
    contours = find_contours(padded, 0.5, fully_connected="low")  # type: ignore[no-untyped-call]
    found = []
    for contour in contours:
        # The contour goes through the middles of pixel sides. Two middles in a row share one
        # corner of the pixel grid: the one nearest to half way between them. The contour counts
        # from the first pixel centre of the padded crop, half a pixel before the crop's corner.
        corners = np.rint((contour[:-1] + contour[1:]) / 2 - 0.5).astype(np.int32)[:, ::-1]
        ring = np.concatenate([corners[-1:], corners, corners[:1]])
        area = _signed_area(ring[1:])
        if area > 0:
            sides = ring[1:] - ring[:-1]
            turns = (sides[1:] != sides[:-1]).any(axis=1)
            found.append((area, corners[turns]))
    return [corners for _, corners in sorted(found, key=lambda pair: -pair[0])]


def _signed_area(ring: "NDArray[np.int32]") -> float:
    """Area in pixels, positive around an object and negative around a hole; first = last corner."""
    import numpy as np

    x, y = ring.astype(np.float64).T
    return float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2


def _roi_bytes(name: str, corners: "NDArray[Any]") -> bytes:
    import numpy as np
    from roifile import ROI_TYPE, ImagejRoi

    roi = ImagejRoi.frompoints(corners, name=name)
    roi.roitype = ROI_TYPE.POLYGON
    # Corners, not pixels: the bounds end where the last corner is.
    roi.right, roi.bottom = (int(v) for v in np.ceil(corners.max(axis=0)))
    content: bytes = roi.tobytes()
    return content
