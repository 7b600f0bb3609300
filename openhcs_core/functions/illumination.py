"""Uneven illumination: estimated from all images of a channel, and taken out of each."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from openhcs_core.functions._stack import checked_stack
from openhcs_core.materialization import MaterializationSpec, TiffOptions
from openhcs_core.memory.decorators import numpy
from openhcs_core.pipeline.function_contracts import (
    ProcessingContract,
    plate_function,
    processing_contract,
    special_inputs,
    special_outputs,
)
from openhcs_core.planes import PlaneStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Sigma = Annotated[
    float | None,
    Field(gt=0, description="Sigma of the smoothing in px; null: a tenth of the shorter side"),
]
_Dark = Annotated[float, Field(ge=0, description="What the camera gives without light; taken off")]
_Smoothing = Annotated[
    Literal["gaussian", "median"],
    Field(description="gaussian is fast; median keeps bright dirt of a few px out"),
]


@numpy
@plate_function()
@special_outputs(("illumination", MaterializationSpec(TiffOptions())))
def estimate_illumination(
    images: PlaneStream,
    *,
    smoothing: _Smoothing = "gaussian",
    sigma: _Sigma = None,
    dark: _Dark = 0.0,
) -> Any:
    """Estimate how evenly a channel is lit, from all its images of a plate.

    The mean of all images, smoothed, over its own mean: objects average out where there are
    many images, and what is left is what they have in common. This is the retrospective
    correction from many images of Singh et al., Journal of Microscopy 256:231 (2014), which
    smooths the mean by a median filter and divides by a robust minimum; dividing by the mean
    leaves a corrected image as bright as it was on average.

    Parameters
    ----------
    images : PlaneStream
        Images of one channel, all of one shape, integers or floats. Read once, one at a time.
    smoothing : {"gaussian", "median"}
        Filter of the mean image. Its edges are reflected.
    sigma : float, optional
        Standard deviation of the Gaussian in px, truncated at 4 sigma; the median's window has
        the odd side nearest to 2 sigma + 1.
    dark : float
        Taken off every pixel before anything else.

    Returns
    -------
    illumination : numpy.ndarray
        Shape ``[Y, X]``, float64, mean 1.

    Raises
    ------
    ValueError
        Images of different shapes, values that are not finite, or a mean image that is nowhere
        or not everywhere brighter than `dark`.
    """
    mean = _mean_image(images) - dark
    side = min(mean.shape)
    smooth = _smoothed(mean, smoothing, side / 10 if sigma is None else sigma)
    if not (smooth > 0).all():
        raise ValueError(
            f"estimate_illumination: the smoothed mean image is {smooth.min()} somewhere, not "
            f"brighter than dark = {dark}; give the camera's own offset"
        )
    return smooth / smooth.mean()


def _mean_image(images: PlaneStream) -> "NDArray[Any]":
    import numpy as np

    total: NDArray[Any] | None = None
    for key, image in zip(images.keys, images, strict=True):
        (plane,) = checked_stack(image[None], "estimate_illumination")
        if total is None:
            total = np.zeros(plane.shape, np.float64)
        if plane.shape != total.shape:
            raise ValueError(
                f"estimate_illumination: {key.filename} is {list(plane.shape)}, others are "
                f"{list(total.shape)}"
            )
        total += plane
    if total is None:
        raise ValueError("estimate_illumination: there is no image")
    return total / len(images)


def _smoothed(mean: "NDArray[Any]", smoothing: str, sigma: float) -> "NDArray[Any]":
    from scipy.ndimage import (  # type: ignore[attr-defined]  # scipy has no types
        gaussian_filter,
        median_filter,
    )

    smooth: NDArray[Any] = (
        gaussian_filter(mean, sigma)
        if smoothing == "gaussian"
        else median_filter(mean, size=2 * round(sigma) + 1)
    )
    return smooth


@numpy
@processing_contract(ProcessingContract.PURE_2D)
@special_inputs("illumination")
def correct_illumination(image_stack: Any, illumination: Any, *, dark: _Dark = 0.0) -> Any:
    """Divide images by the illumination that ``estimate_illumination`` found.

    Parameters
    ----------
    image_stack : numpy.ndarray
        Shape ``[Z, Y, X]``, integers or floats. Not modified.
    illumination : numpy.ndarray
        Shape ``[Y, X]``, positive.
    dark : float
        Taken off every pixel before; the same as for the estimate.

    Returns
    -------
    numpy.ndarray
        ``(image - dark) / illumination`` in float32, nothing clipped.

    Raises
    ------
    ValueError
        Illumination of another shape, or not positive everywhere.
    """
    import numpy as np

    stack = checked_stack(image_stack, "correct_illumination")
    field = np.asarray(illumination, np.float64)
    if field.shape != stack.shape[1:]:
        raise ValueError(
            f"correct_illumination: images are {list(stack.shape[1:])}, the illumination is "
            f"{list(field.shape)}"
        )
    if not (field > 0).all():
        raise ValueError("correct_illumination: the illumination is not positive everywhere")
    return ((stack.astype(np.float64) - dark) / field).astype(np.float32)
