"""pyclesperanto: OpenCL buffers, reached by pushing and pulling through host memory alone.

The successor of ``pyclesperanto_prototype`` is taken where it is installed, the prototype where
only that is: it needs numpy below 2, and so an environment of its own.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from openhcs_core.constants import MemoryType
from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory.frameworks.base import Framework
from openhcs_core.memory.layout import OWN_LAYOUT, ArrayFacts, allocate, canonical_view, own_copy

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SUCCESSOR, _PROTOTYPE = "pyclesperanto", "pyclesperanto_prototype"
_MOST_AXES = 3
_PIECE_BYTES = 2**21
"""A piece and its copy fit into a processor's cache."""
_NO_MEMORY = (
    *("MEM_OBJECT_ALLOCATION_FAILURE", "OUT_OF_RESOURCES", "OUT_OF_HOST_MEMORY"),
    "INVALID_BUFFER_SIZE",  # larger than the device can have in one piece
)
"""OpenCL's codes, in the texts of both libraries' errors."""


class PyclesperantoFramework(Framework):
    """Has only types of up to 32 bits; its own ``push`` would narrow all others."""

    memory_type: ClassVar[str] = MemoryType.PYCLESPERANTO
    libraries: ClassVar[tuple[str, ...]] = (_SUCCESSOR, _PROTOTYPE)
    array_classes: ClassVar[tuple[str, ...]] = (
        "pyclesperanto:Array",
        "pyclesperanto_prototype._tier0._pycl:OCLArray",
    )
    dtypes: ClassVar[frozenset[str]] = frozenset(
        ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32")
    )
    shares_unaligned: ClassVar[bool] = True
    shares_read_only: ClassVar[bool] = True

    def describe(self, array: Any) -> ArrayFacts:
        """Return what a conversion of `array` is planned from."""
        import numpy as np

        return ArrayFacts(
            dtype=np.dtype(array.dtype).name, shape=tuple(array.shape), layout=OWN_LAYOUT
        )

    def adopt(self, array: "NDArray[Any]", gpu_id: int | None) -> Any:
        """Push `array` into a new buffer."""
        _check_shape(array.shape)
        buffer = _create(array.shape, array.dtype, gpu_id)
        buffer.set(array)
        return buffer

    def to_numpy(self, array: Any) -> "NDArray[Any]":
        """Pull `array`: a copy."""
        host: NDArray[Any] = array.get()
        return host

    def to_shareable(self, array: Any) -> "NDArray[Any]":
        """Pull `array` into memory that every library can take over.

        The library chooses where its ``get`` puts what it pulls, and that is not aligned. Pieces
        that fit into the processor's cache cost little more to move than one large one, which
        would have to be copied as a whole.
        """
        import numpy as np

        if len(array.shape) != _MOST_AXES or _library().__name__ == _PROTOTYPE:  # it has no parts
            return super().to_shareable(array)
        host = allocate(array.shape, np.dtype(array.dtype).str)
        for origin, region in _pieces(array.shape, host.itemsize):
            part = tuple(slice(at, at + size) for at, size in zip(origin, region, strict=True))
            host[part] = array.get(origin=origin, region=region).reshape(region)
        return host

    def stack(self, planes: Sequence[Any], gpu_id: int | None = None) -> Any:
        """Stack planes, each pushed once into its place."""
        hosts = [plane if _is_host(plane) else self.to_numpy(plane) for plane in planes]
        first = hosts[0]
        self.check_dtype(first.dtype.name, "numpy")
        shape = (len(hosts), *first.shape)
        _check_shape(shape)
        library = _library()
        if library.__name__ == _PROTOTYPE:  # it has no writing to a part of a buffer
            return super().stack(hosts, gpu_id)
        self.check_device(gpu_id)
        stack = _create(shape, first.dtype.newbyteorder("="), gpu_id)
        for number, plane in enumerate(hosts):
            fits = plane.flags.c_contiguous and plane.dtype.isnative
            stack.set(
                canonical_view(plane) if fits else own_copy(plane),
                origin=(number, 0, 0),
                region=(1, *plane.shape),
            )
        return stack

    def device_count(self) -> int:
        """Return how many GPUs the successor sees; of the prototype, whose list has no types, 0."""
        library = _library()
        if library.__name__ == _PROTOTYPE:
            return 0
        return len(_devices(library, "gpu"))

    @contextmanager
    def on_device(self, gpu_id: int | None) -> Iterator[None]:
        """Select a GPU, or the CPU's device: a job that got no GPU must not use one.

        Raises
        ------
        MemoryConversionError
            There is no such GPU, or no OpenCL driver for CPUs.
        """
        self.check_device(gpu_id)
        library = _library()
        if library.__name__ == _PROTOTYPE:  # it takes the device that it finds
            yield
            return
        if gpu_id is None and not _devices(library, "cpu"):
            raise MemoryConversionError(
                "numpy",
                self.memory_type,
                "device",
                "no OpenCL device of a CPU is seen, and no GPU was asked for; install a driver "
                "for CPUs (apt install pocl-opencl-icd), or ask for a GPU: execution.gpu: auto",
            )
        kind = "cpu" if gpu_id is None else "gpu"
        library.select_device(gpu_id or 0, kind)
        yield

    def device_name(self, gpu_id: int) -> str:
        """Return the name that the driver has for a device."""
        return str(_devices(_library(), "gpu")[gpu_id])

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether OpenCL ran out: by its code in the text of either library's error."""
        is_theirs = isinstance(error, RuntimeError) or "pyopencl" in type(error).__module__
        return is_theirs and any(code in str(error) for code in _NO_MEMORY)

    def prepare(self) -> None:
        """Load it now: PoCL, OpenCL for CPUs, ends a process that loaded tensorflow before."""
        _library()


