"""``openhcs-core init``."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from openhcs_core.cli.plate_options import PlateReading, microscope_options
from openhcs_core.errors import ConfigError, OpenHCSError, collecting, printable, raise_all
from openhcs_core.microscopes import HandlerChoice, PlateIndex, check_has_images
from openhcs_core.plates import StarterPlate, name_plates, starter_config, starter_pipeline
from openhcs_core.session import DEFAULT_CONFIG, compile_workflow, write_files
from openhcs_core.storage import open_plate_source


@click.command()
@click.argument("plates", nargs=-1, required=True, metavar="PLATE…")
@microscope_options
@click.option("--config", default=DEFAULT_CONFIG, show_default=True, help="Written.")
@click.option("--pipeline", default="config/pipeline.yaml", show_default=True, help="Written.")
@click.option("--results", default="results", show_default=True, help="Where results will go.")
@click.option("--force", is_flag=True, help="Overwrite config and pipeline that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def init_command(
    plates: tuple[str, ...],
    *,
    reading: PlateReading,
    config: str,
    pipeline: str,
    results: str,
    force: bool,
    as_json: bool,
) -> None:
    """Look at PLATE…, and write a config and a pipeline to begin with.

    Prints what was found. Config and pipeline compile and run as they are, and say in comments
    what to change. Files that are there are overwritten with --force only.

    \b
    Examples:
      openhcs-core init data/demo/9987_Plate_3434
      openhcs-core init plates/* --config config/screen.yaml --pipeline config/screen_steps.yaml
    """
    there = [path for path in (config, pipeline) if Path(path).exists()]
    if there and not force:
        raise ConfigError(
            f"{' and '.join(there)} {'is' if len(there) == 1 else 'are'} there already; --force "
            "overwrites, --config and --pipeline name other files"
        )
    found = _look(name_plates(plates), reading)
    starters = [
        StarterPlate(name, path, index, reading.generic, reading.ome_zarr)
        for name, (path, _, index) in found.items()
    ]
    files = {
        config: starter_config(starters, pipeline, results),
        pipeline: starter_pipeline([plate.index for plate in starters]),
    }
    write_files(files)
    compile_workflow(config)
    if as_json:
        print(json.dumps({"plates": _as_data(found), "written": list(files)}, indent=1))
        return
    _print_table(found)
    for name, (_, _, index) in found.items():
        for warning in index.warnings:
            print(printable(f"warning: plate {name!r}: {warning}"), file=sys.stderr)
    print(f"wrote {config} and {pipeline}; see what would run: {_command(config)}", file=sys.stderr)


_Found = Mapping[str, tuple[str, HandlerChoice, PlateIndex]]


def _look(named: Mapping[str, str], reading: PlateReading) -> _Found:
    """Index every plate; raise what is wrong with any of them."""
    found = {}
    errors: list[OpenHCSError] = []
    for name, path in named.items():
        with collecting(errors):
            source = open_plate_source(path)
            choice = reading.choose(path, source)
            index = choice.handler.index(source)
            check_has_images(index)
            found[name] = (path, choice, index)
    raise_all("init", errors)
    return found


def _command(config: str) -> str:
    """Return the command that comes next."""
    snakefile = Path("Snakefile")
    ours = Path(__file__).parents[2] / "Snakefile"
    words = ["snakemake", "-n"]
    if not snakefile.exists():
        words += ["--snakefile", str(ours) if ours.exists() else "PATH/TO/Snakefile"]
    if config != DEFAULT_CONFIG:
        words += ["--config", f"config={config}"]
    return " ".join(words)


def _row(name: str, choice: HandlerChoice, index: PlateIndex) -> dict[str, str]:
    keys = [image.key for image in index.images]
    channels = (
        f"{channel.id} {channel.name}, {channel.shape[0]} x {channel.shape[1]} {channel.dtype}"
        for channel in index.channels
    )
    why = "" if choice.reason is None else f", by {choice.reason}"
    return {
        "plate": name,
        "microscope": f"{index.microscope}{why}",
        "wells": _counted(index.wells),
        "sites": _counted([str(site) for site in index.sites]),
        "channels": "\n".join(channels),
        "z": str(len({key.z_index for key in keys})),
        "times": str(len({key.timepoint for key in keys})),
        "images": str(len(keys)),
        "missing": str(len(index.missing)),
        "px": "unknown" if index.pixel_size_um is None else f"{index.pixel_size_um:g} µm",
    }


def _counted(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)}: {names[0]} to {names[-1]}"


def _print_table(found: _Found) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [_row(name, choice, index) for name, (_, choice, index) in found.items()]
    table = Table(show_lines=len(rows) > 1)
    for column in rows[0]:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row.values()))
    # what is not a terminal has no width: wide enough that little is folded
    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(table)


def _as_data(found: _Found) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "path": path,
            "microscope": index.microscope,
            "reason": choice.reason,
            "wells": list(index.wells),
            "sites": list(index.sites),
            "channels": index.channel_names,
            "planes": len(index.images),
            "missing": [key.filename for key in index.missing],
            "pixel_size_um": index.pixel_size_um,
            "z_step_um": index.z_step_um,
            "warnings": list(index.warnings),
        }
        for name, (path, choice, index) in found.items()
    ]
