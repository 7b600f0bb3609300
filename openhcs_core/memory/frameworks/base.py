"""What the runtime needs of an array library."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Framework(ABC):
    """Arrays of one library from and to host memory."""

    @abstractmethod
    def from_numpy(self, array: "NDArray[Any]") -> Any:
        """Return `array` in this library; may share its memory."""

    @abstractmethod
    def to_numpy(self, array: Any) -> "NDArray[Any]":
        """Return `array` in host memory, values and dtype unchanged; may share its memory."""
