"""tensorflow: immutable tensors; aligned host memory becomes theirs without a copy."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from openhcs_core.constants import MemoryType
from openhcs_core.memory.frameworks.base import Framework
from openhcs_core.memory.layout import OWN_LAYOUT, ArrayFacts, layout_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SEED_BITS = 63


class TensorflowFramework(Framework):
    """Takes over compact, aligned memory. Unaligned memory would end the process."""

    memory_type: ClassVar[str] = MemoryType.TENSORFLOW
    libraries: ClassVar[tuple[str, ...]] = ("tensorflow",)
    array_classes: ClassVar[tuple[str, ...]] = ("tensorflow:Tensor", "tensorflow:Variable")
    is_immutable: ClassVar[bool] = True

    def describe(self, array: Any) -> ArrayFacts:
        """Return what a conversion of `array` is planned from.

        Raises
        ------
        TypeError
            A tensor of a graph: it has no values.
        """
        tensor = _as_tensor(array)
        on_gpu = "GPU:" in tensor.backing_device
        return ArrayFacts(
            dtype=tensor.dtype.name,
            shape=tuple(tensor.shape),
            gpu_id=int(tensor.backing_device.rpartition(":")[2]) if on_gpu else None,
            layout=OWN_LAYOUT if on_gpu else _host_layout(tensor),
        )

    def adopt(self, array: "NDArray[Any]", gpu_id: int | None) -> Any:
        """Return a tensor on the memory of `array`, or a copy on a device."""
        import tensorflow as tf

        tensor = self.from_library(array)
        if gpu_id is None:
            return tensor
        with tf.device(f"GPU:{gpu_id}"):
            return tf.identity(tensor)

    def to_numpy(self, array: Any) -> "NDArray[Any]":
        """Return a read-only view, or a copy of what is on a device."""
        import numpy as np
        import tensorflow as tf

        tensor = _as_tensor(array)
        if "GPU:" in tensor.backing_device:
            with tf.device("CPU:0"):
                tensor = tf.identity(tensor)
        return np.asarray(memoryview(tensor))

    def from_library(self, array: Any) -> Any:
        """Return a tensor on the memory of an array of another library."""
        import tensorflow as tf

        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())

    def compacted(self, array: Any) -> Any:
        """Return a copy on the same device."""
        import tensorflow as tf

        tensor = _as_tensor(array)
        with tf.device(tensor.backing_device):
            return tf.raw_ops.DeepCopy(x=tensor)

    def stack(self, planes: Sequence[Any], gpu_id: int | None = None) -> Any:
        """Stack planes, each copied once: what is on a device stays there."""
        import tensorflow as tf

        if gpu_id is not None and all(isinstance(plane, tf.Tensor) for plane in planes):
            with tf.device(f"GPU:{gpu_id}"):
                return tf.stack(planes)
        return super().stack(planes, gpu_id)

    def device_count(self) -> int:
        """Return how many GPUs tensorflow sees."""
        import tensorflow as tf

        return len(tf.config.list_logical_devices("GPU"))

    @contextmanager
    def on_device(self, gpu_id: int | None) -> Iterator[None]:
        """Make a device this thread's default; tensorflow has streams of its own."""
        self.check_device(gpu_id)
        import tensorflow as tf

        with tf.device("CPU:0" if gpu_id is None else f"GPU:{gpu_id}"):
            yield

    def device_name(self, gpu_id: int) -> str:
        """Return the name that the driver has for a device."""
        import tensorflow as tf

        device = tf.config.list_physical_devices("GPU")[gpu_id]
        details = tf.config.experimental.get_device_details(device)
        return str(details.get("device_name", f"GPU {gpu_id}"))

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether it is ``ResourceExhaustedError``, or CUDA's text in another."""
        import tensorflow as tf

        return isinstance(error, tf.errors.ResourceExhaustedError) or (
            isinstance(error, tf.errors.OpError) and "CUDA_ERROR_OUT_OF_MEMORY" in str(error)
        )

    def seed(self, seed: int) -> None:
        """Seed tensorflow's global generator."""
        import tensorflow as tf

        tf.random.set_seed(seed % 2**_SEED_BITS)


def _as_tensor(array: Any) -> Any:
    import tensorflow as tf

    tensor = tf.convert_to_tensor(array) if isinstance(array, tf.Variable) else array
    if not isinstance(tensor, tf.__internal__.EagerTensor):
        raise TypeError("a tensor of a graph has no values; convert outside of tf.function")
    return tensor


def _host_layout(tensor: Any) -> Any:
    import numpy as np

    view = np.asarray(memoryview(tensor))
    return layout_of(view.shape, view.strides, view.itemsize, view.ctypes.data, is_writable=True)
