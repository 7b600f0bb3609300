"""Raw plates to OME-Zarr: the same pixels, all that is known of them, and the files it came from.

Wells are converted on their own, at once, and a well that is finished stays: a conversion that
ended goes on where it was. The plate's own metadata are written when all wells are there, so that
half a conversion is no plate to anybody.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

from openhcs_core.config import ZarrConfig
from openhcs_core.errors import ConfigError, InputDataError, OpenHCSError, raise_all, shortened
from openhcs_core.microscopes import PlateIndex, check_has_images, select_wells
from openhcs_core.plates.original_files import ORIGINAL_FOLDER, copy_metadata_files
from openhcs_core.plates.well_conversion import PlateForm, WellConverter, WellDone
from openhcs_core.storage import (
    ChannelMetadata,
    ImageMetadata,
    LocalPlate,
    PlateLayout,
    PlateSource,
    write_plate_metadata,
)

_SUFFIX = ".zarr"


@dataclass(frozen=True, slots=True)
class ConvertOptions:
    """How to convert.

    Attributes
    ----------
    zarr : ZarrConfig
        Chunks, codec, pyramid and version.
    wells, exclude_wells : str or tuple of str
        As in the config.
    channels : tuple of str
        Ids of the channels to convert; none for all.
    allow_missing : bool
        Absent images become holes; otherwise they are an error.
    workers : int
        Wells to convert at once.
    check : bool
        Read every plane back and compare it with what was read of the plate.
    """

    zarr: ZarrConfig = field(default_factory=ZarrConfig)
    wells: str | tuple[str, ...] = "all"
    exclude_wells: str | tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    allow_missing: bool = False
    workers: int = 2
    check: bool = True


@dataclass(frozen=True, slots=True)
class Conversion:
    """What came of it.

    Attributes
    ----------
    wells : tuple of str
        All wells of the result, in plate order.
    already_there : tuple of str
        Those that an earlier conversion had finished.
    planes : int
        Planes written now.
    pixel_bytes : int
        Pixels written now, before compression.
    checked_by : str
        What read the planes back; empty when they were not.
    files : tuple of str
        Metadata files of the plate that were copied.
    left_out : tuple of str
        What of the plate's folder is not in the result, for people.
    """

    wells: tuple[str, ...]
    already_there: tuple[str, ...]
    planes: int
    pixel_bytes: int
    checked_by: str
    files: tuple[str, ...]
    left_out: tuple[str, ...]


def convert_plate(
    index: PlateIndex,
    source: PlateSource,
    out: Path,
    options: ConvertOptions,
    progress: Callable[[int], None] = lambda _: None,
) -> Conversion:
    """Convert a plate.

    Parameters
    ----------
    index : PlateIndex
        The plate.
    source : PlateSource
        Where its files are; nothing is written there.
    out : Path
        ``<name>.ome.zarr``: new, empty, or of an earlier conversion of this plate.
    options : ConvertOptions
        How.
    progress : callable
        Called with the number of planes that are done since the last call.

    Raises
    ------
    ConfigError
        `out` is something else, or lies in the plate.
    ErrorGroup
        Images are missing or damaged; all other wells are converted.
    InputDataError
        What cannot be one OME-Zarr plate.
    """
    check_has_images(index)
    index = _chosen_channels(index, options.channels)
    wells = select_wells(index, options.wells, options.exclude_wells)
    _check_missing(index, wells, options)
    wells = tuple(well for well in wells if well in set(index.wells))
    _check_forms(index)
    _check_out(source, out)
    metadata = image_metadata(index)
    form = PlateForm(index, source, metadata, options.zarr, is_checked=options.check)
    converter = WellConverter(form, out)
    done = _convert_wells(converter, wells, options.workers, progress)
    files, left_out = copy_metadata_files(source, index, out)
    layout = PlateLayout(
        Path(index.plate_path).name, wells, len(metadata.sites), options.zarr.ome_zarr_version
    )
    write_plate_metadata(out, layout)
    return Conversion(
        wells=wells,
        already_there=tuple(well for well in wells if not done[well].is_new),
        planes=sum(one.planes for one in done.values() if one.is_new),
        pixel_bytes=sum(one.pixel_bytes for one in done.values() if one.is_new),
        checked_by=converter.reader_name if options.check else "",
        files=files,
        left_out=left_out,
    )


def image_metadata(index: PlateIndex) -> ImageMetadata:
    """Return the axes of a plate's images as OME-Zarr."""
    keys = [image.key for image in index.images]
    return ImageMetadata(
        channels=tuple(ChannelMetadata(channel.id, channel.name) for channel in index.channels),
        z_indices=tuple(sorted({key.z_index for key in keys})),
        timepoints=tuple(sorted({key.timepoint for key in keys})),
        sites=index.sites,
        pixel_size_um=index.pixel_size_um,
        z_step_um=index.z_step_um,
    )


