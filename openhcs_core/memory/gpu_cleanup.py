"""Give back memory that array libraries keep for later; none is loaded to do so."""

import gc

from openhcs_core.constants import MemoryType
from openhcs_core.memory.frameworks import discover_frameworks, get_framework


def cleanup_pytorch_gpu(device_id: int | None = None) -> None:
    """Collect garbage and empty torch's cache of device memory.

    Parameters
    ----------
    device_id : int, optional
        Whose work is waited for; by default that of the current device. The cache of every
        device is emptied.
    """
    cleanup_gpu_memory_by_framework(MemoryType.TORCH, device_id)


def cleanup_cupy_gpu(device_id: int | None = None) -> None:
    """Collect garbage and empty cupy's memory pools and caches of FFT plans.

    Parameters
    ----------
    device_id : int, optional
        By default every device.
    """
    cleanup_gpu_memory_by_framework(MemoryType.CUPY, device_id)


def cleanup_tensorflow_gpu(device_id: int | None = None) -> None:
    """Collect garbage: tensorflow keeps freed memory for its own later tensors, and has no more.

    Parameters
    ----------
    device_id : int, optional
        Of no effect.
    """
    cleanup_gpu_memory_by_framework(MemoryType.TENSORFLOW, device_id)


def cleanup_jax_gpu(device_id: int | None = None) -> None:
    """Collect garbage and forget compiled functions, with the constants that they hold.

    Parameters
    ----------
    device_id : int, optional
        Of no effect: jax compiles for all devices.
    """
    cleanup_gpu_memory_by_framework(MemoryType.JAX, device_id)


def cleanup_pyclesperanto_gpu(device_id: int | None = None) -> None:
    """Collect garbage: an OpenCL buffer is freed with the array that has it.

    Parameters
    ----------
    device_id : int, optional
        Of no effect.
    """
    cleanup_gpu_memory_by_framework(MemoryType.PYCLESPERANTO, device_id)


def cleanup_gpu_memory_by_framework(memory_type: str, device_id: int | None = None) -> None:
    """Give back what one library keeps for later. Arrays that are in use stay as they are.

    Parameters
    ----------
    memory_type : str
        A :class:`~openhcs_core.constants.MemoryType` value; nothing is done for a library that
        this process has not loaded.
    device_id : int, optional
        By default every device, or the current one.

    Raises
    ------
    MemoryConversionError
        There is no such memory type.
    """
    framework = get_framework(memory_type)
    if framework.is_loaded:
        gc.collect()  # arrays in reference cycles are freed now, their memory goes to the caches
        framework.release_memory(device_id)


def cleanup_all_gpu_frameworks(device_id: int | None = None) -> None:
    """Give back what every library that is loaded keeps for later.

    Parameters
    ----------
    device_id : int, optional
        By default every device, or the current one.
    """
    gc.collect()
    for name in discover_frameworks():
        framework = get_framework(name)
        if framework.is_loaded:
            framework.release_memory(device_id)
