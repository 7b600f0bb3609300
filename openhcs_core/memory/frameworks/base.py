"""What has to be known of an array library: one subclass each, which imports it when used."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory.layout import (
    EXCHANGED_DTYPES,
    OWN_LAYOUT,
    ArrayFacts,
    ArrayLayout,
    allocate,
    canonical_view,
    layout_of,
    own_copy,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Framework(ABC):
    """Arrays of one library: what they are, from and to host memory.

    Importing the module of a subclass and making an instance loads no array library. The
    constants below are what conversions are planned from.

    Attributes
    ----------
    memory_type : str
        Its name: ``"torch"``.
    libraries : tuple of str
        Modules of which one has to be there.
    array_classes : tuple of str
        Its arrays, as ``module:Class``.
    dtypes : frozenset of str
        The types of values it has.
    is_immutable : bool
        Its arrays never change: nobody may write to their memory while they are in use.
    shares_strided, shares_unaligned, shares_read_only : bool
        Whether it takes over host memory that is not compact, not aligned, or that nobody may
        write to (:class:`~openhcs_core.memory.layout.ArrayLayout`); else it gets a copy.
    needs_device : bool
        It has no arrays in host memory.
    """

    memory_type: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]]
    array_classes: ClassVar[tuple[str, ...]]
    dtypes: ClassVar[frozenset[str]] = frozenset(EXCHANGED_DTYPES)
    is_immutable: ClassVar[bool] = False
    shares_strided: ClassVar[bool] = False
    shares_unaligned: ClassVar[bool] = False
    shares_read_only: ClassVar[bool] = False
    needs_device: ClassVar[bool] = False

    @abstractmethod
    def describe(self, array: Any) -> ArrayFacts:
        """Return what a conversion of `array` is planned from."""

    @abstractmethod
    def adopt(self, array: "NDArray[Any]", gpu_id: int | None) -> Any:
        """Return an array of this library with the values of `array`.

        Parameters
        ----------
        array : ndarray
            In a layout that the library shares, of a type of value that it has. Its memory is
            shared where the result is in host memory.
        gpu_id : int or None
            The device of the result, one that :meth:`check_device` let pass; None for host memory.
        """

    @abstractmethod
    def to_numpy(self, array: Any) -> "NDArray[Any]":
        """Return `array` in host memory, values and dtype unchanged.

        Returns
        -------
        ndarray
            The same memory where that is possible; read-only where it must not be written to.
        """

    def to_shareable(self, array: Any) -> "NDArray[Any]":
        """Return `array` in host memory that every library can take over where it lies."""
        host = self.to_numpy(array)
        return host if describe_numpy(host).layout == OWN_LAYOUT else own_copy(host)

    def device_count(self) -> int:
        """Return how many devices the library sees."""
        return 0

    def from_library(self, array: Any) -> Any:
        """Return an array of another library as one of this, sharing its memory (DLPack)."""
        raise TypeError(f"{self.memory_type} takes no arrays but numpy's")

    def compacted(self, array: Any) -> Any:
        """Return a compact copy on the same device."""
        raise TypeError(f"{self.memory_type} makes no compact copies on devices")

    def seed(self, seed: int) -> None:  # noqa: B027  not every library has one
        """Seed the library's global generator, if it has one. `seed` has 128 bits."""

    def prepare(self) -> None:  # noqa: B027  for most the order does not matter
        """Load the library before the user's modules are, where the order matters."""

    @contextmanager
    def on_device(self, gpu_id: int | None) -> Iterator[None]:
        """Let what the block makes with the library be on a device, on this thread's own stream.

        What the block queued there is done when it ends.

        Parameters
        ----------
        gpu_id : int or None
            The device; None for host memory, or a CPU's OpenCL device.

        Raises
        ------
        MemoryConversionError
            The library does not see the device.
        """
        self.check_device(gpu_id)
        yield

    def device_name(self, gpu_id: int) -> str:
        """Return what the maker calls a device that the library sees."""
        return f"GPU {gpu_id}"

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether an error is the library's own way to say that memory ran out.

        ``MemoryError`` need not be looked for.
        """
        return False

    def release_memory(self, gpu_id: int | None = None) -> None:  # noqa: B027  few can
        """Give back memory that the library keeps for later, of one device or of all."""

    @property
    def is_installed(self) -> bool:
        """Whether the library is there; it is not imported to find out."""
        return any(find_spec(name) is not None for name in self.libraries)

    @property
    def is_loaded(self) -> bool:
        """Whether this process has imported the library."""
        return any(name in sys.modules for name in self.libraries)

    def shares(self, layout: ArrayLayout) -> bool:
        """Return whether the library takes over host memory in this layout."""
        return (
            layout.is_native
            and (layout.is_compact or (self.shares_strided and layout.is_strided))
            and (layout.is_aligned or self.shares_unaligned)
            and (layout.is_writable or self.shares_read_only)
        )

    def check_device(self, gpu_id: int | None) -> None:
        """Refuse a device that cannot be seen.

        Raises
        ------
        MemoryConversionError
            No such device, or none given where the library needs one.
        """
        if gpu_id is None and not self.needs_device:
            return
        seen = self.device_count()
        if gpu_id is None or not 0 <= gpu_id < seen:
            asked = "needs a gpu_id and got none" if gpu_id is None else f"sees no GPU {gpu_id}"
            raise MemoryConversionError(
                "numpy",
                self.memory_type,
                "device",
                f"{self.memory_type} {asked}; GPUs that it sees here: {seen}. Ask for one "
                "(Slurm, CUDA_VISIBLE_DEVICES), or leave gpu_id out to stay in host memory",
            )

    def from_numpy(self, array: "NDArray[Any]", gpu_id: int | None = None) -> Any:
        """Return `array` in this library, on a device or in host memory.

        Returns
        -------
        array
            It shares the memory of `array` where the library can.

        Raises
        ------
        MemoryConversionError
            The library lacks the type of value, or does not see the device.
        """
        self.check_dtype(array.dtype.name, "numpy")
        self.check_device(gpu_id)
        if self.shares(describe_numpy(array).layout):
            return self.adopt(canonical_view(array), gpu_id)
        return self.adopt(own_copy(array), gpu_id)

    def check_dtype(self, dtype: str, source: str) -> None:
        """Refuse a type of value that the library would turn into another.

        Raises
        ------
        MemoryConversionError
            The library does not have it.
        """
        if dtype not in self.dtypes:
            has = ", ".join(name for name in EXCHANGED_DTYPES if name in self.dtypes)
            raise MemoryConversionError(
                source,
                self.memory_type,
                "dtype",
                f"{self.memory_type} has no {dtype}, and nothing is cast without being asked; set "
                f"output_dtype in the step before, or dtype= in the call, to one of {has}",
            )

    def stack(self, planes: Sequence[Any], gpu_id: int | None = None) -> Any:
        """Stack planes, each copied once.

        Parameters
        ----------
        planes : sequence of array, shape (Y, X)
            At least one; alike, of this library or numpy's.
        gpu_id : int, optional
            The device of the result.

        Returns
        -------
        array, shape (Z, Y, X)
            Memory of its own.
        """
        return self.from_numpy(stack_on_host([_as_host(self, plane) for plane in planes]), gpu_id)


def _as_host(framework: Framework, plane: Any) -> "NDArray[Any]":
    import numpy as np

    return plane if isinstance(plane, np.ndarray) else framework.to_numpy(plane)


def stack_on_host(planes: Sequence["NDArray[Any]"]) -> "NDArray[Any]":
    """Return planes of one shape and dtype in one new array that every library can share."""
    import numpy as np

    first = planes[0]
    stack = allocate((len(planes), *first.shape), first.dtype.newbyteorder("=").str)
    for number, plane in enumerate(planes):
        np.copyto(stack[number], plane, casting="equiv")
    return stack


def describe_numpy(array: "NDArray[Any]") -> ArrayFacts:
    """Return what a conversion of a numpy array is planned from."""
    return ArrayFacts(
        dtype=array.dtype.name,
        shape=array.shape,
        layout=layout_of(
            array.shape,
            array.strides,
            array.itemsize,
            array.ctypes.data,
            is_writable=array.flags.writeable,
            is_native=array.dtype.isnative,
        ),
    )