def _chosen_channels(index: PlateIndex, channels: tuple[str, ...]) -> PlateIndex:
    if not channels:
        return index
    known = index.channel_names
    unknown = [channel for channel in channels if channel not in known]
    if unknown:
        listed = ", ".join(f"{id_} ({name})" for id_, name in known.items())
        raise ConfigError(f"no channel {', '.join(unknown)}; the plate has {listed}")
    return replace(
        index,
        images=tuple(image for image in index.images if image.key.channel in channels),
        channels=tuple(channel for channel in index.channels if channel.id in channels),
        missing=tuple(key for key in index.missing if key.channel in channels),
    )


def _check_missing(index: PlateIndex, wells: tuple[str, ...], options: ConvertOptions) -> None:
    missing = [key.filename for key in index.missing if key.well in wells]
    if missing and not options.allow_missing:
        raise InputDataError(
            f"{index.plate_path}: {len(missing)} images are missing: {shortened(missing)}; copy "
            "them, leave the wells out (--exclude-wells), or accept holes (--allow-missing)"
        )


def _check_forms(index: PlateIndex) -> None:
    """Refuse channels that cannot be one array."""
    forms = {(channel.shape, channel.dtype) for channel in index.channels}
    if len(forms) > 1:
        found = "; ".join(
            f"{channel.id} ({channel.name}) {channel.shape[0]} x {channel.shape[1]} {channel.dtype}"
            for channel in index.channels
        )
        raise InputDataError(
            f"{index.plate_path}: channels differ in size or pixel type: {found}. An OME-Zarr "
            "image has one of each: convert those that agree with --channel ID, each group into "
            "a plate of its own"
        )


def _check_out(source: PlateSource, out: Path) -> None:
    if not out.name.endswith(_SUFFIX):
        raise ConfigError(f"{out}: expected a name that ends in .ome.zarr, as viewers do")
    if isinstance(source, LocalPlate) and out.resolve().is_relative_to(Path(source.name).resolve()):
        raise ConfigError(f"{out} lies in the plate {source.name}, where nothing is written")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; expected a new folder")
    is_ours = (out / ORIGINAL_FOLDER).is_dir()
    if out.is_dir() and not is_ours and any(out.iterdir()):
        raise ConfigError(
            f"{out} is there already, and no conversion made it; give another name, or remove it"
        )


def _convert_wells(
    converter: WellConverter,
    wells: tuple[str, ...],
    workers: int,
    progress: Callable[[int], None],
) -> Mapping[str, WellDone]:
    """Convert all wells, also when some cannot be; then raise what is wrong with these."""
    done: dict[str, WellDone] = {}
    errors: list[OpenHCSError] = []
    with ThreadPoolExecutor(workers, "converter") as pool:
        waiting: dict[Future[WellDone], str] = {}
        try:
            for well in wells:
                waiting[pool.submit(converter.convert, well, progress)] = well
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    well = waiting.pop(future)
                    try:
                        done[well] = future.result()
                    except (InputDataError, ConfigError) as error:
                        errors.append(error)
                        error.add_note(f"well {well}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    raise_all(f"{converter.out}: {len(done)} of {len(wells)} wells are converted", errors)
    return done
