"""The name of one image plane: well, site, channel, z and time."""

import re
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

WELL_REGEX = r"[A-Z]{1,2}[0-9]{2}"
"""Wells from A01 to AF48: row letters, then the column in two digits."""

_FILENAME = re.compile(
    rf"(?P<well>{WELL_REGEX})_s(?P<site>\d+)_w(?P<channel>[^_/]+)_z(?P<z>\d+)_t(?P<t>\d+)\.tif"
)
_NUMBERS = re.compile(r"([0-9]+)")


class PlaneKey(NamedTuple):
    """One 2-D image of a plate.

    Attributes
    ----------
    well : str
        Row letters and two-digit column, ``"B02"``.
    site : int
        Field of view within the well, as the instrument numbers it.
    channel : str
        Channel id as the instrument numbers it (``"1"``), not its display name.
    z_index, timepoint : int
        From 1.
    """

    well: str
    site: int
    channel: str
    z_index: int
    timepoint: int

    @property
    def filename(self) -> str:
        """The virtual file name, e.g. ``B02_s001_w1_z001_t001.tif``."""
        return (
            f"{self.well}_s{self.site:03d}_w{self.channel}"
            f"_z{self.z_index:03d}_t{self.timepoint:03d}.tif"
        )

    @classmethod
    def parse(cls, filename: str) -> "PlaneKey":
        """Read a key back from :attr:`filename`.

        Raises
        ------
        ValueError
            The name does not have that form.
        """
        match = _FILENAME.fullmatch(filename)
        if match is None:
            raise ValueError(
                f"{filename!r} is not the name of an image plane; "
                "expected a name such as 'B02_s001_w1_z001_t001.tif'"
            )
        return cls(
            match["well"], int(match["site"]), match["channel"], int(match["z"]), int(match["t"])
        )


class PlaneStream(Protocol):
    """Images of all wells of a plate, read one at a time: what a function over a plate gets.

    Attributes
    ----------
    keys : tuple of PlaneKey
        Well, site, channel, z and time of each image, in the order in which they come.
    """

    keys: tuple[PlaneKey, ...]

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def __iter__(self) -> "Iterator[NDArray[Any]]":
        """Yield every image ``[Y, X]``, an array of its own each time; may be done again."""


def split_well(well: str) -> tuple[str, str]:
    """Return row letters and column digits of a well: ``"B02"`` gives ``("B", "02")``.

    Raises
    ------
    ValueError
        `well` is not of the form ``A01`` … ``AF48``.
    """
    if re.fullmatch(WELL_REGEX, well) is None:
        raise ValueError(f"{well!r} is not a well; expected row letters and two digits, e.g. 'B02'")
    row = well.rstrip("0123456789")
    return row, well[len(row) :]


def natural_key(text: str) -> tuple[Any, ...]:
    """Sort key that puts numbers in names in numeric order: that of natsort, for every text.

    Wells, sites and nearly all channels are plain letters and digits, for which it is not loaded:
    its tables would take more of a job's start than all of its sorting.
    """
    if text.isascii() and text.isalnum():
        *parts, last = _NUMBERS.split(text)
        numbered = (int(part) if part.isdecimal() else part for part in parts)
        return (*numbered, last) if last else tuple(numbered)
    from natsort import natsort_key

    return natsort_key(text)


def row_number(row: str) -> int:
    """Return the number of a row's letters, from 0: ``A`` is 0, ``Z`` 25, ``AA`` 26."""
    number = 0
    for letter in row:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def well_order(well: str) -> tuple[int, int]:
    """Sort key that puts wells in plate order: B02 before B10 before AA01."""
    row, column = split_well(well)
    return row_number(row), int(column)
