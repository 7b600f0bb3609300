"""Slices in parts: one part after the other goes through functions that declare to be local."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from openhcs_core.errors import StepFunctionError
from openhcs_core.plan import TilePlan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Planes = Sequence[NDArray[Any]]


class _Span(NamedTuple):
    """A part along one axis: itself, with its halo, and itself counted from there."""

    inner: slice
    outer: slice
    within: slice


def are_alike(planes: "Planes") -> bool:
    """Return whether planes have one shape and dtype, as those of a stack have."""
    return len({(plane.shape, plane.dtype) for plane in planes}) == 1


def run_in_tiles(
    planes: "Planes", tile: TilePlan, run: "Callable[[Planes], Planes]", who: str
) -> "list[NDArray[Any]]":
    """Return what `run` gives for whole planes, made of what it gives for their parts.

    Parameters
    ----------
    planes : sequence of ndarray, shape (Y, X)
        One stack; not written to.
    tile : TilePlan
        Size of the parts.
    run : callable
        Takes a part of each plane and returns planes of the same height and width.
    who : str
        Step and well, for messages.

    Raises
    ------
    StepFunctionError
        Parts come back with another shape, or unlike each other.
    """
    import numpy as np

    height, width = planes[0].shape
    whole: NDArray[Any] | None = None
    for rows in _spans(height, tile):
        for columns in _spans(width, tile):
            part = [plane[rows.outer, columns.outer] for plane in planes]
            made = run(part)
            if whole is None:
                whole = np.empty((len(made), height, width), made[0].dtype)
            _check(made, part[0].shape, whole, who)
            for target, plane in zip(whole, made, strict=True):
                target[rows.inner, columns.inner] = plane[rows.within, columns.within]
    assert whole is not None
    return list(whole)


def _spans(length: int, tile: TilePlan) -> Iterator[_Span]:
    """Yield parts of nearly equal length that cover an axis."""
    count = -(-length // tile.side_px)
    ends = [number * length // count for number in range(count + 1)]
    for start, stop in itertools.pairwise(ends):
        first, last = max(0, start - tile.halo_px), min(length, stop + tile.halo_px)
        yield _Span(slice(start, stop), slice(first, last), slice(start - first, stop - first))


def _check(made: "Planes", shape: tuple[int, ...], whole: "NDArray[Any]", who: str) -> None:
    found = {(plane.shape, plane.dtype.name) for plane in made}
    if len(made) != len(whole) or found != {(shape, whole.dtype.name)}:
        raise StepFunctionError(
            f"{who}: functions that are declared local returned {len(made)} planes of "
            f"{', '.join(sorted(f'{one} {dtype}' for one, dtype in found))} for a part of {shape}; "
            f"expected {len(whole)} of {whole.dtype.name} like before. Take @local away from those "
            "that change the shape, or whose dtype depends on values"
        )
