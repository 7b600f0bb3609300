"""``openhcs-core rocrate``."""

import json
from pathlib import Path

import click

from openhcs_core.session import DEFAULT_CONFIG
from openhcs_core.session.crate import CrateOptions, write_crate


@click.command()
@click.argument("folder", metavar="RESULTS/PLATE", type=click.Path(path_type=Path))
@click.option("--config", default=DEFAULT_CONFIG, show_default=True, help="What they are of.")
@click.option("--license", "license_url", metavar="URL", help="Licence of the results.")
@click.option("--person", metavar="NAME", help="Who ran it.")
@click.option("--orcid", metavar="URL", help="Of that person: https://orcid.org/…")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def rocrate_command(
    folder: Path,
    *,
    config: str,
    license_url: str | None,
    person: str | None,
    orcid: str | None,
    as_json: bool,
) -> None:
    """Describe a plate's results as a Workflow Run RO-Crate.

    Writes ro-crate-metadata.json into RESULTS/PLATE, and into ro-crate/ beside it config,
    pipeline, functions, workflow and the list of images that were read. With these
    'openhcs-core rerun' computes the results again and compares them. The results must be
    finished, and be what the config gives.

    \b
    Examples:
      openhcs-core rocrate results/demo
      openhcs-core rocrate results/demo --license https://creativecommons.org/licenses/by/4.0/
    """
    crate = write_crate(folder, config, CrateOptions(license_url, person, orcid))
    record = crate.record
    if as_json:
        counts = {
            "metadata": str(crate.path),
            "files": len(record.files),
            "inputs": len(record.inputs),
            "images": [images.path for images in record.images],
            "left_out": list(record.left_out),
        }
        print(json.dumps(counts, indent=1))
        return
    print(
        f"{crate.path}: {len(record.files)} files, {len(record.images)} sets of images, made from "
        f"{len(record.inputs)} images of the plate"
    )
