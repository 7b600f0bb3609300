"""``openhcs-core status``."""

import json
from dataclasses import asdict

import click

from openhcs_core.session import DEFAULT_CONFIG, PlateStatus, RunSession


@click.command()
@click.option("--config", default=DEFAULT_CONFIG, show_default=True, help="The config file.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def status_command(config: str, *, as_json: bool) -> None:
    """Show what is done, what failed and why, during a run or after it.

    Nothing is written. At the end of a run the same stands in results/<plate>/status.csv.

    \b
    Example:
      openhcs-core status --config config/config.yaml
    """
    plates = RunSession(config).status()
    if as_json:
        print(json.dumps({p.plate.name: [asdict(job) for job in p.jobs] for p in plates}, indent=1))
        return
    for plate in plates:
        print(_describe(plate))


def _describe(status: PlateStatus) -> str:
    states = [
        f"{status.count(state)} {state}"
        for state in ("done", "running", "failed", "not run")
        if status.count(state)
    ]
    lines = [f"plate {status.plate.name}: {len(status.plate.wells)} wells: {', '.join(states)}"]
    for job in status.jobs:
        if job.state in ("failed", "running"):
            reason = f": {job.reason}" if job.reason else ""
            lines.append(f"  {job.state:<8} {job.well or 'plate'}, step {job.step!r}{reason}")
    return "\n".join(lines)
