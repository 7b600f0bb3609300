"""Cells of one channel: found, counted, measured."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from openhcs_core.functions._foreground import adaptive_foreground, global_foreground
from openhcs_core.functions._objects import components, object_table, with_area
from openhcs_core.functions._splitting import split_touching
from openhcs_core.functions._stack import checked_stack
from openhcs_core.materialization import CsvOptions, MaterializationSpec, ROIOptions
from openhcs_core.memory.decorators import numpy
from openhcs_core.pipeline.function_contracts import (
    ProcessingContract,
    processing_contract,
    special_outputs,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NAME = "count_cells_single_channel"

_Detection = Annotated[
    Literal["watershed", "threshold"],
    Field(description="watershed cuts touching objects apart, threshold leaves them together"),
]
_Threshold = Annotated[
    Literal["local", "otsu", "li", "triangle"],
    Field(description="local follows each object's own edge; the others are one global value"),
]
_Factor = Annotated[float, Field(gt=0, le=10, description="Above 1 finds less, below 1 finds more")]
_Sigma = Annotated[
    float, Field(ge=0, le=50, description="Sigma of the Gaussian smoothing in px, 0 for none")
]
_MinArea = Annotated[int, Field(ge=1, description="Drop smaller objects, in px")]
_MaxArea = Annotated[
    int | None, Field(ge=1, description="Drop larger objects, in px; null keeps them")
]
_Contrast = Annotated[
    float, Field(ge=0, le=1, description="Local: least contrast of edges, 1 being the median's")
]
_Diameter = Annotated[
    float | None, Field(gt=0, description="Typical object in px; null estimates it each image")
]
_Distance = Annotated[
    int | None,
    Field(ge=1, description="Watershed: nearer centres are one object, px; null: 0.45 diameters"),
]
_PixelSize = Annotated[
    float | None, Field(gt=0, description="Side of a pixel in µm; null leaves µm columns empty")
]


@numpy
@processing_contract(ProcessingContract.PURE_2D)
@special_outputs(
    ("cell_counts", MaterializationSpec(CsvOptions())),
    ("masks", MaterializationSpec(ROIOptions())),
)
def count_cells_single_channel(
    image_stack: Any,
    *,
    detection_method: _Detection = "watershed",
    threshold_method: _Threshold = "local",
    threshold_factor: _Factor = 1.0,
    sigma: _Sigma = 1.0,
    min_area: _MinArea = 20,
    max_area: _MaxArea = None,
    min_contrast: _Contrast = 0.3,
    diameter: _Diameter = None,
    min_distance: _Distance = None,
    pixel_size_um: _PixelSize = None,
) -> Any:
    """Find, count and measure bright cells or nuclei on a dark background.

    The default threshold adapts to the brightness and the size of the objects
    in each image (see :func:`~openhcs_core.functions._foreground.adaptive_foreground`);
    scikit-image's watershed on the distance to the edge then cuts touching
    objects at their necks (see
    :func:`~openhcs_core.functions._splitting.split_touching`). Objects at the
    image's border count. Where the background is uneven, run ``tophat`` before.

    Parameters
    ----------
    image_stack : numpy.ndarray
        One slice, shape ``[1, Y, X]``, integers or floats. Not modified.
    detection_method : {"watershed", "threshold"}
        Whether touching objects are cut apart.
    threshold_method : {"local", "otsu", "li", "triangle"}
        The last three are scikit-image's, on the smoothed image: in an image
        without objects they find whatever there is.
    threshold_factor : float
        Multiplies the threshold; for ``local`` the height of its global floor
        above the background.
    sigma : float
        Smoothing before anything else, for finding only: measurements are of
        the image itself.
    min_area, max_area : int
        In pixels, both included.
    min_contrast : float
        ``local`` only: objects whose edges are fainter than this part of the
        median object's are dropped; 0 keeps everything.
    diameter : float, optional
        Typical diameter in pixels: the scale of edges, holes and seeds.
    min_distance : int, optional
        ``watershed`` only: more gives fewer cuts.
    pixel_size_um : float, optional
        For the columns in micrometres.

    Returns
    -------
    image_stack : numpy.ndarray
        The input itself.
    cell_counts : dict of str to numpy.ndarray
        A row an object, columns as in
        :func:`~openhcs_core.functions._objects.object_table`; all columns, empty,
        where there is no object.
    masks : numpy.ndarray
        int32 ``[1, Y, X]``, 0 outside, objects from 1 without gaps, in the order
        of ``label`` and of their first pixels.

    Raises
    ------
    ValueError
        Not one slice, NaN or infinite pixels, a method that does not exist, or
        `min_area` above `max_area`.
    """
    _check(detection_method, threshold_method, min_area, max_area)
    stack = checked_stack(image_stack, _NAME)
    if stack.shape[0] != 1:
        raise ValueError(f"{_NAME} takes one slice [1, Y, X] at a time, got shape {stack.shape}")
    smooth = _smoothed(stack[0], sigma)
    if threshold_method == "local":
        labels = adaptive_foreground(smooth, min_area, threshold_factor, min_contrast, diameter)
    else:
        labels = global_foreground(smooth, threshold_method, threshold_factor)
    if detection_method == "watershed":
        labels = split_touching(labels, diameter, min_distance)
    labels = components(with_area(labels, min_area, max_area))
    return image_stack, object_table(labels, stack[0], pixel_size_um), labels[None]


def _check(detection: str, threshold: str, min_area: int, max_area: int | None) -> None:
    for name, given, allowed in (
        ("detection_method", detection, ("watershed", "threshold")),
        ("threshold_method", threshold, ("local", "otsu", "li", "triangle")),
    ):
        if given not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {given!r}")
    if max_area is not None and max_area < min_area:
        raise ValueError(
            f"min_area must not be above max_area; got min_area={min_area}, max_area={max_area}"
        )


def _smoothed(plane: "NDArray[Any]", sigma: float) -> "NDArray[np.float32]":
    import numpy as np
    from scipy.ndimage import gaussian_filter  # type: ignore[attr-defined]  # scipy has no types

    smooth: NDArray[np.float32] = gaussian_filter(plane.astype(np.float32), sigma)
    return smooth
