"""What the runtime needs of an array library."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Framework(ABC):
    """Arrays of one library from and to host memory."""

    @abstractmethod
    def from_numpy(self, array: "NDArray[Any]", gpu_id: int | None = None) -> Any:
        """Return `array` in this library, on a device where it has any; may share its memory."""

    @abstractmethod
    def to_numpy(self, array: Any) -> "NDArray[Any]":
        """Return `array` in host memory, values and dtype unchanged; may share its memory."""
