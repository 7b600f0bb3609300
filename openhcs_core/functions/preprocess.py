"""Normalisation of a stack, and removal of uneven background."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from openhcs_core.functions._stack import checked_stack
from openhcs_core.memory.decorators import numpy
from openhcs_core.pipeline.function_contracts import ProcessingContract, processing_contract
from openhcs_core.pipeline.locality import local

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UINT16_MAX = 65535.0


@numpy
@processing_contract(ProcessingContract.PURE_3D)
def stack_percentile_normalize(
    image_stack: Any,
    *,
    low_percentile: Annotated[
        float, Field(ge=0, le=100, description="Percentile of the stack that becomes target_min")
    ] = 1.0,
    high_percentile: Annotated[
        float, Field(ge=0, le=100, description="Percentile of the stack that becomes target_max")
    ] = 99.0,
    target_min: Annotated[
        float, Field(ge=0, le=65535, description="Output value of the low percentile and below")
    ] = 0.0,
    target_max: Annotated[
        float, Field(ge=0, le=65535, description="Output value of the high percentile and above")
    ] = 65535.0,
) -> Any:
    """Rescale a whole stack so that two of its percentiles take two given values.

    The percentiles are those of the stack, not of each slice: slices keep their
    brightness relative to each other.

    Parameters
    ----------
    image_stack : numpy.ndarray
        Shape ``[Z, Y, X]``, any real dtype. Not modified.
    low_percentile, high_percentile : float
        In percent, low below high; linear between ranks.
    target_min, target_max : float
        Output values of the two percentiles; values beyond them are clipped.

    Returns
    -------
    numpy.ndarray
        Same shape, always uint16, rounded to the nearest integer (half to even).
        Where both percentiles are the same value, values up to it become
        `target_min` and values above it `target_max`; so a constant stack
        becomes `target_min` throughout.

    Raises
    ------
    ValueError
        Low percentile not below the high one, target range empty or outside
        0-65535, or NaN in the stack.
    """
    import numpy as np

    _check_range("low_percentile", low_percentile, "high_percentile", high_percentile, 100.0)
    _check_range("target_min", target_min, "target_max", target_max, _UINT16_MAX)
    stack = checked_stack(image_stack, "stack_percentile_normalize")
    low, high = (float(v) for v in np.percentile(stack, [low_percentile, high_percentile]))

    def rescale(values: "NDArray[Any]") -> "NDArray[Any]":
        wide = values.astype(np.float64)
        unit = np.clip((wide - low) / (high - low), 0.0, 1.0) if high > low else wide > low
        return np.rint(target_min + unit * (target_max - target_min)).astype(np.uint16)

    if stack.dtype in (np.uint8, np.uint16):
        # Each possible value once: the same numbers as pixel by pixel, several times faster.
        table = rescale(np.arange(np.iinfo(stack.dtype).max + 1, dtype=np.uint16))
        return table[stack]
    return np.stack([rescale(plane) for plane in stack])


def _check_range(low_name: str, low: float, high_name: str, high: float, limit: float) -> None:
    if not 0 <= low < high <= limit:
        raise ValueError(
            f"{low_name} must be below {high_name}, both from 0 to {limit:g}; "
            f"got {low_name}={low!r}, {high_name}={high!r}"
        )


@numpy
@processing_contract(ProcessingContract.PURE_2D)
@local(reach=("selem_radius",), factor=2, only_if={"downsample_factor": (1,)})
def tophat(
    image_stack: Any,
    *,
    selem_radius: Annotated[
        int, Field(ge=1, le=1000, description="Radius of the disk in px: wider than any object")
    ] = 50,
    downsample_factor: Annotated[
        int, Field(ge=1, le=64, description="Estimate the background on an image this much smaller")
    ] = 4,
) -> Any:
    """Subtract the background that a disk wider than the objects can follow (white top-hat).

    With ``downsample_factor=1`` this is scikit-image's ``white_tophat`` with a
    disk. With a larger factor the background is the opening of the image
    averaged over blocks of ``factor`` by ``factor`` pixels, by a disk of radius
    ``selem_radius / factor`` (at least 1), interpolated linearly back to full
    size and nowhere above the image: many times faster, and close to the exact
    result where the background is smooth.

    Parameters
    ----------
    image_stack : numpy.ndarray
        Shape ``[Z, Y, X]``, any real dtype; each slice on its own. Not modified.
    selem_radius : int
        Radius of the disk in pixels of the full image.
    downsample_factor : int
        1 for the exact top-hat.

    Returns
    -------
    numpy.ndarray
        Same shape and dtype, never negative; the background is rounded to the
        nearest integer for integer dtypes.

    Raises
    ------
    ValueError
        A parameter below 1, or NaN in the stack.
    """
    import numpy as np

    if selem_radius < 1 or downsample_factor < 1:
        raise ValueError(
            "tophat takes selem_radius and downsample_factor of at least 1; "
            f"got selem_radius={selem_radius!r}, downsample_factor={downsample_factor!r}"
        )
    stack = checked_stack(image_stack, "tophat")
    backgrounds = [_background(plane, selem_radius, downsample_factor) for plane in stack]
    return stack - np.stack(backgrounds)


def _background(plane: "NDArray[Any]", radius: int, factor: int) -> "NDArray[Any]":
    """Return the opening of `plane`: same shape and dtype, nowhere above it."""
    import numpy as np
    from skimage.morphology import opening
    from skimage.transform import resize

    if factor == 1:
        return opening(plane, _disk(radius))  # type: ignore[no-any-return]  # scikit-image
    height, width = plane.shape
    padded = np.pad(plane.astype(np.float64), ((0, -height % factor), (0, -width % factor)), "edge")
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    small = padded.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    small = opening(small, _disk(max(1, round(radius / factor))))
    full = resize(  # type: ignore[no-untyped-call]  # scikit-image
        small, padded.shape, order=1, mode="edge", preserve_range=True
    )[:height, :width]
    if plane.dtype.kind in "iu":
        full = np.rint(full)
    # Compared before the cast, so that nothing wraps around in an unsigned dtype.
    return np.minimum(full, plane).astype(plane.dtype)  # type: ignore[no-any-return]


def _disk(radius: int) -> "NDArray[Any]":
    from skimage.morphology import disk

    footprint: NDArray[Any] = disk(radius)  # type: ignore[no-untyped-call]  # scikit-image
    return footprint
