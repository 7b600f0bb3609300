"""jax: immutable arrays; aligned host memory becomes theirs without a copy."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from openhcs_core.constants import MemoryType
from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory.frameworks.base import Framework
from openhcs_core.memory.layout import OWN_LAYOUT, ArrayFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDE = frozenset({"uint64", "int64", "float64", "complex128"})


class JaxFramework(Framework):
    """Takes over compact, aligned memory. Its types of 64 bits have to be turned on."""

    memory_type: ClassVar[str] = MemoryType.JAX
    libraries: ClassVar[tuple[str, ...]] = ("jax",)
    array_classes: ClassVar[tuple[str, ...]] = ("jax:Array",)
    is_immutable: ClassVar[bool] = True
    shares_read_only: ClassVar[bool] = True

    def describe(self, array: Any) -> ArrayFacts:
        """Return what a conversion of `array` is planned from.

        Raises
        ------
        TypeError
            An array over several devices, or one that is being traced.
        """
        import jax

        if isinstance(array, jax.core.Tracer):
            raise TypeError("a traced array has no values; convert outside of jit")
        devices = list(array.devices())
        if len(devices) != 1:
            raise TypeError(f"an array over {len(devices)} devices; gather it on one")
        (device,) = devices
        return ArrayFacts(
            dtype=array.dtype.name,
            shape=tuple(array.shape),
            gpu_id=None if device.platform == "cpu" else device.local_hardware_id,
            layout=OWN_LAYOUT,
        )

    def adopt(self, array: "NDArray[Any]", gpu_id: int | None) -> Any:
        """Return an array on the memory of `array`, or a copy on a device."""
        import jax

        if gpu_id is None:
            return jax.device_put(array, jax.devices("cpu")[0], may_alias=True)
        moved = jax.device_put(array, jax.devices("gpu")[gpu_id])
        return moved.block_until_ready()  # until then jax reads what its owner may write to

    def to_numpy(self, array: Any) -> "NDArray[Any]":
        """Return a read-only view, or a copy of what is on a device."""
        import numpy as np

        return np.asarray(array)

    def from_library(self, array: Any) -> Any:
        """Return an array on the memory of an array of another library."""
        import jax.numpy as jnp

        return jnp.from_dlpack(array)

    def compacted(self, array: Any) -> Any:
        """Return a copy on the same device."""
        import jax.numpy as jnp

        return jnp.array(array, copy=True)

    def check_dtype(self, dtype: str, source: str) -> None:
        """Refuse types that jax would narrow: those of 64 bits unless they are turned on.

        Raises
        ------
        MemoryConversionError
            See above.
        """
        super().check_dtype(dtype, source)
        if dtype not in _WIDE:
            return
        import jax

        if not jax.config.jax_enable_x64:
            raise MemoryConversionError(
                source,
                self.memory_type,
                "dtype",
                f"jax narrows {dtype} while its types of 64 bits are off; turn them on "
                "(JAX_ENABLE_X64=1, or jax.config.update('jax_enable_x64', True) on top of the "
                "module with the function), or ask for another type: output_dtype in the step "
                "before, or dtype= in the call",
            )

    def stack(self, planes: Sequence[Any], gpu_id: int | None = None) -> Any:
        """Stack planes, each copied once: what is on a device stays there."""
        import jax
        import jax.numpy as jnp

        if gpu_id is not None and all(isinstance(plane, jax.Array) for plane in planes):
            return jax.device_put(jnp.stack(planes), jax.devices("gpu")[gpu_id])
        return super().stack(planes, gpu_id)

    def device_count(self) -> int:
        """Return how many GPUs jax sees."""
        import jax

        return sum(device.platform == "gpu" for device in jax.local_devices())

    @contextmanager
    def on_device(self, gpu_id: int | None) -> Iterator[None]:
        """Make a device this thread's default; jax has streams of its own."""
        self.check_device(gpu_id)
        import jax

        device = jax.devices("cpu")[0] if gpu_id is None else jax.devices("gpu")[gpu_id]
        with jax.default_device(device):
            yield

    def device_name(self, gpu_id: int) -> str:
        """Return the name that the driver has for a device."""
        import jax

        return str(jax.devices("gpu")[gpu_id].device_kind)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether it is jax's error with ``RESOURCE_EXHAUSTED``, or CUDA's text in it."""
        import jax

        return isinstance(error, jax.errors.JaxRuntimeError) and any(
            text in str(error) for text in ("RESOURCE_EXHAUSTED", "CUDA_ERROR_OUT_OF_MEMORY")
        )

    def release_memory(self, gpu_id: int | None = None) -> None:
        """Forget compiled functions, and with them the constants they hold."""
        import jax

        jax.clear_caches()
