"""numpy: arrays are host memory already."""

from typing import TYPE_CHECKING, Any

from openhcs_core.memory.frameworks.base import Framework

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NumpyFramework(Framework):
    """Hands arrays through."""

    def from_numpy(self, array: "NDArray[Any]", gpu_id: int | None = None) -> "NDArray[Any]":
        """Return `array` itself: numpy has no devices."""
        return array

    def to_numpy(self, array: Any) -> "NDArray[Any]":
        """Return `array` itself."""
        import numpy as np

        return np.asarray(array)
