"""What a plate's images hold: every one of them opened, which an index does not do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from openhcs_core.errors import OpenHCSError, shortened
from openhcs_core.microscopes import Acquisition, ImageFile, PlateIndex, virtual_mapping
from openhcs_core.microscopes.imagexpress.stage import read_acquisition
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime import plane_digest
from openhcs_core.storage import PlateSource
from openhcs_core.storage.backends.virtual_workspace import VirtualWorkspaceBackend

if TYPE_CHECKING:
    from numpy.typing import NDArray

Field = tuple[str, int, int]
"""Well, site and time."""

_AHEAD = 4
"""Images that wait for each thread, so that a plate of 1e5 is not 1e5 waiting calls."""


@dataclass(frozen=True, slots=True)
class ImageProblem:
    """An image that cannot be analysed as it is.

    Attributes
    ----------
    name, path : str
        Virtual name, and the file relative to the plate.
    reason : str
        What is wrong.
    """

    name: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """What opening every image showed.

    Attributes
    ----------
    index : PlateIndex
        The plate; planes that were found to be copies of another z are counted among its
        `copies`, warnings say what was found, and `acquisitions` has what images themselves say.
    problems : tuple of ImageProblem
        Unreadable images, and those of another shape or dtype than their channel.
    blank : tuple of str
        Virtual names of images in which every pixel is zero.
    size_bytes : int
        Pixels that were read.
    """

    index: PlateIndex
    problems: tuple[ImageProblem, ...]
    blank: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Look:
    """One image: the digest of its content, or what is wrong with it."""

    key: PlaneKey
    digest: str = ""
    is_blank: bool = False
    size_bytes: int = 0
    problem: ImageProblem | None = None
    acquisition: Acquisition | None = None


def inspect_plate(
    index: PlateIndex,
    source: PlateSource,
    threads: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Inspection:
    """Open every image of a plate.

    Parameters
    ----------
    index : PlateIndex
        What the plate is said to consist of.
    source : PlateSource
        Where its files are.
    threads : int
        Images to read at once; each is in memory once.
    progress : callable
        Called with the number of images that are done since the last call.
    """
    looks = {look.key: look for look in _look_at_all(index, source, threads, progress)}
    blank = tuple(look.key.filename for look in looks.values() if look.is_blank)
    said = {key: look.acquisition for key, look in looks.items() if look.acquisition is not None}
    index = replace(index, acquisitions={**said, **index.acquisitions})
    found, warnings = _without_copies(index, looks)
    if blank:
        warnings.append(f"{len(blank)} images are zero in every pixel: {shortened(blank)}")
    return Inspection(
        index=replace(found, warnings=(*found.warnings, *warnings)),
        problems=tuple(look.problem for look in looks.values() if look.problem is not None),
        blank=blank,
        size_bytes=sum(look.size_bytes for look in looks.values()),
    )


def _look_at_all(
    index: PlateIndex, source: PlateSource, threads: int, progress: Callable[[int], None]
) -> Iterator[_Look]:
    """Yield what was seen, in index order."""
    plate = VirtualWorkspaceBackend(source, virtual_mapping(index))
    forms = {channel.id: (channel.shape, channel.dtype) for channel in index.channels}

    def look(image: ImageFile) -> _Look:
        seen = _look_at(plate, image, *forms[image.key.channel])
        is_said = image.key in index.acquisitions or seen.problem is not None
        return seen if is_said else _with_acquisition(seen, source, image)

    remaining = iter(index.images)
    with ThreadPoolExecutor(threads, "inspector") as pool:
        while images := list(islice(remaining, threads * _AHEAD)):
            for seen in pool.map(look, images):
                yield seen
                progress(1)


def _look_at(
    plate: VirtualWorkspaceBackend, image: ImageFile, shape: tuple[int, int], dtype: str
) -> _Look:
    name = image.key.filename
    try:
        pixels: NDArray[Any] = plate.load_stack([f"images/{name}"], shape, dtype)[0]
    except OpenHCSError as error:
        return _Look(image.key, problem=ImageProblem(name, image.path, str(error)))
    return _Look(image.key, plane_digest(pixels), not pixels.any(), pixels.nbytes)


def _with_acquisition(seen: _Look, source: PlateSource, image: ImageFile) -> _Look:
    """Return what was seen, with where and when the image itself says it was taken."""
    if not image.path.lower().endswith((".tif", ".tiff")):
        return seen
    try:
        return replace(seen, acquisition=read_acquisition(source, image.path))
    except (OSError, OpenHCSError) as error:
        return replace(seen, problem=ImageProblem(image.key.filename, image.path, str(error)))


def _without_copies(
    index: PlateIndex, looks: Mapping[PlaneKey, _Look]
) -> tuple[PlateIndex, list[str]]:
    """Count a channel's plane once where every field has it under each z."""
    warnings: list[str] = []
    for channel in index.channels:
        stacks = _stacks(index, channel.id)
        told = {
            field: digests
            for field, keys in stacks.items()
            if len(digests := _digests(keys, looks)) > 1
        }
        copied = [field for field, digests in told.items() if len(set(digests)) == 1]
        if copied and len(copied) == len(told):
            index = _keep_one(index, channel.id, stacks, looks)
            warnings.append(
                f"channel {channel.id} ({channel.name}): its z planes are one plane, copied; it is "
                "counted once"
            )
        elif copied:
            names = shortened([f"{well} site {site} time {time}" for well, site, time in copied])
            warnings.append(
                f"channel {channel.id} ({channel.name}): in {len(copied)} of {len(told)} fields "
                f"all z planes are the same image, elsewhere they differ: {names}"
            )
    return index, warnings


def _stacks(index: PlateIndex, channel: str) -> dict[Field, list[PlaneKey]]:
    stacks: dict[Field, list[PlaneKey]] = {}
    for key, *_ in index.images:
        if key.channel == channel:
            stacks.setdefault((key.well, key.site, key.timepoint), []).append(key)
    return stacks


def _digests(keys: Sequence[PlaneKey], looks: Mapping[PlaneKey, _Look]) -> list[str]:
    """Return the digests of a stack's readable images; none where all are blank, thus equal."""
    readable = [looks[key] for key in keys if looks[key].problem is None]
    return [] if all(look.is_blank for look in readable) else [look.digest for look in readable]


def _keep_one(
    index: PlateIndex,
    channel: str,
    stacks: Mapping[Field, Sequence[PlaneKey]],
    looks: Mapping[PlaneKey, _Look],
) -> PlateIndex:
    """Return the index with one plane, z 1, of each field of a channel: the first readable."""
    chosen = {
        next((key for key in keys if looks[key].problem is None), keys[0])
        for keys in stacks.values()
    }
    images = tuple(
        image._replace(key=image.key._replace(z_index=1)) if image.key.channel == channel else image
        for image in index.images
        if image.key.channel != channel or image.key in chosen
    )
    absent = dict.fromkeys(
        key._replace(z_index=1) if key.channel == channel else key
        for key in index.missing
        if key.channel != channel or (key.well, key.site, key.timepoint) not in stacks
    )
    acquisitions = {
        key._replace(z_index=1) if key.channel == channel else key: acquisition
        for key, acquisition in index.acquisitions.items()
        if key.channel != channel or key in chosen
    }
    return replace(
        index,
        images=images,
        missing=tuple(absent),
        acquisitions=acquisitions,
        copies=index.copies + len(index.images) - len(images),
    )
