"""Objects of a label image: by their area, and a row of numbers each."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def components(image: "NDArray[Any]") -> "NDArray[np.int32]":
    """Label 4-connected pieces of one value from 1, in the order of their first pixels.

    :func:`skimage.measure.label` of a mask, or of labels to be numbered anew; 0 stays.
    """
    import numpy as np
    from skimage.measure import label

    pieces: NDArray[np.int32] = label(image, connectivity=1)  # type: ignore[no-untyped-call]
    return pieces.astype(np.int32, copy=False)


def with_area(
    labels: "NDArray[Any]", smallest: float, largest: float | None = None
) -> "NDArray[np.int32]":
    """Keep the objects of an area within the limits, both included; the rest becomes 0."""
    import numpy as np

    areas = np.bincount(labels.ravel())
    keep = areas >= smallest
    if largest is not None:
        keep &= areas <= largest
    keep[0] = False
    kept: NDArray[np.int32] = np.where(keep, np.arange(keep.size, dtype=np.int32), 0)
    return kept.take(labels)


def typical_diameter(labels: "NDArray[Any]") -> float:
    """Diameter of the disc with the objects' median area, 0 where there is no object."""
    import numpy as np

    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return float(np.sqrt(4 / np.pi * np.median(areas))) if areas.size else 0.0


def object_table(
    labels: "NDArray[np.int32]", intensities: "NDArray[Any]", pixel_size_um: float | None
) -> "dict[str, NDArray[Any]]":
    """Measure position, area and intensity of each object.

    By :func:`skimage.measure.regionprops_table`, in float64.

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
    from scipy.ndimage import sum_labels  # type: ignore[attr-defined]  # scipy has no types
    from skimage.measure import regionprops_table

    values = intensities.astype(np.float64)
    statistics = [f"intensity_{name}" for name in ("mean", "std", "min", "max")]
    properties = ["label", "centroid", "num_pixels", *statistics]
    row = regionprops_table(labels, values, properties)  # type: ignore[no-untyped-call]
    size = np.nan if pixel_size_um is None else float(pixel_size_um)
    return {
        "label": row["label"],
        "centroid_y_px": row["centroid-0"],
        "centroid_x_px": row["centroid-1"],
        "centroid_y_um": row["centroid-0"] * size,
        "centroid_x_um": row["centroid-1"] * size,
        "area_px": row["num_pixels"],
        "area_um2": row["num_pixels"] * size**2,
        "mean_intensity": row["intensity_mean"],
        "std_intensity": row["intensity_std"],
        "min_intensity": row["intensity_min"],
        "max_intensity": row["intensity_max"],
        "integrated_intensity": sum_labels(values, labels, row["label"]),
    }
