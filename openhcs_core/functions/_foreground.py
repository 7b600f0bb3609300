"""Which pixels of an image belong to objects, whatever their brightness and size."""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

NOISE_FACTOR = 5.0
"""Background deviations above the background that nothing below counts as signal."""
FLOOR = 0.8
"""Where the floor lies between background (0) and Otsu's threshold (1), in square roots."""
EDGE_SCALE = 0.1
"""Sigma of the edge filter in typical object diameters."""
EDGE_RATIO = 1.6
"""Ratio of the two Gaussians of the edge filter (Marr & Hildreth 1980)."""
SCALE_ROUNDS = 3
"""At most so many estimates of the typical diameter; one more while it moves by a fifth."""
HOLE_AREA = 0.25
"""Holes up to this part of a typical object are filled; larger ones are gaps between objects."""


class Foreground(NamedTuple):
    """Connected components of the foreground.

    Attributes
    ----------
    labels : numpy.ndarray
        int32 ``[Y, X]``, 0 outside, 4-connected components numbered from 1.
    diameter : float
        Typical object diameter in pixels, 0 where there is no object.
    """

    labels: "NDArray[np.int32]"
    diameter: float


class Signal(NamedTuple):
    """An image above its background.

    Attributes
    ----------
    root : numpy.ndarray
        float32 ``[Y, X]``, square root of the intensity above the background.
    least : float
        What noise does not reach, on the scale of `root`.
    """

    root: "NDArray[np.float32]"
    least: float


def signal_of(smooth: "NDArray[np.float32]") -> Signal:
    """Take square roots above the background.

    They make the noise of dim and bright objects alike and bring their
    brightness closer.

    Parameters
    ----------
    smooth : numpy.ndarray
        float32 ``[Y, X]``, smoothed image.
    """
    import numpy as np

    background, deviation = background_level(smooth)
    root = np.sqrt(np.maximum(smooth - np.float32(background), 0))
    return Signal(root, float(np.sqrt(NOISE_FACTOR * deviation)))


def adaptive_foreground(
    signal: Signal, min_area: int, factor: float, diameter: float | None
) -> Foreground:
    """Find objects by a global floor and by their own edges.

    A pixel is foreground where (1) it lies above a floor: `FLOOR` of the way
    from background to Otsu's threshold, and above all noise, so that an empty
    image has no objects; and (2) a difference of Gaussians is positive there,
    that is, inside the inflection line of the object's own edge, wherever its
    brightness lies. The scale of (2) follows the typical diameter of the
    components found.

    Parameters
    ----------
    signal : Signal
        The image.
    min_area : int
        Smaller components are dropped, in pixels.
    factor : float
        Multiplies the floor's height above background, in intensity.
    diameter : float, optional
        Typical diameter in pixels; estimated when None.
    """
    import numpy as np

    root = signal.root
    if not root.max() > signal.least:
        return Foreground(np.zeros(root.shape, np.int32), 0.0)
    otsu, floor = _floor(signal, factor)
    bright = root > floor
    brightest = _opened(root > otsu)
    found = _components(brightest, min_area)
    if found.diameter == 0:
        # Otsu's parts may be smaller than the objects they belong to.
        found = _components(brightest, 1)
    for _ in range(SCALE_ROUNDS):
        scale = diameter or found.diameter
        if scale == 0:
            break
        mask = _opened(bright & _inside_edges(root, scale))
        found = _components(_filled(mask, HOLE_AREA * np.pi / 4 * scale**2), min_area)
        if diameter or abs(found.diameter - scale) <= scale / 5:
            break
    return found


def global_foreground(smooth: "NDArray[np.float32]", method: str, factor: float) -> Foreground:
    """Components above one threshold for the whole image.

    Parameters
    ----------
    smooth : numpy.ndarray
        float32 ``[Y, X]``, smoothed image.
    method : str
        ``otsu``, ``li`` or ``triangle`` of :mod:`skimage.filters`.
    factor : float
        Multiplies the threshold.
    """
    import numpy as np
    from skimage import filters

    thresholds: dict[str, Callable[[Any], Any]] = {
        "otsu": filters.threshold_otsu,
        "li": filters.threshold_li,
        "triangle": filters.threshold_triangle,
    }
    if smooth.min() == smooth.max():
        return Foreground(np.zeros(smooth.shape, np.int32), 0.0)
    return _components(smooth > factor * thresholds[method](smooth), 1)


def background_level(smooth: "NDArray[np.float32]") -> tuple[float, float]:
    """Estimate level and deviation of the background.

    The level is the half-sample mode (Robertson & Cryer 1974): the densest
    half, of which the densest half, and so on. The deviation is that of a
    normal distribution with the same 5th percentile on the dark side of the
    mode, where there are no objects.
    """
    import numpy as np

    values = np.sort(_thinned(smooth), axis=None).astype(np.float64)
    mode = _half_sample_mode(values)
    dark = values[values <= mode]
    if dark.size == 0:
        return mode, 0.0
    return mode, (mode - float(np.percentile(dark, 5.0))) / 1.96


def _half_sample_mode(ordered: "NDArray[np.float64]") -> float:
    import numpy as np

    while ordered.size > 8:
        half = (ordered.size + 1) // 2
        start = int(np.argmin(ordered[half - 1 :] - ordered[: ordered.size - half + 1]))
        ordered = ordered[start : start + half]
    return float(ordered.mean())


