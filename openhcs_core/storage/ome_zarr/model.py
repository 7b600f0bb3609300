"""What an OME-Zarr plate is made of, as plain data."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openhcs_core.config import OmeZarrVersion
from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.planes import PlaneKey, split_well, well_order
from openhcs_core.storage.listing import in_natural_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    PlaneSource = NDArray[Any] | Callable[[], NDArray[Any]]

STORE_SUFFIX = ".ome.zarr"
FIELD_NAME = re.compile("[A-Za-z0-9]{1,100}")
LABEL_NAME = re.compile(r"[^\W_][\w .+()-]{0,119}")
"""Names that cannot lead out of the folder they are in; read back, they are checked again."""


@dataclass(frozen=True, slots=True)
class PlateLayout:
    """Which wells a plate has.

    Attributes
    ----------
    name : str
        Shown by viewers.
    wells : tuple of str
        For example ``("A01", "B02")``; sorted into plate order.
    field_count : int
        The largest number of sites a well has.
    version : str
        Of OME-Zarr.
    """

    name: str
    wells: tuple[str, ...]
    field_count: int
    version: OmeZarrVersion = "0.5"

    def __post_init__(self) -> None:
        """Sort the wells and refuse what is no plate."""
        if not self.wells or self.field_count < 1:
            raise StorageResolutionError(
                f"plate {self.name!r}: expected at least one well and one site, found "
                f"{len(self.wells)} and {self.field_count}"
            )
        object.__setattr__(self, "wells", tuple(sorted(set(self.wells), key=well_order)))


@dataclass(frozen=True, slots=True)
class ChannelMetadata:
    """One channel of the c axis.

    Attributes
    ----------
    id : str
        As in :attr:`PlaneKey.channel`.
    name : str
        Display name, ``"DAPI"``.
    color : str, optional
        Six upper-case hexadecimal digits, ``"0000FF"``; chosen by position when absent.
    """

    id: str
    name: str
    color: str | None = None

    def __post_init__(self) -> None:
        """Refuse colours that no viewer reads."""
        if self.color is not None and re.fullmatch("[0-9A-F]{6}", self.color) is None:
            raise StorageResolutionError(
                f"channel {self.id!r}: colour {self.color!r} is not six digits 0-9A-F"
            )


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """The axes that every image of a plate shares; a value's position is its index.

    Sharing them keeps things in place: a field without z 1 has a hole there, its z 2 does
    not move to the front.

    Attributes
    ----------
    channels : tuple of ChannelMetadata
        The c axis.
    z_indices, timepoints : tuple of int
        The z and t axes, ascending.
    sites : tuple of int
        Sites of the plate, ascending; the field of a site is named by its position here.
    pixel_size_um, z_step_um, time_step_s : float, optional
        When absent the axis has scale 1 and no unit.
    """

    channels: tuple[ChannelMetadata, ...]
    z_indices: tuple[int, ...]
    timepoints: tuple[int, ...]
    sites: tuple[int, ...]
    pixel_size_um: float | None = None
    z_step_um: float | None = None
    time_step_s: float | None = None

    @classmethod
    def of_planes(
        cls,
        keys: Iterable[PlaneKey],
        *,
        pixel_size_um: float | None = None,
        z_step_um: float | None = None,
    ) -> "ImageMetadata":
        """Return the axes that just hold `keys`, with each channel named by its id."""
        keys = list(keys)
        return cls(
            tuple(ChannelMetadata(c, c) for c in in_natural_order({key.channel for key in keys})),
            tuple(sorted({key.z_index for key in keys})),
            tuple(sorted({key.timepoint for key in keys})),
            tuple(sorted({key.site for key in keys})),
            pixel_size_um,
            z_step_um,
        )

    def index_of(self, key: PlaneKey) -> tuple[int, int, int]:
        """Return a plane's place ``(t, c, z)``.

        Raises
        ------
        StorageResolutionError
            The plane is on none of these axes.
        """
        channels = [channel.id for channel in self.channels]
        try:
            return (
                self.timepoints.index(key.timepoint),
                channels.index(key.channel),
                self.z_indices.index(key.z_index),
            )
        except ValueError:
            raise StorageResolutionError(
                f"{key.filename}: not on the plate's axes; channels {', '.join(channels)}, "
                f"z {_listed(self.z_indices)}, t {_listed(self.timepoints)}"
            ) from None

    def field_path(self, site: int) -> str:
        """Return the name of a site's field: its position among the plate's sites.

        Raises
        ------
        StorageResolutionError
            The plate has no such site.
        """
        if site not in self.sites:
            raise StorageResolutionError(
                f"site {site} is not one of the plate's sites {_listed(self.sites)}"
            )
        return str(self.sites.index(site))


@dataclass(frozen=True, slots=True)
class FieldImages:
    """The images of one field of view.

    Attributes
    ----------
    site : int
        As in :attr:`PlaneKey.site`.
    path : str
        Name of the field in its well, see :meth:`ImageMetadata.field_path`.
    planes : mapping of PlaneKey to ndarray or callable
        ``[Y, X]`` each, or a function without arguments that returns one. A function is
        called once, when its plane is written, so one plane at a time is in memory.
    labels : mapping of str to mapping of PlaneKey to ndarray or callable
        Label images by name, integers, with the shape of the planes they were drawn on. All
        planes of one label image are of one channel.
    attributes : mapping
        What else is known of the field, for its attribute ``openhcs``; plain data.
    """

    site: int
    path: str
    planes: "Mapping[PlaneKey, PlaneSource]"
    labels: "Mapping[str, Mapping[PlaneKey, PlaneSource]]" = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def check(self, well: str) -> None:
        """Refuse planes of other fields, and names that would leave the field's folder.

        Raises
        ------
        StorageResolutionError
            What cannot be written.
        """
        where = f"well {well}, field {self.path!r}"
        if FIELD_NAME.fullmatch(self.path) is None:
            raise StorageResolutionError(f"{where}: a field's name has letters and digits only")
        for name, planes in (("image", self.planes), *self.labels.items()):
            if not planes:
                raise StorageResolutionError(f"{where}: {name!r} has no planes; leave it out")
            for key in planes:
                if (key.well, key.site) != (well, self.site):
                    raise StorageResolutionError(
                        f"{where}: expected planes of {well}, site {self.site}, "
                        f"found {key.filename}"
                    )
        for name, planes in self.labels.items():
            if LABEL_NAME.fullmatch(name) is None:
                raise StorageResolutionError(
                    f"{where}: label name {name!r}; expected letters, digits, space and _.+-()"
                )
            channels = in_natural_order({key.channel for key in planes})
            if len(channels) > 1:
                raise StorageResolutionError(
                    f"{where}: label image {name!r} has planes of channels {', '.join(channels)}; "
                    "make one label image a channel"
                )


def well_path(well: str) -> str:
    """Return a well's path in its plate: ``"B02"`` gives ``"B/02"``."""
    return "/".join(split_well(well))


def split_plane_path(path: str) -> tuple[str, str]:
    """Split ``<folders>/<step>.ome.zarr/<plane>`` into store and the rest (may be empty).

    Raises
    ------
    StorageResolutionError
        No part of the path ends in ``.ome.zarr``.
    """
    match = re.fullmatch(rf"(?s)(.*?{re.escape(STORE_SUFFIX)})(?:/+(.*))?", path)
    if match is None:
        raise StorageResolutionError(
            f"{path}: storage backend 'zarr' expects <name>{STORE_SUFFIX}/<plane>, e.g. "
            f"clean{STORE_SUFFIX}/B02_s001_w1_z001_t001.tif"
        )
    return match[1], match[2] or ""


def parse_plane(name: str, store: object) -> PlaneKey:
    """Return the plane that `name` names, with an error that says which store it is for."""
    try:
        return PlaneKey.parse(name)
    except ValueError as error:
        raise InputDataError(f"{store}/{name}: {error}") from error


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
