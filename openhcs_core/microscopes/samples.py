"""A few headers of a plate: enough to know what each channel's images look like."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.imagexpress.metaseries import (
    NO_METADATA,
    MetaSeries,
    parse_metaseries,
)
from openhcs_core.microscopes.plate_index import ChannelInfo, ImageFile
from openhcs_core.microscopes.tiff_header import (
    TiffHeader,
    UnsupportedImageError,
    parse_tiff_header,
)
from openhcs_core.storage import PlateSource

_SAMPLE_SIZES = (3, 9)
"""Headers read of each channel, and how many when those do not agree."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Header and metadata of one image file."""

    header: TiffHeader
    metadata: MetaSeries


class HeaderReader:
    """Reads headers of one plate, each file once, and keeps what went wrong.

    Attributes
    ----------
    problems : dict of str to str
        Path of each unreadable file and why.
    """

    def __init__(self, source: PlateSource) -> None:
        self._source = source
        self._samples: dict[str, Sample | None] = {}
        self.problems: dict[str, str] = {}

    def try_read(self, path: str) -> Sample | None:
        """Return the sample of `path` (relative to the plate), or None when it is unreadable.

        Raises
        ------
        UnsupportedImageError
            The file is readable but not a single grey-scale plane: so will the others be.
        """
        if path not in self._samples:
            self._samples[path] = self._read(path)
        return self._samples[path]

    def _read(self, path: str) -> Sample | None:
        where = self._source.where(path)
        try:
            with self._source.open(path) as file:
                header = parse_tiff_header(file, where)
            metadata = parse_metaseries(header.description, where)
        except UnsupportedImageError:
            raise
        except InputDataError as error:
            self.problems[path] = str(error)
            return None
        except OSError as error:
            self.problems[path] = f"{where} cannot be read: {error.strerror or error}"
            return None
        return Sample(header, metadata)

    @property
    def samples(self) -> dict[str, Sample]:
        """Return what was readable of the files so far, by path."""
        return {path: sample for path, sample in self._samples.items() if sample is not None}

    @property
    def metadata(self) -> list[MetaSeries]:
        """Metadata of every file read so far, in order of path; empty ones left out."""
        return [
            sample.metadata
            for _, sample in sorted(self._samples.items())
            if sample is not None and sample.metadata != NO_METADATA
        ]


def describe_channels(
    images: Sequence[ImageFile], names: Mapping[str, str], headers: HeaderReader
) -> tuple[tuple[ChannelInfo, ...], tuple[str, ...]]:
    """Find shape and dtype of each channel from a few of its images.

    Parameters
    ----------
    images : sequence of ImageFile
        All planes of the plate.
    names : mapping of str to str
        Channel id to display name; ``w<id>`` stands in for those it lacks.
    headers : HeaderReader
        Where the images are.

    Returns
    -------
    channels : tuple of ChannelInfo
        In natural order of id.
    warnings : tuple of str
        Sampled images that differ from the rest of their channel.

    Raises
    ------
    InputDataError
        No sampled image of a channel is readable, or no form is the usual one.
    """
    by_channel: defaultdict[str, list[ImageFile]] = defaultdict(list)
    for image in images:
        by_channel[image[0][2]].append(image)
    channels, warnings = [], []
    for channel in sorted(by_channel, key=int):
        (shape, dtype), odd = _usual_form(channel, by_channel[channel], headers)
        channels.append(ChannelInfo(channel, names.get(channel, f"w{channel}"), dtype, shape))
        warnings.extend(odd)
    return tuple(channels), tuple(warnings)


_Form = tuple[tuple[int, int], str]


def _usual_form(
    channel: str, images: Sequence[ImageFile], headers: HeaderReader
) -> tuple[_Form, list[str]]:
    for size in _SAMPLE_SIZES:
        paths = [image.path for image in _spread(images, size)]
        samples = {path: headers.try_read(path) for path in paths}
        forms = {
            path: (sample.header.shape, sample.header.dtype)
            for path, sample in samples.items()
            if sample is not None
        }
        counts = Counter(forms.values()).most_common(2)
        if counts and (len(counts) == 1 or counts[0][1] > counts[1][1]):
            usual = counts[0][0]
            return usual, [
                f"{path} has {_say(form)} but channel {channel} has {_say(usual)}"
                for path, form in forms.items()
                if form != usual
            ]
    raise _no_form_error(channel, forms, {path: headers.problems.get(path, "") for path in paths})


def _spread(images: Sequence[ImageFile], size: int) -> list[ImageFile]:
    """Return up to `size` images, evenly spread, first and last among them."""
    if len(images) <= size:
        return list(images)
    return [images[i * (len(images) - 1) // (size - 1)] for i in range(size)]


def _say(form: _Form) -> str:
    (height, width), dtype = form
    return f"{height} x {width} px {dtype}"


def _no_form_error(
    channel: str, forms: Mapping[str, _Form], problems: Mapping[str, str]
) -> InputDataError:
    if not forms:
        reasons = "; ".join(problem for problem in problems.values() if problem)
        return InputDataError(
            f"channel {channel}: none of the sampled images is readable: {reasons}"
        )
    found = ", ".join(f"{path} has {_say(form)}" for path, form in forms.items())
    return InputDataError(
        f"channel {channel}: its images differ in form and none is the usual one: {found}; "
        "expected one size and pixel type a channel. Replace the damaged images"
    )
