"""Functions that work as well on a part of each slice: their declaration."""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import JsonValue

from openhcs_core.config import FrozenModel

F = TypeVar("F", bound=Callable[..., Any])


class Locality(FrozenModel):
    """How far in y and x a function looks for one pixel of its result.

    Attributes
    ----------
    halo : int
        So many pixels to each side; 0: at that pixel alone.
    reach : tuple of str
        Parameters whose product adds to it.
    factor : float
        That product is taken so many times.
    only_if : dict
        Parameters that have to have one of these values; with others it looks at all pixels.
    """

    halo: int = 0
    reach: tuple[str, ...] = ()
    factor: float = 1.0
    only_if: dict[str, tuple[JsonValue, ...]] = {}

    def halo_px(self, parameters: Mapping[str, JsonValue]) -> int | None:
        """Return the pixels to each side for a call's parameters, None where that is all."""
        if any(parameters.get(name) not in values for name, values in self.only_if.items()):
            return None
        if not self.reach:
            return self.halo
        lengths = [parameters.get(name) for name in self.reach]
        numbers = [one for one in lengths if isinstance(one, int | float) and one >= 0]
        if len(numbers) < len(lengths):
            return None
        return self.halo + math.ceil(self.factor * math.prod(numbers))


def local(
    *,
    halo: int = 0,
    reach: tuple[str, ...] = (),
    factor: float = 1.0,
    only_if: Mapping[str, tuple[JsonValue, ...]] | None = None,
) -> Callable[[F], F]:
    """Declare that a pixel of the result depends on pixels of each slice that are near it.

    Where a slice and all that is computed of it would not fit in a job's memory, the function
    is then called with one part of the slices after the other, each with `halo` pixels more on
    the sides that are not the image's own edges. What it returns must be the same to the bit, in
    every pixel that is `halo` or more from such a side. A function with random numbers, or one that
    measures the whole image, is not local.

    Parameters
    ----------
    halo, reach, factor, only_if
        See :class:`Locality`.

    Examples
    --------
    >>> @local(halo=1)
    ... def sharpen(image_stack):
    ...     ...

    >>> @local(reach=("radius",), factor=2)
    ... def opened(image_stack, *, radius: int = 3):
    ...     ...
    """
    locality = Locality(halo=halo, reach=reach, factor=factor, only_if=dict(only_if or {}))

    def declare(function: F) -> F:
        function.locality = locality  # type: ignore[attr-defined]  # metadata on a callable
        return function

    return declare
