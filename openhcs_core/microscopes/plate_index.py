"""What a plate consists of: plain data, made from metadata and one scan of its folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

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


@dataclass(frozen=True, slots=True)
class PlateIndex:
    """Everything the compiler needs to know of a plate.

    Attributes
    ----------
    plate_path : str
        The plate's folder or URL.
    microscope, parser : str
        Names of handler and file-name parser.
    images : tuple of ImageFile
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
    images: tuple[ImageFile, ...]
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
        return tuple(dict.fromkeys(image.key.well for image in self.images))

    @property
    def channel_names(self) -> dict[str, str]:
        """Display name by channel id."""
        return {channel.id: channel.name for channel in self.channels}

    @property
    def sites(self) -> tuple[int, ...]:
        """Sites that any well has, ascending."""
        return tuple(sorted({image.key.site for image in self.images}))
