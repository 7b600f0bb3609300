"""numpy: arrays are host memory already."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from openhcs_core.constants import MemoryType
from openhcs_core.memory.frameworks.base import Framework, describe_numpy, stack_on_host
from openhcs_core.memory.layout import ArrayFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NumpyFramework(Framework):
    """Hands arrays through."""

    memory_type: ClassVar[str] = MemoryType.NUMPY
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)
    array_classes: ClassVar[tuple[str, ...]] = ("numpy:ndarray",)
    shares_strided: ClassVar[bool] = True
    shares_unaligned: ClassVar[bool] = True
    shares_read_only: ClassVar[bool] = True

    def describe(self, array: Any) -> ArrayFacts:
        """Return what a conversion of `array` is planned from.

        Raises
        ------
        TypeError
            A masked array: no other library has masks, so that its mask would be lost.
        """
        import numpy as np

        if isinstance(array, np.ma.MaskedArray):
            raise TypeError("a masked array would lose its mask; fill it (array.filled(…))")
        return describe_numpy(array)

    def adopt(self, array: "NDArray[Any]", gpu_id: int | None) -> "NDArray[Any]":
        """Return `array` itself: numpy has no devices."""
        return array

    def from_numpy(self, array: "NDArray[Any]", gpu_id: int | None = None) -> "NDArray[Any]":
        """Return `array` itself, of whatever type of value: numpy has no devices."""
        return array

    def to_numpy(self, array: Any) -> "NDArray[Any]":
        """Return `array` itself."""
        import numpy as np

        return np.asarray(array)

    def stack(self, planes: Sequence[Any], gpu_id: int | None = None) -> "NDArray[Any]":
        """Stack planes, each copied once."""
        return stack_on_host(planes)
