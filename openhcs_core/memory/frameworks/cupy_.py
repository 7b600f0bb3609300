"""cupy: arrays on CUDA devices; shared there with torch, jax and tensorflow."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from openhcs_core.constants import MemoryType
from openhcs_core.memory.frameworks.base import Framework
from openhcs_core.memory.layout import ArrayFacts, layout_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


class CupyFramework(Framework):
    """Has nothing in host memory: what comes from there is copied to a device."""

    memory_type: ClassVar[str] = MemoryType.CUPY
    libraries: ClassVar[tuple[str, ...]] = ("cupy",)
    array_classes: ClassVar[tuple[str, ...]] = ("cupy:ndarray",)
    shares_strided: ClassVar[bool] = True
    shares_unaligned: ClassVar[bool] = True
    shares_read_only: ClassVar[bool] = True
    needs_device: ClassVar[bool] = True

    def describe(self, array: Any) -> ArrayFacts:
        """Return what a conversion of `array` is planned from."""
        return ArrayFacts(
            dtype=array.dtype.name,
            shape=tuple(array.shape),
            gpu_id=array.device.id,
            layout=layout_of(
                tuple(array.shape),
                tuple(array.strides),
                array.itemsize,
                array.data.ptr,
                is_writable=True,
            ),
        )

    def adopt(self, array: "NDArray[Any]", gpu_id: int | None) -> Any:
        """Return a copy on a device."""
        import cupy

        with cupy.cuda.Device(gpu_id):
            return cupy.asarray(array)

    def to_numpy(self, array: Any) -> "NDArray[Any]":
        """Return a copy in host memory."""
        host: NDArray[Any] = array.get()
        return host

    def from_library(self, array: Any) -> Any:
        """Return an array on the memory of another library's: DLPack, for torch CUDA's interface.

        A tensor of torch gives its ``__cuda_array_interface__``, which says where and how it lies
        and needs no exchange of ownership: cupy keeps the tensor instead.
        """
        import cupy

        if getattr(array, "__cuda_array_interface__", None) is not None:
            return cupy.asarray(array)
        return cupy.from_dlpack(array)

    def compacted(self, array: Any) -> Any:
        """Return a compact copy on the same device."""
        with array.device:
            return array.copy(order="C")

    def stack(self, planes: Sequence[Any], gpu_id: int | None = None) -> Any:
        """Stack planes, each copied once, to a device straight from where it lies."""
        import cupy
        import numpy as np

        self.check_device(gpu_id)
        first = planes[0]
        self.check_dtype(first.dtype.name, "numpy")
        with cupy.cuda.Device(gpu_id):
            stack = cupy.empty((len(planes), *first.shape), first.dtype.newbyteorder("="))
            for number, plane in enumerate(planes):
                if isinstance(plane, np.ndarray):
                    native = plane.dtype.newbyteorder("=")
                    stack[number].set(np.ascontiguousarray(plane, native))
                else:
                    stack[number] = plane
            return stack

    def device_count(self) -> int:
        """Return how many CUDA devices cupy sees; none where there is no driver."""
        import cupy

        try:
            return int(cupy.cuda.runtime.getDeviceCount())
        except cupy.cuda.runtime.CUDARuntimeError:
            return 0

    def seed(self, seed: int) -> None:
        """Seed cupy's generator of the current device."""
        import cupy

        cupy.random.seed(seed % 2**32)
