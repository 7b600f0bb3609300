"""``openhcs-core convert``."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Literal

import click

from openhcs_core.cli.plate_options import PlateReading, microscope_options
from openhcs_core.cli.progress import progress_bar
from openhcs_core.config import ZarrChunkStrategy, ZarrCompressor, ZarrConfig
from openhcs_core.plates import Conversion, ConvertOptions, convert_plate
from openhcs_core.storage import open_plate_source


@click.command()
@click.argument("plate")
@click.argument("out", type=click.Path(path_type=Path))
@microscope_options
@click.option(
    "--ome-zarr-version",
    "version",
    type=click.Choice(["0.5", "0.4"]),
    default="0.5",
    show_default=True,
    help="0.5 is on zarr v3, 0.4 on zarr v2 for older readers.",
)
@click.option(
    "--compressor",
    type=click.Choice([one.value for one in ZarrCompressor]),
    default=ZarrCompressor.ZSTD.value,
    show_default=True,
    help="All are lossless.",
)
@click.option("--wells", default="all", show_default=True, help="A01,B02 or A01:C12.")
@click.option("--exclude-wells", default="", help="A01,B02 or A01:C12.")
@click.option("--channel", "channels", multiple=True, help="Only this id; may be repeated.")
@click.option("--allow-missing", is_flag=True, help="Absent images become holes, all zero.")
@click.option("--workers", type=click.IntRange(1), help="Wells at once; as many as cores.")
@click.option("--no-check", is_flag=True, help="Do not read planes back.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def convert_command(
    plate: str,
    out: Path,
    *,
    reading: PlateReading,
    version: Literal["0.5", "0.4"],
    compressor: str,
    wells: str,
    exclude_wells: str,
    channels: tuple[str, ...],
    allow_missing: bool,
    workers: int | None,
    no_check: bool,
    as_json: bool,
) -> None:
    """Convert a raw PLATE to the OME-Zarr plate OUT, without loss.

    Pixels keep their type and values; every plane is read back and compared. Pixel size, z step,
    channels, stage positions and times are kept, and the plate's metadata files are copied into
    OUT/original_metadata. Nothing is written into PLATE. The same command again goes on where an
    earlier one ended.

    \b
    Example:
      openhcs-core convert data/demo/9987_Plate_3434 demo.ome.zarr
    """
    source = open_plate_source(plate)
    index = reading.choose(plate, source).handler.index(source)
    for warning in index.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    # without shards a well in one chunk would be decoded as a whole for each plane
    strategy = ZarrChunkStrategy.WELL if version == "0.5" else ZarrChunkStrategy.FILE
    options = ConvertOptions(
        zarr=ZarrConfig(
            ome_zarr_version=version,
            compressor=ZarrCompressor(compressor),
            chunk_strategy=strategy,
        ),
        wells=_selection(wells),
        exclude_wells=_selection(exclude_wells),
        channels=channels,
        allow_missing=allow_missing,
        workers=workers or len(os.sched_getaffinity(0)),
        check=not no_check,
    )
    started = time.monotonic()
    with progress_bar("converting", len(index.images)) as progress:
        done = convert_plate(index, source, out, options, progress)
    seconds = time.monotonic() - started
    print(_as_json(done, out, seconds) if as_json else _describe(done, out, seconds))


def _selection(text: str) -> str | tuple[str, ...]:
    if text == "all" or ":" in text:
        return text
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _describe(done: Conversion, out: Path, seconds: float) -> str:
    rate = done.pixel_bytes / 1e6 / seconds
    lines = [
        f"{out}: {len(done.wells)} wells, {len(done.already_there)} of them were there already",
        f"  written   {done.planes} planes, {done.pixel_bytes / 1e6:.1f} MB in {seconds:.1f} s",
        f"  speed     {rate:.0f} MB/s of pixels",
        f"  checked   {f'read back by {done.checked_by}' if done.checked_by else 'no'}",
        f"  metadata  {len(done.files)} files copied to {out}/original_metadata",
    ]
    return "\n".join([*lines, *(f"  left out  {text}" for text in done.left_out)])


def _as_json(done: Conversion, out: Path, seconds: float) -> str:
    return json.dumps(
        {
            "out": str(out),
            "wells": list(done.wells),
            "already_there": list(done.already_there),
            "planes": done.planes,
            "pixel_bytes": done.pixel_bytes,
            "seconds": seconds,
            "checked_by": done.checked_by or None,
            "metadata_files": list(done.files),
            "left_out": list(done.left_out),
        },
        indent=1,
        ensure_ascii=False,
    )
