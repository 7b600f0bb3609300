"""Which image files are planes, and which are projections or copies of a plane.

MetaXpress exports put three kinds of files into ``ZStep_n`` folders: planes of a
stack, projections (``ZStep_0``, or outside of the folders in database plates), and
copies: a channel without a stack has its only image repeated in every folder.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes.imagexpress.files import RawImage
from openhcs_core.microscopes.imagexpress.htd import Htd
from openhcs_core.microscopes.samples import HeaderReader, Sample
from openhcs_core.planes import PlaneKey

_FIELDS_TRIED = 5

_Field = dict[int, RawImage]
"""The files of one well, site, channel and time, by number of their ZStep folder."""


@dataclass
class Planes:
    """Files sorted into planes and the rest.

    Attributes
    ----------
    images : dict of PlaneKey to RawImage
        Each plane once, in no order.
    projections, copies : int
        Files left out, see `PlateIndex`.
    z_steps_um : list of float
        Distance of the planes, one a channel with a stack whose metadata tell it.
    warnings : list of str
        What had to be assumed.
    """

    images: dict[PlaneKey, RawImage] = field(default_factory=dict)
    projections: int = 0
    copies: int = 0
    z_steps_um: list[float] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, images: Iterable[RawImage], z_index: int | None = None) -> None:
        """Count each image as the plane `z_index`; when absent, as that of its folder.

        Raises
        ------
        InputDataError
            Another file claims to be that plane.
        """
        new, put = tuple.__new__, self.images.setdefault  # 1e5 times: no call that can be spared
        for image in images:
            well, site, channel, timepoint, z_folder, _, _, _ = image
            z = z_folder if z_index is None else z_index
            other = put(new(PlaneKey, (well, site, channel, z, timepoint)), image)
            if other is not image:
                raise same_plane_error(other, image)


def choose_planes(files: Iterable[RawImage], htd: Htd | None, headers: HeaderReader) -> Planes:
    """Sort the files of a plate into planes, projections and copies.

    Parameters
    ----------
    files : iterable of RawImage
        All images of the plate, no thumbnails.
    htd : Htd or None
        Says whether projections were to be stored.
    headers : HeaderReader
        Reads a few files of each channel, more only where file sizes are suspicious.

    Raises
    ------
    InputDataError
        Two files claim to be the same plane, or names and metadata contradict each other.
    """
    channels: dict[str, list[RawImage]] = {}
    for image in files:
        channels.setdefault(image.channel, []).append(image)
    planes = Planes()
    for channel in sorted(channels, key=int):
        _choose_channel(channels[channel], htd, headers, planes)
    return planes


def _choose_channel(
    files: list[RawImage], htd: Htd | None, headers: HeaderReader, planes: Planes
) -> None:
    folders = {image.z_folder for image in files}
    if max(folders) < 1:
        planes.add(files, 1)
        return
    fields = _group_fields(files)
    sampled = _sample_field(fields, headers)
    if _shows_one_plane(sampled):
        _check_other_fields(fields, headers)
        for images in fields:
            chosen = images[min((z for z in images if z > 0), default=min(images))]
            planes.add((chosen,), 1)
            planes.copies += len(images) - 1
        return
    if len(sampled) > 1 and not any(_identity(sample) for sample in sampled.values()):
        planes.warnings.append(
            f"channel {files[0].channel}: images without metadata cannot be told from copies; "
            "its ZStep folders are taken for planes"
        )
    if min(folders) < 1:
        _check_projection(files, htd, headers, planes)
    in_stack = files if min(folders) > 0 else [image for image in files if image.z_folder > 0]
    planes.add(in_stack)
    planes.projections += len(files) - len(in_stack)
    planes.z_steps_um.extend(_z_step(sampled))


def _group_fields(files: Iterable[RawImage]) -> list[_Field]:
    """Return the fields, the most complete first and in a fixed order."""
    fields: dict[tuple[str, int, int], _Field] = {}
    for image in files:
        well, site, _, timepoint, z_folder, _, _, _ = image
        images = fields.get((well, site, timepoint))
        if images is None:
            images = fields[well, site, timepoint] = {}
        other = images.setdefault(z_folder, image)
        if other is not image:
            raise same_plane_error(other, image)
    return [
        images for _, images in sorted(fields.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def same_plane_error(one: RawImage, other: RawImage) -> InputDataError:
    """Return the error for two files that claim to be one plane."""
    first, second = sorted((one.path, other.path))
    return InputDataError(
        f"{first} and {second} both claim to be well {one.well} site {one.site} "
        f"channel {one.channel} time {one.timepoint}; expected one acquisition of one plate. "
        "Give the folder of a single acquisition, or move one of the files away"
    )


def _sample_field(fields: Sequence[_Field], headers: HeaderReader) -> dict[int, Sample]:
    """Return headers of one of the most complete fields: first, second, middle and last folder."""
    tried: list[str] = []
    for images in fields[:_FIELDS_TRIED]:
        z_folders = sorted(images)
        picks = {*z_folders[:2], z_folders[len(z_folders) // 2], z_folders[-1]}
        samples: dict[int, Sample] = {}
        for z in sorted(picks):
            sample = headers.try_read(images[z].path)
            if sample is not None:
                samples[z] = sample
        if len(samples) >= min(2, len(images)):
            return samples
        tried.extend(images[z].path for z in sorted(picks))
    reasons = "; ".join(headers.problems[path] for path in tried if path in headers.problems)
    raise InputDataError(
        f"whether the ZStep folders hold planes or copies cannot be told: {reasons}; "
        "replace the damaged images"
    )


def _identity(sample: Sample) -> tuple[object, ...] | None:
    """Return what tells two exposures apart, None when the metadata do not say enough."""
    metadata = sample.metadata
    if metadata.acquired is None or metadata.stage_z_um is None:
        return None
    return (metadata.acquired, metadata.stage_z_um, metadata.projection, metadata.z_step)


def _shows_one_plane(samples: dict[int, Sample]) -> bool:
    identities = {_identity(sample) for sample in samples.values()}
    if len(samples) == 1:  # a lone projection in one folder is this channel's only plane
        return all(sample.metadata.projection is not None for sample in samples.values())
    return len(identities) == 1 and None not in identities


def _check_other_fields(fields: Sequence[_Field], headers: HeaderReader) -> None:
    """Make sure that no field holds different planes: copies have equal sizes, or equal headers."""
    for images in fields:
        if len({image.size_bytes for image in images.values()}) == 1:
            continue
        samples = {z: headers.try_read(image.path) for z, image in images.items()}
        readable = {z: sample for z, sample in samples.items() if sample is not None}
        if len({_identity(sample) for sample in readable.values()}) > 1:
            paths = ", ".join(images[z].path for z in readable)
            channel = next(iter(images.values())).channel
            raise InputDataError(
                f"channel {channel} has one plane copied into every ZStep folder for some images "
                f"but different ones in {paths}; expected the same for the whole plate. "
                "Export the plate again, or leave this well out by moving its images away"
            )


def _check_projection(
    files: Sequence[RawImage], htd: Htd | None, headers: HeaderReader, planes: Planes
) -> None:
    """Make sure that files outside of ZStep_1… are projections; refuse when nothing says so."""
    outside = (image for image in files if image.z_folder < 1)
    candidates = nsmallest(_FIELDS_TRIED, outside, key=lambda image: image.path)
    samples = [headers.try_read(image.path) for image in candidates]
    metadata = [sample.metadata for sample in samples if sample is not None]
    if any(entry.projection is not None for entry in metadata):
        return
    if htd is not None and htd.has_projection:
        return
    first = candidates[0]
    if htd is None and all(entry.acquired is None for entry in metadata):
        planes.warnings.append(
            f"channel {first.channel}: {first.path} and its like are taken for projections, "
            "since stacks begin at ZStep_1; no metadata confirm it"
        )
        return
    raise InputDataError(
        f"{first.path} lies beside the planes of its stack but neither its metadata nor an HTD "
        "file say that it is a projection; expected planes in ZStep_1 and up. "
        "Move these files away, or rename the folders to begin at ZStep_1"
    )


def _z_step(samples: dict[int, Sample]) -> list[float]:
    """Return the distance of planes: as it was set, else as the stage moved; or nothing."""
    for sample in samples.values():
        if sample.metadata.projection_step_um:
            return [abs(sample.metadata.projection_step_um)]
    stage = [
        (z, sample.metadata.stage_z_um)
        for z, sample in samples.items()
        if z > 0 and sample.metadata.stage_z_um is not None
    ]
    if len(stage) < 2 or stage[0][1] == stage[-1][1]:
        return []
    (first, bottom), (last, top) = stage[0], stage[-1]
    return [round(abs(top - bottom) / (last - first), 4)]
