"""``openhcs-core rerun``."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from openhcs_core.cli.interrupts import all_as_ctrl_c
from openhcs_core.cli.reasons_text import render_difference
from openhcs_core.session.crate import Comparison, compare, prepare, read_crate, run

_SHOWN = 20


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("crate", type=click.Path(path_type=Path))
@click.argument("arguments", nargs=-1, metavar="[-- SNAKEMAKE ARGUMENTS]")
@click.option("--plate", "plate_path", metavar="PATH", help="Where the plate's images are now.")
@click.option("--into", type=click.Path(path_type=Path), help="Fresh folder.  [PLATE.rerun]")
@click.option("--cores", default="all", show_default=True, help="For snakemake.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
@click.pass_context
def rerun_command(
    context: click.Context,
    crate: Path,
    arguments: tuple[str, ...],
    *,
    plate_path: str | None,
    into: Path | None,
    cores: str,
    as_json: bool,
) -> None:
    """Repeat the run that CRATE describes, and compare the results with those recorded.

    CRATE is the folder of a plate's results that 'openhcs-core rocrate' described, or a copy of
    it; images and tables may be missing there. Config, pipeline, functions and workflow come out
    of the crate and run here with all that they may do: take crates only from whom you trust. The
    plate's images are read where --plate says, and nothing is taken from a cache.

    Digests of everything that was read and made are compared. Ends in 0 when all are the same,
    also when versions are others; in 3 when not; else as the job that failed.

    \b
    Examples:
      openhcs-core rerun results/demo
      openhcs-core rerun demo_crate --plate /data/9987_Plate_3434 --into /tmp/again --cores 4
    """
    recorded = read_crate(crate)
    folder = into or Path(f"{recorded.plate}.rerun")
    prepare(recorded, plate_path, folder)
    with all_as_ctrl_c():
        run(folder, ("--cores", cores, *arguments))
    sys.stderr.flush()
    found = compare(recorded, folder)
    print(_as_json(found) if as_json else _describe(found))
    context.exit(found.exit_code)


def _describe(found: Comparison) -> str:
    lines = [f"failed  {where}: {message}" for where, _, message in found.failures]
    lines += [
        f"plan    {plan.path}: {render_difference(one)}"
        for plan in found.plans
        for one in plan.differences
    ]
    lines += map(str, found.differences[:_SHOWN])
    if len(found.differences) > _SHOWN:
        lines.append(f"and {len(found.differences) - _SHOWN} more; --json has all")
    if found.differences:
        end = f"{len(found.differences)} differences"
    else:
        end = "the same results" + (" by other plans" if found.plans else "")
    return "\n".join([*lines, f"{found.folder}: {found.jobs} jobs compared: {end}"])


def _as_json(found: Comparison) -> str:
    data = {
        "results": str(found.folder),
        "jobs": found.jobs,
        "is_same": not found.differences,
        "differences": [asdict(one) for one in found.differences],
        "plans": {
            plan.path: [one.model_dump(mode="json") for one in plan.differences]
            for plan in found.plans
        },
        "failures": [
            {"job": where, "exit_code": code, "message": text}
            for where, code, text in found.failures
        ],
    }
    return json.dumps(data, indent=1, ensure_ascii=False)
