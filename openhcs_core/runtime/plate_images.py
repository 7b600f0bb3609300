"""Images of all wells as one stream: a plane is in memory while it is looked at, and no longer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

from openhcs_core.constants import MemoryType
from openhcs_core.errors import InputDataError, OpenHCSError
from openhcs_core.memory import stack_slices
from openhcs_core.plan import StepPlan
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.digests import combined_digest
from openhcs_core.runtime.inputs import WellInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

OpenWell = Callable[[str], WellInput]
"""Gives the images of a well that a step reads."""


class PlateImages:
    """What a step over the plate reads, and the digests of what it has read.

    Parameters
    ----------
    open_well : callable
        Opens a well's images. One well is open at a time: what says where its images are may
        be large.
    wells : sequence of str
        In the order in which they are read.

    Attributes
    ----------
    keys : tuple of PlaneKey
        Every image there is.
    bad_well : str or None
        The well of an image that could not be read.
    """

    def __init__(self, open_well: OpenWell, wells: Sequence[str]) -> None:
        self._open_well = open_well
        self.bad_well: str | None = None
        self._read: dict[str, dict[str, str]] = {well: {} for well in wells}
        self.keys = tuple(key for well in wells for key in open_well(well).keys)

    def stream(
        self,
        keys: Sequence[PlaneKey],
        memory_type: MemoryType,
        who: str,
        gpu_id: int | None = None,
    ) -> "WellStream":
        """Return some of the images for one call, as arrays of its function's memory type."""
        return WellStream(tuple(keys), self, memory_type, who, gpu_id)

    def load(self, keys: Sequence[PlaneKey]) -> "Iterator[NDArray[Any]]":
        """Yield planes ``[Y, X]``, one well after the other."""
        for well, members in groupby(keys, key=lambda key: key.well):
            source = self._open_well(well)
            for key in members:
                with self._noting(well):
                    (plane,) = source.load([key])
                self._read[well] |= {key.filename: source.digests[key.filename]}
                yield plane

    @contextmanager
    def _noting(self, well: str) -> Iterator[None]:
        try:
            yield
        except InputDataError:
            self.bad_well = well
            raise

    def read_rest(self, keys: Sequence[PlaneKey]) -> None:
        """Read what no function has looked at: a result is known by all that it could depend on."""
        left = [key for key in keys if key.filename not in self._read[key.well]]
        for _ in self.load(left):
            pass

    def digests(self) -> dict[str, str]:
        """Return one digest a well of the images that were read."""
        return {well: digest_of_planes(found) for well, found in self._read.items() if found}

    def content_digests(self, keys: Sequence[PlaneKey]) -> dict[str, str]:
        """Return what :meth:`digests` is once `keys` are read; the plate itself is read for it."""
        wanted = {key.filename for key in keys}
        found = {}
        for well in self._read:
            with self._noting(well):
                of_well = self._open_well(well).content_digests()
            chosen = {name: digest for name, digest in of_well.items() if name in wanted}
            if chosen:
                found[well] = digest_of_planes(chosen)
        return found


def digest_of_planes(planes: Mapping[str, str]) -> str:
    """Return one digest of planes, by their names and digests."""
    return combined_digest(f"{name} {digest}" for name, digest in sorted(planes.items()))


def digest_of_taken(plan: StepPlan, planes: Mapping[str, str]) -> str | None:
    """Return the digest of those of a well's planes that a step over the plate takes, if any.

    Parameters
    ----------
    planes : mapping of str to str
        Digest of every plane that there is, by its name.
    """
    values = {
        group.value
        for group in plan.groups
        if any(function.takes_images for function in group.functions)
    }
    part = plan.group_by.value
    taken = {
        name: digest
        for name, digest in planes.items()
        if None in values or str(getattr(PlaneKey.parse(name), part)) in values
    }
    return digest_of_planes(taken) if taken else None


class WellStream:
    """The images that one call gets: see :class:`~openhcs_core.planes.PlaneStream`.

    Attributes
    ----------
    keys : tuple of PlaneKey
        In the order in which images come.
    error : OpenHCSError or None
        Why an image could not be read: no result counts then, whatever the function makes of it.
    """

    def __init__(
        self,
        keys: tuple[PlaneKey, ...],
        images: PlateImages,
        memory_type: MemoryType,
        who: str,
        gpu_id: int | None = None,
    ) -> None:
        self.keys = keys
        self.error: OpenHCSError | None = None
        self._images, self._memory_type, self._who = images, memory_type, who
        self._gpu_id = gpu_id

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.keys)

    def __iter__(self) -> "Iterator[Any]":
        """Yield every image ``[Y, X]``, an array of its own each time; may be done again."""
        try:
            for plane in self._images.load(self.keys):
                yield stack_slices([plane], self._memory_type, self._gpu_id, who=self._who)[0]
        except OpenHCSError as error:
            self.error = error
            raise
