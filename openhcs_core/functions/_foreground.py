"""Which pixels of an image belong to objects, whatever their brightness and size."""

from typing import TYPE_CHECKING, Any

from openhcs_core.functions._objects import components, typical_diameter, with_area

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

NOISE_FACTOR = 5.0
"""Background deviations above the background that nothing below counts as signal."""
FLOOR = 0.8
"""Where the floor lies between background (0) and Otsu's threshold (1), in square roots."""
EDGE_SCALE = 0.09
"""Sigma of the edge filter in typical object diameters."""
EDGE_RATIO = 1.6
"""Ratio of the two Gaussians of the edge filter (Marr & Hildreth 1980)."""
HOLE_AREA = 0.25
"""Holes up to this part of a typical object are filled; larger ones are gaps between objects."""


def adaptive_foreground(
    smooth: "NDArray[np.float32]",
    min_area: int,
    factor: float,
    min_contrast: float,
    diameter: float | None,
) -> "NDArray[np.int32]":
    """Find objects by a global floor and by their own edges.

    On square roots of the intensity above the background, which make the noise
    of dim and bright objects alike, a pixel is foreground where (1) it lies
    above a floor: `FLOOR` of the way from background to Otsu's threshold, and
    above all noise, so that an empty image has no objects; and (2) a difference
    of Gaussians (Marr & Hildreth 1980) is positive, that is, inside the
    inflection line of the object's own edge. Small holes are filled. Objects
    where the mean of (2) is less than `min_contrast` of its median go: they are
    crumbs of something wider, cytoplasm for instance.

    Parameters
    ----------
    smooth : numpy.ndarray
        float32 ``[Y, X]``, smoothed image.
    min_area : int
        Smaller components are dropped, in pixels.
    factor : float
        Multiplies the floor's height above background, in intensity.
    min_contrast : float
        0 keeps every component.
    diameter : float, optional
        Typical diameter in pixels; that of what Otsu's threshold finds when None.

    Returns
    -------
    numpy.ndarray
        int32 ``[Y, X]``, 0 outside, 4-connected components; numbers may be missing.
    """
    import numpy as np
    from skimage.filters import difference_of_gaussians

    root, noise = _above_background(smooth)
    otsu, floor = _thresholds(root, noise, factor)
    parts = components(root > otsu)
    # Otsu's parts may be smaller than the objects they belong to.
    scale = diameter or typical_diameter(with_area(parts, min_area)) or typical_diameter(parts)
    if not parts.any():
        return np.zeros(root.shape, np.int32)
    sigma = max(EDGE_SCALE * scale, 0.5)
    low, high = sigma / EDGE_RATIO**0.5, sigma * EDGE_RATIO**0.5
    edges = difference_of_gaussians(root, low, high, truncate=3.0)  # type: ignore[no-untyped-call]
    mask = (root > floor) & (edges >= 0)
    holes = with_area(components(~mask), 1, HOLE_AREA * np.pi / 4 * scale**2)
    labels = with_area(components(mask | (holes > 0)), min_area)
    return _without_faint(labels, edges, min_contrast)


def global_foreground(
    smooth: "NDArray[np.float32]", method: str, factor: float
) -> "NDArray[np.int32]":
    """4-connected components above one threshold for the whole image.

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
        return np.zeros(smooth.shape, np.int32)
    return components(smooth > factor * thresholds[method](smooth))


def _above_background(smooth: "NDArray[np.float32]") -> "tuple[NDArray[np.float32], float]":
    """Return square roots above the background and what its noise does not reach on that scale."""
    import numpy as np

    level, deviation = background_level(_thinned(smooth))
    root = np.sqrt(np.maximum(smooth - np.float32(level), 0))
    return root, float(np.sqrt(NOISE_FACTOR * deviation))


def background_level(sample: "NDArray[np.float32]") -> tuple[float, float]:
    """Estimate level and deviation of the background.

    The level is the mode of what lies below Otsu's threshold, in 256 bins. The
    deviation is that of a normal distribution with the same 5th percentile on
    the dark side of the mode, where there are no objects.
    """
    import numpy as np
    from skimage.filters import threshold_otsu

    darkest = float(sample.min())
    otsu = float(threshold_otsu(sample))  # type: ignore[no-untyped-call]
    if otsu <= darkest:
        return darkest, 0.0
    counts, edges = np.histogram(sample, 256, (darkest, otsu))
    fullest = int(counts.argmax())
    mode = float(edges[fullest : fullest + 2].mean())
    return mode, (mode - float(np.percentile(sample[sample <= mode], 5.0))) / 1.96


def _thresholds(root: "NDArray[np.float32]", noise: float, factor: float) -> tuple[float, float]:
    """Return Otsu's threshold and the floor, neither of them below the noise."""
    from skimage.filters import threshold_otsu

    sample = _thinned(root)
    dark = sample[sample <= noise]
    base = float(dark.mean()) if dark.size else 0.0
    otsu = float(threshold_otsu(sample))  # type: ignore[no-untyped-call]
    floor = base + FLOOR * (otsu - base) * factor**0.5
    return max(otsu, noise), max(floor, noise)


def _thinned(image: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Every n-th row and column, so that a quarter of a million pixels or more remain."""
    step = max(1, int((image.size / 2**18) ** 0.5))
    return image[::step, ::step]


def _without_faint(
    labels: "NDArray[np.int32]", edges: "NDArray[np.float32]", least: float
) -> "NDArray[np.int32]":
    import numpy as np
    from scipy.ndimage import mean  # type: ignore[attr-defined]  # scipy has no types

    index = np.unique(labels[labels > 0])
    if index.size == 0:
        return labels
    contrast = mean(edges, labels, index)
    faint = index[contrast < least * np.median(contrast)]
    return np.where(np.isin(labels, faint), 0, labels)
