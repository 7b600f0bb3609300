"""The smaller copies of an image that viewers show when they are far away.

Each level is half as high and wide as the one before, rounded up. Images are averaged, so that
a level has the brightness of the one before and less of its noise; label images keep every
second pixel, so that a level has no number that no object has.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openhcs_core.config import ZarrConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

SMALL_ENOUGH_PX = 256
"""No further level is made of an image no larger than this, as bioformats2raw has it."""
_WIDEST_BITS = 32
_LEAST_BYTES = 4


@dataclass(frozen=True, slots=True)
class Reduction:
    """How the next level is made.

    Attributes
    ----------
    name : str
        As the metadata have it.
    halve : callable
        Takes ``[Y, X]`` to ``[ceil(Y / 2), ceil(X / 2)]`` of the same dtype.
    is_centred : bool
        A pixel lies amid the four it was made of, not on the first of them.
    """

    name: str
    halve: "Callable[[NDArray[Any]], NDArray[Any]]"
    is_centred: bool


def level_shapes(shape: Sequence[int], config: ZarrConfig) -> list[tuple[int, int]]:
    """Return ``(Y, X)`` of each level of an image, its own first."""
    shapes = [(shape[0], shape[1])]
    while max(shapes[-1]) > 1 and (
        max(shapes[-1]) > SMALL_ENOUGH_PX
        if config.pyramid_levels is None
        else len(shapes) < config.pyramid_levels
    ):
        height, width = shapes[-1]
        shapes.append(((height + 1) // 2, (width + 1) // 2))
    return shapes


def halve_by_mean(image: "NDArray[Any]") -> "NDArray[Any]":
    """Return the mean of each two by two pixels, of what there is of them at odd edges.

    Means of whole numbers are rounded, halves upwards; a bool is true where two of four are.

    Parameters
    ----------
    image : ndarray
        ``[Y, X]``, bool, whole or floating numbers.

    Returns
    -------
    ndarray
        ``[ceil(Y / 2), ceil(X / 2)]`` of the same dtype.
    """
    import numpy as np

    if any(size % 2 for size in image.shape):
        image = np.pad(image, [(0, size % 2) for size in image.shape], mode="edge")
    kind, bits = image.dtype.kind, image.dtype.itemsize * 8
    if kind == "f":
        # quarters first: the sum of four large numbers may be none
        wide = image.astype(np.promote_types(image.dtype, np.float32), copy=False) * 0.25
        found = _sum_of_four(wide, wide.dtype)
    elif kind == "b":
        found = _sum_of_four(image, np.dtype("uint8")) >= len("yx")
    elif bits > _WIDEST_BITS:  # nothing is wider: what is left over is added up apart
        found = _sum_of_four(image >> 2, image.dtype)
        found += (_sum_of_four(image & 3, image.dtype) + 2) >> 2
    else:
        found = _sum_of_four(image, np.dtype(f"{kind}{max(bits // 4, _LEAST_BYTES)}"))
        found += 2
        found >>= 2
    return found.astype(image.dtype, copy=False)


def keep_every_second(labels: "NDArray[Any]") -> "NDArray[Any]":
    """Return every second pixel of every second row of ``[Y, X]``."""
    return labels[::2, ::2]


MEAN = Reduction("mean", halve_by_mean, is_centred=True)
"""For images."""
NEAREST = Reduction("nearest", keep_every_second, is_centred=False)
"""For label images."""


def _sum_of_four(image: "NDArray[Any]", dtype: Any) -> "NDArray[Any]":
    import numpy as np

    rows: NDArray[Any] = np.add(image[0::2], image[1::2], dtype=dtype)
    found: NDArray[Any] = rows[:, 0::2] + rows[:, 1::2]
    return found
