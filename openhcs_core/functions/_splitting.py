"""Touching objects apart."""

from typing import TYPE_CHECKING

from openhcs_core.functions._objects import typical_diameter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DISTANCE_SIGMA = 0.05
"""Smoothing of the distance map in typical object diameters."""
SEED_DISTANCE = 0.45
"""Peaks nearer to each other than this part of a typical diameter are one object."""


def split_touching(
    labels: "NDArray[np.int32]", diameter: float | None, min_distance: int | None
) -> "NDArray[np.int32]":
    """Cut components at their necks by a watershed on the distance to their edge.

    :func:`skimage.segmentation.watershed` (Beucher & Lantuéjoul 1979) of the
    smoothed Euclidean distance, from the peaks that
    :func:`skimage.feature.peak_local_max` finds. Components with one peak, or
    with none because a larger neighbour is near, stay as they are.

    Parameters
    ----------
    labels : numpy.ndarray
        int32 ``[Y, X]``, 4-connected components that do not touch each other.
    diameter : float, optional
        Typical object diameter in pixels; that of the components when None.
    min_distance : int, optional
        Between peaks, in pixels along an axis; `SEED_DISTANCE` of a typical
        diameter when None.

    Returns
    -------
    numpy.ndarray
        int32 labels covering the same pixels; numbers may be missing.
    """
    import numpy as np
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    if not labels.any():
        return labels
    typical = diameter or typical_diameter(labels)
    height = _smooth_distance(labels, max(DISTANCE_SIGMA * typical, 0.5))
    nearest = max(1, round(SEED_DISTANCE * typical)) if min_distance is None else min_distance
    found = peak_local_max(height, min_distance=nearest, exclude_border=False)  # type: ignore[no-untyped-call]
    peaks = tuple(found.T)
    markers = np.zeros(labels.shape, np.int32)
    markers[peaks] = np.arange(1, peaks[0].size + 1)
    several = np.bincount(labels[peaks], minlength=int(labels.max()) + 1) > 1
    parts = watershed(-height, markers, mask=several[labels])  # type: ignore[no-untyped-call]
    return np.where(parts > 0, parts + labels.max(), labels)


def _smooth_distance(labels: "NDArray[np.int32]", sigma: float) -> "NDArray[np.float32]":
    """Euclidean distance to the nearest pixel outside the component, smoothed.

    On a crop of each component, several times faster than on the image and
    equal. What lies outside the image is outside every component.
    """
    import numpy as np
    from scipy.ndimage import (  # type: ignore[attr-defined]  # scipy has no types
        distance_transform_edt,
        find_objects,
        gaussian_filter,
    )

    distance = np.zeros(labels.shape, np.float32)
    for number, box in enumerate(find_objects(labels), start=1):
        if box is not None:
            mask = labels[box] == number
            inside = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
            distance[box] += inside
    smooth: NDArray[np.float32] = gaussian_filter(distance, sigma, truncate=3.0)
    return smooth * (labels > 0)
