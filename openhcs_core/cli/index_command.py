"""``openhcs-core index``: what a plate folder holds."""

import json
import os
import sys
from dataclasses import asdict

import click

from openhcs_core.cli.plate_options import PlateReading, microscope_options
from openhcs_core.cli.progress import progress_bar
from openhcs_core.errors import EXIT_DATA, printable
from openhcs_core.microscopes import ChannelInfo, PlateIndex
from openhcs_core.plates import Inspection, inspect_plate
from openhcs_core.storage import PlateSource, open_plate_source


@click.command()
@click.argument("plate")
@microscope_options
@click.option("--deep", is_flag=True, help="Open every image.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
@click.pass_context
def index_command(
    context: click.Context,
    plate: str,
    *,
    reading: PlateReading,
    deep: bool,
    as_json: bool,
) -> None:
    """Show wells, sites, channels, planes and missing images of PLATE; nothing is written.

    PLATE is a folder or a URL such as s3://bucket/plate.

    --deep opens every image: unreadable ones and those of another size or pixel type than their
    channel are named, and the command ends in 3; images without a single count are a warning;
    planes that are one image copied through a stack count once.

    \b
    Examples:
      openhcs-core index data/demo/9987_Plate_3434
      openhcs-core index images --pattern '{well}_{site}_{channel}.tif'
      openhcs-core index plate.zarr --image 0_registered
      openhcs-core index data/demo/9987_Plate_3434 --deep
    """
    source = open_plate_source(plate)
    choice = reading.choose(plate, source)
    index = choice.handler.index(source)
    found = _inspect(index, source) if deep else None
    index = index if found is None else found.index
    for warning in index.warnings:
        print(printable(f"warning: {warning}"), file=sys.stderr)
    if as_json:
        print(json.dumps(_as_data(index) | _inspection_data(found), indent=1))
    else:
        lines = [_describe(index, choice.reason), *_describe_inspection(found)]
        print(printable("\n".join(lines)))
    if found is not None and found.problems:
        context.exit(EXIT_DATA)


def _inspect(index: PlateIndex, source: PlateSource) -> Inspection:
    """Open every image, as many at once as there are cores."""
    with progress_bar("opening", len(index.images)) as progress:
        return inspect_plate(index, source, len(os.sched_getaffinity(0)), progress)


def _inspection_data(found: Inspection | None) -> dict[str, object]:
    if found is None:
        return {}
    return {
        "unusable": [asdict(problem) for problem in found.problems],
        "blank": list(found.blank),
        "opened_bytes": found.size_bytes,
    }


def _describe_inspection(found: Inspection | None) -> list[str]:
    if found is None:
        return []
    count = len(found.index.images) - len(found.problems)
    lines = [f"  opened    {found.size_bytes / 1e6:.1f} MB of pixels, {len(found.blank)} all zero"]
    lines += [f"  unusable  {problem.path}: {problem.reason}" for problem in found.problems]
    return [*lines, f"  usable    {count} of {len(found.index.images)} planes"]


def _as_data(index: PlateIndex) -> dict[str, object]:
    return {
        "plate": index.plate_path,
        "microscope": index.microscope,
        "wells": list(index.wells),
        "sites": list(index.sites),
        "channels": [
            {
                "id": c.id,
                "name": c.name,
                "dtype": c.dtype,
                "shape": list(c.shape),
                "excitation_nm": c.excitation_nm,
                "emission_nm": c.emission_nm,
            }
            for c in index.channels
        ],
        "pixel_size_um": index.pixel_size_um,
        "z_step_um": index.z_step_um,
        "grid_dimensions": index.grid_dimensions,
        "site_grid": {str(site): list(place) for site, place in index.site_grid.items()},
        "planes": len(index.images),
        "projections": index.projections,
        "copies": index.copies,
        "missing": [key.filename for key in index.missing],
        "surplus": list(index.surplus),
        "acquisitions": {
            key.filename: acquisition._asdict() for key, acquisition in index.acquisitions.items()
        },
        "images": {image.key.filename: image.path for image in index.images},
    }


def _describe(index: PlateIndex, reason: str | None) -> str:
    why = "" if reason is None else f", by {reason}"
    lines = [
        f"{index.plate_path}: {index.microscope}{why}",
        f"  wells     {len(index.wells)}: {_few(index.wells)}",
        f"  sites     {_say_sites(index)}",
    ]
    times = {image.key.timepoint for image in index.images}
    if len(times) > 1:
        lines.append(f"  times     {_few(tuple(map(str, sorted(times))))}")
    for channel in index.channels:
        of_channel = [image for image in index.images if image.key.channel == channel.id]
        z_count = len({image.key.z_index for image in of_channel})
        height, width = channel.shape
        lines.append(
            f"  channel   {channel.id} {channel.name}: {len(of_channel)} planes, {z_count} z, "
            f"{height} x {width} {channel.dtype}{_say_light(channel)}"
        )
    pixel = "unknown" if index.pixel_size_um is None else f"{index.pixel_size_um} µm"
    step = "unknown" if index.z_step_um is None else f"{index.z_step_um} µm"
    lines.append(f"  pixel     {pixel}, z step {step}")
    lines.append(
        f"  planes    {len(index.images)} (left out: {index.projections} projections, "
        f"{index.copies} copies)"
    )
    if index.missing:
        names = _few(tuple(key.filename for key in index.missing))
        lines.append(f"  missing   {len(index.missing)}: {names}")
    if index.surplus:
        lines.append(f"  surplus   {len(index.surplus)}: {_few(index.surplus)}")
    return "\n".join(lines)


def _say_grid(index: PlateIndex) -> str:
    if index.grid_dimensions is not None:
        return f" in {index.grid_dimensions[0]} rows, {index.grid_dimensions[1]} columns"
    if index.site_grid:
        places = [f"{site} at {row},{column}" for site, (row, column) in index.site_grid.items()]
        return f"; row,column: {_few(tuple(places))}"
    return ""


def _say_sites(index: PlateIndex) -> str:
    if not index.sites:
        return "none"
    return f"{_few(tuple(map(str, index.sites)))}{_say_grid(index)}"


def _say_light(channel: ChannelInfo) -> str:
    parts = (("excitation", channel.excitation_nm), ("emission", channel.emission_nm))
    return "".join(f", {name} {value:g} nm" for name, value in parts if value is not None)


def _few(items: tuple[str, ...], most: int = 12) -> str:
    shown = ", ".join(items[:most])
    return f"{shown}, … ({len(items)} in all)" if len(items) > most else shown
