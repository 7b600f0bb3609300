"""A function for every pair of memory types: ``convert_cupy_to_torch(array)`` and so on."""

from dataclasses import dataclass
from typing import Any

from openhcs_core.constants import MemoryType
from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory.conversion import convert_memory


@dataclass(frozen=True)
class Conversion:
    """Converts arrays of one library to another's.

    Attributes
    ----------
    source, target : MemoryType
        From what, to what.
    """

    source: MemoryType
    target: MemoryType

    def __call__(
        self,
        data: Any,
        *,
        gpu_id: int | None = None,
        allow_cpu_roundtrip: bool = False,
        copy: bool | None = None,
        dtype: str | None = None,
    ) -> Any:
        """Return `data` as an array of the target library: same shape, values, type of value.

        Parameters
        ----------
        data : array
            Of the source library.
        gpu_id, allow_cpu_roundtrip, copy, dtype
            See :func:`~openhcs_core.memory.convert_memory`.

        Returns
        -------
        array
            It shares the memory of `data` where that is safe (`copy`).

        Raises
        ------
        MemoryConversionError
            It is no such array, or cannot be converted.
        """
        return convert_memory(
            data,
            self.source,
            self.target,
            gpu_id,
            allow_cpu_roundtrip=allow_cpu_roundtrip,
            copy=copy,
            dtype=dtype,
        )


_NUMPY, _CUPY, _TORCH = MemoryType.NUMPY, MemoryType.CUPY, MemoryType.TORCH
_TENSORFLOW, _JAX, _OPENCL = MemoryType.TENSORFLOW, MemoryType.JAX, MemoryType.PYCLESPERANTO

convert_numpy_to_numpy = Conversion(_NUMPY, _NUMPY)
convert_numpy_to_cupy = Conversion(_NUMPY, _CUPY)
convert_numpy_to_torch = Conversion(_NUMPY, _TORCH)
convert_numpy_to_tensorflow = Conversion(_NUMPY, _TENSORFLOW)
convert_numpy_to_jax = Conversion(_NUMPY, _JAX)
convert_numpy_to_pyclesperanto = Conversion(_NUMPY, _OPENCL)

convert_cupy_to_numpy = Conversion(_CUPY, _NUMPY)
convert_cupy_to_cupy = Conversion(_CUPY, _CUPY)
convert_cupy_to_torch = Conversion(_CUPY, _TORCH)
convert_cupy_to_tensorflow = Conversion(_CUPY, _TENSORFLOW)
convert_cupy_to_jax = Conversion(_CUPY, _JAX)
convert_cupy_to_pyclesperanto = Conversion(_CUPY, _OPENCL)

convert_torch_to_numpy = Conversion(_TORCH, _NUMPY)
convert_torch_to_cupy = Conversion(_TORCH, _CUPY)
convert_torch_to_torch = Conversion(_TORCH, _TORCH)
convert_torch_to_tensorflow = Conversion(_TORCH, _TENSORFLOW)
convert_torch_to_jax = Conversion(_TORCH, _JAX)
convert_torch_to_pyclesperanto = Conversion(_TORCH, _OPENCL)

convert_tensorflow_to_numpy = Conversion(_TENSORFLOW, _NUMPY)
convert_tensorflow_to_cupy = Conversion(_TENSORFLOW, _CUPY)
convert_tensorflow_to_torch = Conversion(_TENSORFLOW, _TORCH)
convert_tensorflow_to_tensorflow = Conversion(_TENSORFLOW, _TENSORFLOW)
convert_tensorflow_to_jax = Conversion(_TENSORFLOW, _JAX)
convert_tensorflow_to_pyclesperanto = Conversion(_TENSORFLOW, _OPENCL)

convert_jax_to_numpy = Conversion(_JAX, _NUMPY)
convert_jax_to_cupy = Conversion(_JAX, _CUPY)
convert_jax_to_torch = Conversion(_JAX, _TORCH)
convert_jax_to_tensorflow = Conversion(_JAX, _TENSORFLOW)
convert_jax_to_jax = Conversion(_JAX, _JAX)
convert_jax_to_pyclesperanto = Conversion(_JAX, _OPENCL)

convert_pyclesperanto_to_numpy = Conversion(_OPENCL, _NUMPY)
convert_pyclesperanto_to_cupy = Conversion(_OPENCL, _CUPY)
convert_pyclesperanto_to_torch = Conversion(_OPENCL, _TORCH)
convert_pyclesperanto_to_tensorflow = Conversion(_OPENCL, _TENSORFLOW)
convert_pyclesperanto_to_jax = Conversion(_OPENCL, _JAX)
convert_pyclesperanto_to_pyclesperanto = Conversion(_OPENCL, _OPENCL)

__all__ = [
    "Conversion",
    "MemoryConversionError",
    "convert_cupy_to_cupy",
    "convert_cupy_to_jax",
    "convert_cupy_to_numpy",
    "convert_cupy_to_pyclesperanto",
    "convert_cupy_to_tensorflow",
    "convert_cupy_to_torch",
    "convert_jax_to_cupy",
    "convert_jax_to_jax",
    "convert_jax_to_numpy",
    "convert_jax_to_pyclesperanto",
    "convert_jax_to_tensorflow",
    "convert_jax_to_torch",
    "convert_numpy_to_cupy",
    "convert_numpy_to_jax",
    "convert_numpy_to_numpy",
    "convert_numpy_to_pyclesperanto",
    "convert_numpy_to_tensorflow",
    "convert_numpy_to_torch",
    "convert_pyclesperanto_to_cupy",
    "convert_pyclesperanto_to_jax",
    "convert_pyclesperanto_to_numpy",
    "convert_pyclesperanto_to_pyclesperanto",
    "convert_pyclesperanto_to_tensorflow",
    "convert_pyclesperanto_to_torch",
    "convert_tensorflow_to_cupy",
    "convert_tensorflow_to_jax",
    "convert_tensorflow_to_numpy",
    "convert_tensorflow_to_pyclesperanto",
    "convert_tensorflow_to_tensorflow",
    "convert_tensorflow_to_torch",
    "convert_torch_to_cupy",
    "convert_torch_to_jax",
    "convert_torch_to_numpy",
    "convert_torch_to_pyclesperanto",
    "convert_torch_to_tensorflow",
    "convert_torch_to_torch",
]
