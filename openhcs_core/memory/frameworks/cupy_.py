"""cupy: arrays on CUDA devices; shared there with torch, jax and tensorflow."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from openhcs_core.constants import MemoryType
from openhcs_core.memory.frameworks.base import Framework
from openhcs_core.memory.frameworks.torch_ import TORCH_STREAMS, TorchFramework
from openhcs_core.memory.layout import ArrayFacts, layout_of
from openhcs_core.memory.thread_streams import ThreadStreams

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NO_MEMORY = (
    *("cudaErrorMemoryAllocation", "CUDA_ERROR_OUT_OF_MEMORY", "CUFFT_ALLOC_FAILED"),
    *("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "CUSOLVER_STATUS_ALLOC_FAILED"),
)
"""In the texts of errors of CUDA's own; cupy's is a ``MemoryError``."""


def _new_stream(gpu_id: int) -> Any:
    import cupy

    with cupy.cuda.Device(gpu_id):
        return cupy.cuda.Stream()


_STREAMS = ThreadStreams(_new_stream)


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

    @contextmanager
    def on_device(self, gpu_id: int | None) -> Iterator[None]:
        """Make a device and this thread's stream the current ones.

        Where torch is loaded, stream and memory pool are torch's: what one frees the other can
        have, and neither reads what the other has yet to write.
        """
        self.check_device(gpu_id)
        if gpu_id is None:
            yield
            return
        import cupy

        with ExitStack() as stack:
            stack.enter_context(cupy.cuda.Device(gpu_id))
            if "torch" in sys.modules and TorchFramework().device_count() > gpu_id:
                stream = _stream_of_torch(gpu_id)
                stack.enter_context(cupy.cuda.using_allocator(_torch_pool().malloc))
            else:
                stream = _STREAMS.get(gpu_id)
            cupy.cuda.Device(gpu_id).synchronize()
            stack.enter_context(stream)
            yield
            stream.synchronize()

    def device_name(self, gpu_id: int) -> str:
        """Return the name that the driver has for a device."""
        import cupy

        name = cupy.cuda.runtime.getDeviceProperties(gpu_id)["name"]
        return name.decode() if isinstance(name, bytes) else str(name)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether CUDA or a library of its ran out of memory."""
        is_theirs = type(error).__module__.partition(".")[0] in ("cupy", "cupy_backends")
        return is_theirs and any(text in str(error) for text in _NO_MEMORY)

    def release_memory(self, gpu_id: int | None = None) -> None:
        """Empty cupy's memory pools and caches of FFT plans."""
        import cupy

        for number in range(self.device_count()) if gpu_id is None else (gpu_id,):
            with cupy.cuda.Device(number):
                cupy.cuda.Device().synchronize()
                cupy.fft.config.get_plan_cache().clear()
                cupy.get_default_memory_pool().free_all_blocks()
        if self.device_count():
            cupy.get_default_pinned_memory_pool().free_all_blocks()

    def seed(self, seed: int) -> None:
        """Seed cupy's generator of the current device."""
        import cupy

        cupy.random.seed(seed % 2**32)


@dataclass(frozen=True)
class _CudaStream:
    """A stream by its pointer, in the CUDA stream protocol."""

    pointer: int

    def __cuda_stream__(self) -> tuple[int, int]:
        return (0, self.pointer)


def _stream_of_torch(gpu_id: int) -> Any:
    """Return this thread's stream of torch as one of cupy."""
    import cupy

    pointer = TORCH_STREAMS.get(gpu_id).cuda_stream
    take = getattr(cupy.cuda.Stream, "from_external", None)  # from cupy 14, which warns of the old
    if take is not None:
        return take(_CudaStream(pointer))
    return cupy.cuda.ExternalStream(pointer, gpu_id)


def _torch_pool() -> Any:
    """Return cupy's way to take memory from torch's pool and to give it back there."""
    import cupy
    import torch

    def allocate(size_bytes: int, gpu_id: int) -> int:
        stream = cupy.cuda.get_current_stream().ptr
        return int(torch.cuda.caching_allocator_alloc(size_bytes, gpu_id, stream))

    def free(pointer: int, gpu_id: int) -> None:
        torch.cuda.caching_allocator_delete(pointer)

    return cupy.cuda.PythonFunctionAllocator(allocate, free)
