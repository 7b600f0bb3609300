"""torch: tensors in host memory share it with numpy; on CUDA devices with cupy, jax, tensorflow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from openhcs_core.constants import MemoryType
from openhcs_core.memory.frameworks.base import Framework
from openhcs_core.memory.layout import ArrayFacts, layout_of
from openhcs_core.memory.thread_streams import ThreadStreams

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEED_BITS = 63
_NO_MEMORY = (
    *("out of memory", "DefaultCPUAllocator: can't allocate", "DefaultCPUAllocator: not enough"),
    *("CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "CUFFT_ALLOC_FAILED"),
)
"""In the texts of torch's errors: on the CPU they are plain ``RuntimeError``."""


def _new_stream(gpu_id: int) -> Any:
    import torch

    return torch.cuda.Stream(torch.device("cuda", gpu_id))


TORCH_STREAMS = ThreadStreams(_new_stream)
"""Torch's streams; cupy takes them too where both are loaded."""


class TorchFramework(Framework):
    """Takes over memory with any positive strides. It may write to what it holds."""

    memory_type: ClassVar[str] = MemoryType.TORCH
    libraries: ClassVar[tuple[str, ...]] = ("torch",)
    array_classes: ClassVar[tuple[str, ...]] = ("torch:Tensor",)
    shares_strided: ClassVar[bool] = True
    shares_unaligned: ClassVar[bool] = True

    def describe(self, array: Any) -> ArrayFacts:
        """Return what a conversion of `array` is planned from.

        Raises
        ------
        TypeError
            A sparse, quantised or otherwise not plainly stored tensor, or one on another
            device than CPU and CUDA.
        """
        import torch

        if array.layout is not torch.strided or array.is_quantized:
            raise TypeError(f"a tensor of layout {array.layout}, {array.dtype}: make it dense")
        if array.device.type not in ("cpu", "cuda"):
            raise TypeError(f"a tensor on device {array.device}: move it to the CPU or a CUDA GPU")
        # a lazy conjugate or negative is not what lies in memory
        is_plain = not (array.is_conj() or array.is_neg())
        layout = layout_of(
            tuple(array.shape),
            tuple(step * array.element_size() for step in array.stride()),
            array.element_size(),
            array.data_ptr(),
            is_writable=True,
        )
        return ArrayFacts(
            dtype=str(array.dtype).removeprefix("torch."),
            shape=tuple(array.shape),
            gpu_id=array.device.index if array.is_cuda else None,
            layout=layout.model_copy(update={} if is_plain else {"is_native": False}),
        )

    def adopt(self, array: "NDArray[Any]", gpu_id: int | None) -> Any:
        """Return a tensor on the memory of `array`, or a copy on a device."""
        import torch

        tensor = torch.from_dlpack(array)  # aborts the process on negative strides: see shares
        return tensor if gpu_id is None else tensor.to(torch.device("cuda", gpu_id))

    def to_numpy(self, array: Any) -> "NDArray[Any]":
        """Return a view, or a copy of what is on a device or lazily conjugated or negated."""
        host: NDArray[Any] = array.detach().cpu().resolve_conj().resolve_neg().numpy()
        return host

    def from_library(self, array: Any) -> Any:
        """Return a tensor on the memory of an array of another library."""
        import torch

        return torch.from_dlpack(array)

    def compacted(self, array: Any) -> Any:
        """Return a compact copy on the same device."""
        import torch

        return (
            array.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
        )

    def stack(self, planes: Sequence[Any], gpu_id: int | None = None) -> Any:
        """Stack planes, each copied once: to a device straight from where it lies."""
        if gpu_id is None:
            return super().stack(planes)
        import torch

        self.check_device(gpu_id)
        first = _as_tensor(planes[0])
        shape = (len(planes), *first.shape)
        stack = torch.empty(shape, dtype=first.dtype, device=torch.device("cuda", gpu_id))
        for number, plane in enumerate(planes):
            stack[number].copy_(_as_tensor(plane))
        return stack

    def device_count(self) -> int:
        """Return how many CUDA devices torch sees."""
        import torch

        return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0

    @contextmanager
    def on_device(self, gpu_id: int | None) -> Iterator[None]:
        """Make a device and this thread's stream the current ones."""
        self.check_device(gpu_id)
        if gpu_id is None:
            yield
            return
        import torch

        stream = TORCH_STREAMS.get(gpu_id)
        stream.wait_stream(torch.cuda.current_stream(gpu_id))
        with torch.cuda.device(gpu_id), torch.cuda.stream(stream):
            yield
        stream.synchronize()

    def device_name(self, gpu_id: int) -> str:
        """Return the name that the driver has for a device."""
        import torch

        return str(torch.cuda.get_device_name(gpu_id))

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether it is ``OutOfMemoryError`` or a text of the allocators'."""
        return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)

    def release_memory(self, gpu_id: int | None = None) -> None:
        """Empty the caching allocator of all devices, when the work on `gpu_id` is done."""
        import torch

        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.synchronize(gpu_id)
            torch.cuda.empty_cache()

    def seed(self, seed: int) -> None:
        """Seed torch's generators of all devices."""
        import torch

        torch.manual_seed(seed % 2**_SEED_BITS)


def _as_tensor(plane: Any) -> Any:
    import torch

    return plane if isinstance(plane, torch.Tensor) else TorchFramework().from_numpy(plane)
