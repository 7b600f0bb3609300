"""Touching objects apart."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DISTANCE_SIGMA = 0.05
"""Smoothing of the distance map in typical object diameters."""
SEED_DISTANCE = 0.5
"""Peaks nearer to each other than this part of a typical diameter are one object."""


def split_touching(
    labels: "NDArray[np.int32]", diameter: float, depth: float, min_distance: float | None
) -> "NDArray[np.int32]":
    """Cut components at their necks.

    A watershed on the distance to the component's edge: every pixel belongs to
    the peak it reaches by steepest ascent. Neighbouring parts are then joined
    again, from the widest neck down, where the neck is less than `depth`
    narrower than the smaller of the two parts, or their peaks are nearer than
    `min_distance`.

    Parameters
    ----------
    labels : numpy.ndarray
        int32 ``[Y, X]``, 4-connected components that do not touch each other.
    diameter : float
        Typical object diameter in pixels.
    depth : float
        Least relative depth of a neck, 0 to 1.
    min_distance : float, optional
        In pixels; half a typical diameter when None.

    Returns
    -------
    numpy.ndarray
        int32 labels from 1 without gaps, covering the same pixels.
    """
    import numpy as np

    if not labels.any():
        return labels
    hills = _climb(labels, _smooth_distance(labels, diameter))
    nearest = SEED_DISTANCE * diameter if min_distance is None else min_distance
    objects = _join(hills, depth, nearest)
    split = np.zeros(labels.shape, np.int32)
    split[labels > 0] = objects[hills.part]
    return split


class _Hills(NamedTuple):
    """Parts of the foreground, each the catchment of one peak of the distance.

    ``part`` holds the part of each foreground pixel in raster order, the other
    fields an entry a part or a pair of touching parts; ``neck`` is the greatest
    distance on the line between the two.
    """

    part: "NDArray[np.int64]"
    peak: "NDArray[np.float32]"
    centre: "NDArray[np.int64]"
    pair: "NDArray[np.int64]"
    neck: "NDArray[np.float32]"


def _smooth_distance(labels: "NDArray[np.int32]", diameter: float) -> "NDArray[np.float32]":
    """Euclidean distance of each pixel to the nearest one outside its component, smoothed.

    On a crop of each component, several times faster than on the image. What
    lies outside the image is outside every component.
    """
    import numpy as np
    from scipy.ndimage import (  # type: ignore[attr-defined]  # scipy has no types
        distance_transform_edt,
        find_objects,
        gaussian_filter,
    )

    sigma = max(DISTANCE_SIGMA * diameter, 0.5)
    distance = np.zeros(labels.shape, np.float32)
    for number, box in enumerate(find_objects(labels), start=1):
        mask = labels[box] == number
        smooth = gaussian_filter(distance_transform_edt(np.pad(mask, 1)), sigma, truncate=3.0)
        np.copyto(distance[box], smooth[1:-1, 1:-1], where=mask, casting="same_kind")
    return distance


def _climb(labels: "NDArray[np.int32]", distance: "NDArray[np.float32]") -> _Hills:
    """Lead every foreground pixel up to its peak, by the highest of four neighbours."""
    import numpy as np

    # A frame of background, so that no neighbour lies across the image's edge.
    inside = np.pad(labels > 0, 1)
    pixels = np.flatnonzero(inside)
    height = np.pad(distance, 1).ravel()
    height[~inside.ravel()] = 0
    index = np.zeros(inside.size, np.int64)
    index[pixels] = np.arange(pixels.size)
    up, top = np.arange(pixels.size), height[pixels]
    for offset in (-inside.shape[1], -1, 1, inside.shape[1]):
        beside = pixels + offset
        higher = height[beside] > top
        up[higher] = index[beside[higher]]
        top[higher] = height[beside[higher]]
    while not np.array_equal(up, further := up[up]):
        up = further
    summit = up == np.arange(pixels.size)
    part = (np.cumsum(summit) - 1)[up]
    centre = np.stack(np.unravel_index(pixels[summit], inside.shape), axis=1)
    pair, neck = _necks(part, index, pixels, height, inside.shape[1])
    return _Hills(part, height[pixels[summit]], centre, pair, neck)


def _necks(
    part: "NDArray[np.int64]",
    index: "NDArray[np.int64]",
    pixels: "NDArray[np.int64]",
    height: "NDArray[np.float32]",
    width: int,
) -> "tuple[NDArray[np.int64], NDArray[np.float32]]":
    import numpy as np

    pairs, heights = [], []
    for offset in (1, width):
        here, there = part, part[index[pixels + offset]]
        touch = (here != there) & (height[pixels + offset] > 0)
        pairs.append(np.sort(np.stack([here[touch], there[touch]], axis=1), axis=1))
        heights.append(np.minimum(height[pixels], height[pixels + offset])[touch])
    pair, which = np.unique(np.concatenate(pairs), axis=0, return_inverse=True)
    neck = np.zeros(len(pair), np.float32)
    np.maximum.at(neck, which.ravel(), np.concatenate(heights))
    return pair, neck


def _join(hills: _Hills, depth: float, min_distance: float) -> "NDArray[np.int32]":
    """Return the object of each part, numbered from 1."""
    import numpy as np

    into = list(range(hills.peak.size))
    for i in np.lexsort((hills.pair[:, 1], hills.pair[:, 0], -hills.neck)):
        one, other = (_final(into, int(part)) for part in hills.pair[i])
        if one == other:
            continue
        small, large = (one, other) if hills.peak[one] < hills.peak[other] else (other, one)
        apart = float(np.hypot(*(hills.centre[one] - hills.centre[other])))
        if hills.neck[i] > (1 - depth) * hills.peak[small] or apart < min_distance:
            into[small] = large
    objects = np.unique([_final(into, part) for part in into], return_inverse=True)[1] + 1
    return objects.astype(np.int32)


def _final(into: list[int], part: int) -> int:
    while into[part] != part:
        part = into[part]
    return part
