"""What a plate consists of: plain data, made from metadata and one scan of its folder."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import NamedTuple, overload

from openhcs_core.planes import PlaneKey


class ImageFile(NamedTuple):
    """One image plane and the file that holds it.

    Attributes
    ----------
    key : PlaneKey
        Which plane this is.
    path : str
        Real path relative to the plate folder, with ``/`` between parts.
    size_bytes : int or None
        As the scan saw it; None where a web server does not tell.
    mtime_ns : int, str or None
        Modification time in ns; of an object in a store its ETag, or the time as the server
        writes it; None where a server tells neither.
    """

    key: PlaneKey
    path: str
    size_bytes: int | None
    mtime_ns: int | str | None


class Acquisition(NamedTuple):
    """Where and when one plane was taken; None where the metadata do not say.

    Attributes
    ----------
    x_um, y_um : float or None
        Centre of the field, by the stage, from where the instrument puts its zero; y grows
        towards the last row of the plate, as it does in the image.
    z_um : float or None
        Height of the plane, from where the instrument puts its zero: the focus it found.
    acquired : str or None
        Time as the instrument writes it.
    stage_z_um : float or None
        Height by the stage alone.
    """

    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    acquired: str | None = None
    stage_z_um: float | None = None


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """One channel: id and name, and what its images must look like.

    Attributes
    ----------
    id, name : str
        The instrument's number as text (``"1"``) and its display name (``"DAPI"``).
    dtype : str
        numpy dtype name in native byte order, e.g. ``"uint16"``.
    shape : tuple of int
        ``(Y, X)`` in px.
    excitation_nm, emission_nm : float or None
        Wavelengths; None when the metadata do not say.
    """

    id: str
    name: str
    dtype: str
    shape: tuple[int, int]
    excitation_nm: float | None = None
    emission_nm: float | None = None


Plane = tuple[int, str, int, int]
"""Site, channel, z and time of a plane in its well."""


def planes_by_well(images: Iterable[ImageFile]) -> dict[str, tuple[Plane, ...]]:
    """Return site, channel, z and time of each image by well, wells being together."""
    known: dict[tuple[Plane, ...], tuple[Plane, ...]] = {}
    found = {}
    for well, of_well in groupby(images, lambda image: image[0][0]):
        planes = tuple([image[0][1:] for image in of_well])
        found[well] = known.setdefault(planes, planes)
    return found


class KeptImages(Sequence[ImageFile]):
    """Images of a plate that are read when they are asked for; their planes are known before.

    Parameters
    ----------
    planes : mapping of str to tuple
        As of :attr:`PlateIndex.planes`.
    read : callable
        Returns all images in order.
    """

    def __init__(
        self,
        planes: Mapping[str, tuple[Plane, ...]],
        read: Callable[[], tuple[ImageFile, ...]],
    ) -> None:
        self.planes = planes
        self._read = read
        self._count = sum(map(len, planes.values()))

    @cached_property
    def _all(self) -> tuple[ImageFile, ...]:
        return self._read()

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> ImageFile: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[ImageFile, ...]: ...

    def __getitem__(self, place: int | slice) -> ImageFile | tuple[ImageFile, ...]:
        return self._all[place]

    def __iter__(self) -> Iterator[ImageFile]:
        return iter(self._all)

    def __eq__(self, other: object) -> bool:
        return tuple(other) == self._all if isinstance(other, tuple | KeptImages) else False

    def __hash__(self) -> int:
        return hash(self._all)


class KeptAcquisitions(Mapping[PlaneKey, Acquisition]):
    """Acquisitions that are read when they are asked for."""

    def __init__(self, read: Callable[[], Mapping[PlaneKey, Acquisition]]) -> None:
        self._read = read

    @cached_property
    def _all(self) -> Mapping[PlaneKey, Acquisition]:
        return self._read()

    def __getitem__(self, key: PlaneKey) -> Acquisition:
        return self._all[key]

    def __iter__(self) -> Iterator[PlaneKey]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


@dataclass(frozen=True)
class PlateIndex:
    """Everything the compiler needs to know of a plate.

    Attributes
    ----------
    plate_path : str
        The plate's folder or URL.
    microscope, parser : str
        Names of handler and file-name parser.
    images : sequence of ImageFile
        Sorted by well (plate order), site, channel (natural order), z, time.
        Projections, thumbnails and copies of planes are not among them.
    channels : tuple of ChannelInfo
        Channels that have images, in natural order of id.
    missing : tuple of PlaneKey
        Planes the rest of the plate leads one to expect and that are absent.
    pixel_size_um, z_step_um : float or None
        None when the metadata do not say.
    grid_dimensions : (int, int) or None
        Sites as (rows, columns), where they fill a rectangle.
    warnings : tuple of str
        What the metadata declare and no well has, and the like.
    projections, copies : int
        Image files left out of `images` because they are projections of a stack
        that is there, or copies of a plane that is counted already.
    site_grid : mapping of int to (int, int)
        Row and column of each site, from 0, by where the stage was; gaps and any outline are
        possible. Empty when nothing says where the sites are.
    acquisitions : mapping of PlaneKey to Acquisition
        Where and when, for planes, missing ones too, whose metadata say so without opening
        the images.
    surplus : tuple of str
        Image files in the plate's folder that are none of its planes, projections, copies or
        thumbnails, relative to the plate.
    """

    plate_path: str
    microscope: str
    parser: str
    images: Sequence[ImageFile]
    channels: tuple[ChannelInfo, ...]
    missing: tuple[PlaneKey, ...] = ()
    pixel_size_um: float | None = None
    z_step_um: float | None = None
    grid_dimensions: tuple[int, int] | None = None
    warnings: tuple[str, ...] = field(default=())
    projections: int = 0
    copies: int = 0
    site_grid: Mapping[int, tuple[int, int]] = field(default_factory=dict, hash=False)
    acquisitions: Mapping[PlaneKey, Acquisition] = field(default_factory=dict, hash=False)
    surplus: tuple[str, ...] = ()

    @property
    def wells(self) -> tuple[str, ...]:
        """Wells that have images, in plate order."""
        return tuple(self.planes)

    @property
    def channel_names(self) -> dict[str, str]:
        """Display name by channel id."""
        return {channel.id: channel.name for channel in self.channels}

    @property
    def sites(self) -> tuple[int, ...]:
        """Sites that any well has, ascending."""
        return tuple(sorted({plane[0] for planes in self.layouts for plane in planes}))

    @cached_property
    def planes(self) -> Mapping[str, tuple[Plane, ...]]:
        """Planes of each well that are there, in order: one object for wells with the same."""
        if isinstance(self.images, KeptImages):
            return self.images.planes
        return planes_by_well(self.images)

    @property
    def layouts(self) -> tuple[tuple[Plane, ...], ...]:
        """The planes that wells have, once for all wells that have the same."""
        return tuple({id(planes): planes for planes in self.planes.values()}.values())
