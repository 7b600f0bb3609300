"""A config and a pipeline to begin with, for plates that were just looked at."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from openhcs_core.config import GenericConfig, ZarrPlateConfig, check_name
from openhcs_core.errors import ConfigError
from openhcs_core.microscopes import PlateIndex

_NUCLEI = re.compile(r"dapi|hoechst|h33342|\bdna\b|nuc|draq5|to-?pro|405", re.IGNORECASE)
_NOT_ALLOWED = re.compile(r"[^\w .+()-]+")


@dataclass(frozen=True, slots=True)
class StarterPlate:
    """A plate of the config that is to be written.

    Attributes
    ----------
    name, path : str
        Its name in the config, and what the user typed.
    index : PlateIndex
        What it consists of.
    generic : GenericConfig or None
        How its file names were read, if no handler of an instrument did.
    ome_zarr : ZarrPlateConfig or None
        Which images of an OME-Zarr plate were taken, if not all.
    """

    name: str
    path: str
    index: PlateIndex
    generic: GenericConfig | None = None
    ome_zarr: ZarrPlateConfig | None = None


def plate_name(path: str) -> str:
    """Return a name for a plate from its folder's, with what names cannot have replaced.

    Raises
    ------
    ConfigError
        Nothing is left.
    """
    folder = PurePath(path.rstrip("/")).name.removesuffix(".zarr").removesuffix(".ome")
    name = _NOT_ALLOWED.sub("_", folder).strip(" .")
    try:
        return check_name(name)
    except ValueError as error:
        raise ConfigError(f"{path}: its folder gives no name for a plate: {error}") from error


def name_plates(paths: Sequence[str]) -> dict[str, str]:
    """Return the path of each plate by its name.

    Raises
    ------
    ConfigError
        Two plates have the same name.
    """
    named: dict[str, str] = {}
    for path in paths:
        name = plate_name(path)
        if name in named:
            raise ConfigError(
                f"{named[name]} and {path} would both be plate {name!r}; rename one of the folders"
            )
        named[name] = path
    return named


def starter_config(plates: Sequence[StarterPlate], pipeline: str, results: str) -> str:
    """Return the text of a config that compiles as it is."""
    lines = [
        "# The plates to work on and how. A key that is not here has its default; config/README.md",
        "# and workflow/schemas/config.schema.json list all of them.",
        "plates:",
    ]
    for plate in plates:
        lines += _plate_lines(plate)
    lines += [
        "",
        f"pipeline: {_quoted(pipeline)}  # what is done with each well",
        f"results: {_quoted(results)}  # results/<plate>/ has tables, images and reports",
        "",
        "# failed_wells: report  # a failed well is named at the end, the others finish",
        "# functions: [workflow/functions/mine.py]  # functions of your own, as mine:…",
        "# storage: {cache_gb: 50}  # images between steps; deleting results/.cache is always safe",
    ]
    return "\n".join(lines) + "\n"


def _plate_lines(plate: StarterPlate) -> list[str]:
    index, missing = plate.index, len(plate.index.missing)
    wells = f"{index.wells[0]} to {index.wells[-1]}" if len(index.wells) > 1 else index.wells[0]
    lines = [
        f"  {_quoted(plate.name)}:",
        f"    path: {_quoted(plate.path)}",
        f"    microscope: {index.microscope}",
        f'    wells: all  # {len(index.wells)}: {wells}; or [A01, B02], or "A01:C12"',
    ]
    if plate.generic is not None:
        own = plate.generic.model_dump(exclude_defaults=True)
        lines.append("    generic:")
        lines += [f"      {key}: {_quoted(str(value))}" for key, value in own.items()]
    if plate.ome_zarr is not None:
        lines.append(f"    ome_zarr: {_zarr_choice(plate.ome_zarr)}")
    if missing:
        lines += [
            f"    # {missing} images are missing and become holes; 'error' refuses the plate",
            "    missing_images: allow",
        ]
    return [
        *lines,
        "    # exclude_wells: [A01]",
        "    # plate_map: plate_map.csv  # columns well, treatment, dose…: joined into every table",
    ]


def _zarr_choice(choice: ZarrPlateConfig) -> str:
    parts = [] if choice.acquisition is None else [f"acquisition: {choice.acquisition}"]
    if choice.images:
        parts.append(f"images: [{', '.join(map(_quoted, choice.images))}]")
    return f"{{{', '.join(parts)}}}"


def starter_pipeline(indexes: Sequence[PlateIndex]) -> str:
    """Return the text of a pipeline that compiles and runs on all of these plates.

    It counts on the channel that looks like a stain of nuclei, and measures the others.
    """
    channels = _common_channels(indexes)
    nuclei = _nuclear_channel(channels)
    has_stack = any(len({image.key.z_index for image in index.images}) > 1 for index in indexes)
    lines = [
        "# What is done with each well, step after step. `openhcs-core functions list` has all",
        "# functions, `openhcs-core functions show NAME` their parameters.",
        "name: starter",
        "steps:",
    ]
    if has_stack:
        lines += [
            "  - name: flatten  # the brightest value of each pixel through the stack",
            "    func: {openhcs:max_projection: {}}",
            "    variable_components: [z_index]",
            "",
        ]
    lines += [
        "  - name: count",
        "    group_by: channel  # keys below are ids of channels",
        "    func:",
    ]
    for channel, name in channels.items():
        lines.append(f"      {_quoted(channel)}: {_function(channel == nuclei)}  # {name}")
    lines.append("    keep: true  # images and outlines of this step are written to results")
    return "\n".join(lines) + "\n"


def _function(is_nuclear: bool) -> str:  # noqa: FBT001
    if is_nuclear:
        return "{openhcs:count_cells_single_channel: {detection_method: watershed, min_area: 20}}"
    return "openhcs:measure_intensity"


def _common_channels(indexes: Sequence[PlateIndex]) -> Mapping[str, str]:
    """Return the channels that all plates have, id to names for a comment.

    Raises
    ------
    ConfigError
        Plates have different ones: no pipeline that names channels is right for all.
    """
    named: dict[str, str] = {}
    for index in indexes:
        if index.channel_names.keys() != indexes[0].channel_names.keys():
            raise ConfigError(
                f"{indexes[0].plate_path} has channels {', '.join(indexes[0].channel_names)}, "
                f"{index.plate_path} has {', '.join(index.channel_names)}; make a config for each "
                "of them with --config and --pipeline"
            )
    for channel in indexes[0].channel_names:
        names = dict.fromkeys(index.channel_names[channel] for index in indexes)
        named[channel] = _comment(", ".join(names))
    return named


def _comment(text: str) -> str:
    """Return text that ends with its line."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _nuclear_channel(channels: Mapping[str, str]) -> str:
    """Return the channel whose name says nuclei, else the first."""
    stained = [id_ for id_, name in channels.items() if _NUCLEI.search(name)]
    return (stained or list(channels))[0]


def _quoted(text: str) -> str:
    """Return text as YAML reads it back, with quotes only where they are needed."""
    if re.fullmatch(r"([A-Za-z_]|\.{0,2}/)[\w./-]*", text, re.ASCII) and text.lower() not in _WORDS:
        return text
    return f'"{"".join(map(_escaped, text))}"'


def _escaped(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"


_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