def _floor(signal: Signal, factor: float) -> tuple[float, float]:
    """Return Otsu's threshold and the floor, both on the scale of ``signal.root``."""
    from skimage.filters import threshold_otsu

    sample = _thinned(signal.root)
    dark = sample[sample < signal.least]
    base = float(dark.mean()) if dark.size else 0.0
    otsu = float(threshold_otsu(sample))  # type: ignore[no-untyped-call]
    floor = base + FLOOR * (otsu - base) * factor**0.5
    return max(otsu, signal.least), max(floor, signal.least)


def _thinned(image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Every n-th row and column, so that a quarter of a million pixels or more remain."""
    step = max(1, int((image.size / 2**18) ** 0.5))
    return image[::step, ::step]


def _inside_edges(root: "NDArray[np.float32]", diameter: float) -> "NDArray[np.bool_]":
    """Where a difference of Gaussians is positive: inside the edges of bright objects."""
    from scipy.ndimage import gaussian_filter  # type: ignore[attr-defined]  # scipy has no types

    sigma = max(EDGE_SCALE * diameter, 0.7)
    fine = gaussian_filter(root, sigma / EDGE_RATIO**0.5, truncate=3.0)
    # Gaussians add up: the coarse one is the fine one smoothed a little more.
    more = sigma * (EDGE_RATIO - 1 / EDGE_RATIO) ** 0.5
    inside: NDArray[np.bool_] = fine >= gaussian_filter(fine, more, truncate=3.0)
    return inside


def _opened(mask: "NDArray[np.bool_]") -> "NDArray[np.bool_]":
    """Open by a cross of five pixels; outside the image its border goes on."""
    import numpy as np

    kept = _cross(np.pad(mask, 1, "edge"), np.logical_and)
    return _cross(np.pad(kept, 1), np.logical_or)


def _cross(framed: "NDArray[np.bool_]", combine: "np.ufunc") -> "NDArray[np.bool_]":
    """Combine each pixel but the frame's with its four neighbours."""
    result = framed[1:-1, 1:-1].copy()
    for side in (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]):
        combine(result, side, out=result)
    return result


def _filled(mask: "NDArray[np.bool_]", largest: float) -> "NDArray[np.bool_]":
    """Fill holes of up to `largest` pixels."""
    import numpy as np
    from scipy.ndimage import label  # type: ignore[attr-defined]  # scipy has no types

    gaps, _ = label(~mask)
    small = np.bincount(gaps.ravel()) <= largest
    small[0] = False
    small[np.concatenate([gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]])] = False
    filled: NDArray[np.bool_] = mask | small[gaps]
    return filled


def _components(mask: "NDArray[np.bool_]", min_area: int) -> Foreground:
    import numpy as np
    from scipy.ndimage import label  # type: ignore[attr-defined]  # scipy has no types

    labels, _ = label(mask, output=np.int32)
    areas = np.bincount(labels.ravel())
    keep = areas >= min_area
    areas = areas[1:][keep[1:]]
    diameter = float(np.sqrt(4 / np.pi * np.median(areas))) if areas.size else 0.0
    return Foreground(keep_labels(labels, keep), diameter)


def keep_labels(labels: "NDArray[np.int32]", keep: "NDArray[np.bool_]") -> "NDArray[np.int32]":
    """Renumber the labels to keep from 1, in their order; the rest become 0."""
    import numpy as np

    keep = keep.copy()
    keep[0] = False
    numbers = np.cumsum(keep, dtype=np.int32) * keep
    return numbers.astype(np.int32)[labels]


def drop_faint(labels: "NDArray[np.int32]", signal: Signal, least: float) -> "NDArray[np.int32]":
    """Drop objects that hardly stand out from their own surroundings.

    Contrast is the mean of an object less the mean of the free pixels two or
    three away from it, in square roots of the signal. Objects below `least`
    times the median contrast go: they are crumbs of something wider, cytoplasm
    for instance. Objects without free surroundings stay.
    """
    import numpy as np
    from scipy.ndimage import maximum_filter  # type: ignore[attr-defined]  # scipy has no types

    if not labels.any():
        return labels
    ring = maximum_filter(labels, size=7)
    ring[_cross(np.pad(labels > 0, 1), np.logical_or)] = 0
    count = int(labels.max())
    contrast = _means(signal.root, labels, count) - _means(signal.root, ring, count)
    known = np.isfinite(contrast)
    if not known.any():
        return labels
    keep = ~known | (contrast >= least * np.median(contrast[known]))
    return keep_labels(labels, np.concatenate([[False], keep]))


def _means(
    values: "NDArray[np.float32]", labels: "NDArray[np.int32]", count: int
) -> "NDArray[np.float64]":
    """Mean of `values` over each label from 1 to `count`; NaN for labels without pixels."""
    import numpy as np

    inside = labels > 0
    sums = np.bincount(labels[inside], values[inside], minlength=count + 1)[1:]
    areas = np.bincount(labels[inside], minlength=count + 1)[1:]
    means = np.full(count, np.nan)
    np.divide(sums, areas, out=means, where=areas > 0)
    return means
