"""One row of numbers an object."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def object_table(
    labels: "NDArray[np.int32]", intensities: "NDArray[Any]", pixel_size_um: float | None
) -> "dict[str, NDArray[Any]]":
    """Measure position, area and intensity of each object.

    Sums over pixels in float64, equal to :func:`skimage.measure.regionprops`.

    Parameters
    ----------
    labels : numpy.ndarray
        int32 ``[Y, X]``, 1 to n without gaps.
    intensities : numpy.ndarray
        ``[Y, X]``, unsmoothed.
    pixel_size_um : float, optional
        Columns in micrometres are NaN where it is None.

    Returns
    -------
    dict of str to numpy.ndarray
        Columns of n values: ``label``; ``centroid_y_px``, ``centroid_x_px``
        (pixel centres at whole numbers, origin top left) and the same times the
        pixel size in ``_um``; ``area_px``, ``area_um2``; ``mean_intensity``,
        ``std_intensity`` (population), ``min_intensity``, ``max_intensity``,
        ``integrated_intensity`` (the sum).
    """
    import numpy as np

    count = int(labels.max())
    rows, columns = np.nonzero(labels)
    index = labels[rows, columns] - 1
    values = intensities[rows, columns].astype(np.float64)

    def total(weights: "NDArray[Any] | None") -> "NDArray[Any]":
        return np.bincount(index, weights, minlength=count)

    area = total(None)
    y, x, integrated = total(rows) / area, total(columns) / area, total(values)
    mean = integrated / area
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, index, values)
    np.maximum.at(high, index, values)
    size = np.nan if pixel_size_um is None else float(pixel_size_um)
    return {
        "label": np.arange(1, count + 1),
        "centroid_y_px": y,
        "centroid_x_px": x,
        "centroid_y_um": y * size,
        "centroid_x_um": x * size,
        "area_px": area,
        "area_um2": area * size**2,
        "mean_intensity": mean,
        "std_intensity": np.sqrt(total((values - mean[index]) ** 2) / area),
        "min_intensity": low,
        "max_intensity": high,
        "integrated_intensity": integrated,
    }
