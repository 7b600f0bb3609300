"""What decides whether another library can read an array's memory where it lies."""

from typing import TYPE_CHECKING, Any

from openhcs_core.config.base import FrozenModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALIGNMENT_BYTES = 64
"""jax takes memory over only where it starts at a multiple of this, and tensorflow ends the process
in its first vectorised operation on memory that does not."""

EXCHANGED_DTYPES = (
    *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
"""The types of values that arrays are exchanged in; all others have to be cast first."""


class ArrayLayout(FrozenModel):
    """How an array lies in memory. The default is what this software allocates.

    Attributes
    ----------
    is_compact : bool
        Values follow one another in C order.
    is_strided : bool
        Steps along every axis are positive multiples of an item's size, or it is compact.
    is_native : bool
        This machine's byte order.
    is_aligned : bool
        It starts at a multiple of :data:`ALIGNMENT_BYTES`.
    is_writable : bool
        Whoever holds it may write to it; of a read-only file map that ends the process.
    """

    is_compact: bool = True
    is_strided: bool = True
    is_native: bool = True
    is_aligned: bool = True
    is_writable: bool = True


OWN_LAYOUT = ArrayLayout()
"""Of arrays that this software allocates, such as stacks of planes."""


class ArrayFacts(FrozenModel):
    """What a conversion is planned from.

    Attributes
    ----------
    dtype : str
        Name, as numpy spells it.
    shape : tuple of int
        Its sizes.
    gpu_id : int or None
        The device it is on; None in host memory. Of OpenCL buffers None too: nothing but
        their own library reads them.
    layout : ArrayLayout
        How it lies there.
    """

    dtype: str
    shape: tuple[int, ...]
    gpu_id: int | None = None
    layout: ArrayLayout = OWN_LAYOUT


def layout_of(
    shape: tuple[int, ...],
    strides_bytes: tuple[int, ...],
    item_bytes: int,
    address: int,
    *,
    is_writable: bool,
    is_native: bool = True,
) -> ArrayLayout:
    """Return the layout of an array.

    Parameters
    ----------
    shape, strides_bytes : tuple of int
        Sizes, and bytes from one item to the next along each axis.
    item_bytes, address : int
        Size of one value, and where the first is.
    is_writable, is_native : bool
        See :class:`ArrayLayout`.

    Returns
    -------
    ArrayLayout
        Neither compact nor strided where items are not at multiples of their size, and without
        values: strides may be anything then, and a copy costs nothing.
    """
    compact = regular = 0 not in shape and address % item_bytes == 0
    step = item_bytes
    for size, stride in zip(reversed(shape), reversed(strides_bytes), strict=True):
        if size > 1:  # of one item no step is ever taken
            compact = compact and stride == step
            step *= size
    steps = [stride for size, stride in zip(shape, strides_bytes, strict=True) if size > 1]
    strided = regular and all(stride > 0 and not stride % item_bytes for stride in steps)
    return ArrayLayout(
        is_compact=compact,
        is_strided=compact or strided,
        is_native=is_native,
        is_aligned=address % ALIGNMENT_BYTES == 0,
        is_writable=is_writable,
    )


def allocate(shape: tuple[int, ...], dtype: str) -> "NDArray[Any]":
    """Return a new numpy array that every library can read where it lies; values are arbitrary."""
    import numpy as np

    kind = np.dtype(dtype)
    size_bytes = kind.itemsize * int(np.prod(shape, dtype=np.int64))
    raw = np.empty(size_bytes + ALIGNMENT_BYTES, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT_BYTES
    array: NDArray[Any] = raw[start : start + size_bytes].view(kind).reshape(shape)
    return array


def own_copy(array: "NDArray[Any]") -> "NDArray[Any]":
    """Return a copy that every library can read where it lies, values and dtype unchanged."""
    import numpy as np

    copy = allocate(array.shape, array.dtype.newbyteorder("=").str)
    np.copyto(copy, array, casting="equiv")
    return copy


def canonical_view(array: "NDArray[Any]") -> "NDArray[Any]":
    """Return the same memory with regular strides; those of axes of one item may be anything.

    Parameters
    ----------
    array : ndarray
        Compact or strided (:class:`ArrayLayout`).
    """
    import numpy as np

    if array.flags.c_contiguous:
        return array.reshape(-1).reshape(array.shape)
    # a stride of an axis of one item is never used, but libraries check it
    strides = tuple(
        array.itemsize if size == 1 else stride
        for size, stride in zip(array.shape, array.strides, strict=True)
    )
    return np.lib.stride_tricks.as_strided(array, strides=strides, writeable=array.flags.writeable)