def _is_host(plane: Any) -> bool:
    import numpy as np

    return isinstance(plane, np.ndarray)


def _library() -> Any:
    """Return the installed library.

    Raises
    ------
    MemoryConversionError
        tensorflow is loaded and this is not: loading it now may end the process.
    """
    name = _SUCCESSOR if find_spec(_SUCCESSOR) is not None else _PROTOTYPE
    if name not in sys.modules and "tensorflow" in sys.modules:
        raise MemoryConversionError(
            "numpy",
            MemoryType.PYCLESPERANTO,
            "import",
            "tensorflow was loaded before pyclesperanto, after which OpenCL for CPUs (PoCL) ends "
            "the process; import pyclesperanto first, or use them in processes of their own",
        )
    if name == _SUCCESSOR:
        import pyclesperanto

        return pyclesperanto
    import pyclesperanto_prototype

    return pyclesperanto_prototype


def _devices(library: Any, kind: str) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it warns where there are none
        return list(library.list_available_devices(kind))


def _create(shape: tuple[int, ...], dtype: Any, gpu_id: int | None) -> Any:
    """Return a new buffer on the device that is selected, or on a GPU that is then selected."""
    library = _library()
    if gpu_id is not None:
        library.select_device(gpu_id, "gpu")
    return library.create(shape, dtype.type)


def _pieces(
    shape: tuple[int, ...], item_bytes: int
) -> Iterator[tuple[tuple[int, int, int], tuple[int, int, int]]]:
    """Yield origin and size of parts of an array, each of whole rows and about a piece's bytes."""
    depth, height, width = shape
    rows = max(1, _PIECE_BYTES // (width * item_bytes))
    planes = max(1, rows // height)
    for z in range(0, depth, planes):
        for y in range(0, height, rows):
            yield (z, y, 0), (min(planes, depth - z), min(rows, height - y), width)


def _check_shape(shape: tuple[int, ...]) -> None:
    if not 1 <= len(shape) <= _MOST_AXES or 0 in shape:
        raise MemoryConversionError(
            "numpy",
            MemoryType.PYCLESPERANTO,
            "push_pull",
            f"an OpenCL buffer has 1 to {_MOST_AXES} axes, none of them empty; got shape "
            f"{list(shape)}",
        )
