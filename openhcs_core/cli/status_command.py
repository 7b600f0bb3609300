"""``openhcs-core status``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from openhcs_core.config import WorkflowConfig, load_config, validate
from openhcs_core.errors import shortened
from openhcs_core.session import DEFAULT_CONFIG, PlateStatus, RunSession
from openhcs_core.session.hours import read_hours
from openhcs_core.session.progress import UnitState, draw_grid

_LAST_COUNTS = ("done", "not run", "running", "failed")


@click.command()
@click.option("--config", default=DEFAULT_CONFIG, show_default=True, help="The config file.")
@click.option("--plate", help="Only this one, whatever is wrong with others.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def status_command(config: str, *, plate: str | None, as_json: bool) -> None:
    """Draw each plate, and say what failed and why, during a run or after it.

    A letter a well: D done, R running, F failed, . waiting. Nothing is written.
    At the end of a run the same stands in results/<plate>/status.csv. --json has the hours of
    cores and GPUs too that the results of each plate took.

    \b
    Examples:
      openhcs-core status --config config/config.yaml
      openhcs-core status --plate p001
    """
    plates = RunSession(config, plate).status()
    if as_json:
        results = Path(validate(WorkflowConfig, load_config(config)).results)
        data = {one.plate.name: _as_data(one, results / one.plate.name) for one in plates}
        print(json.dumps(data, indent=1))
        return
    _draw(plates)


def _as_data(status: PlateStatus, folder: Path) -> dict[str, Any]:
    hours = read_hours(status.plate, folder)
    return {
        "wells": len(status.plate.wells),
        "done": status.count("done"),
        "cpu_h": round(hours.cpu_h, 7),
        "gpu_h": round(hours.gpu_h, 7),
        "jobs": [asdict(job) for job in status.jobs],
    }


def _draw(plates: list[PlateStatus]) -> None:
    """Print each plate as a grid of wells, in colour where a terminal can show it."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for plate in plates:
        headline, *others = _describe(plate)
        console.print(headline, markup=False)
        for line in draw_grid(_well_states(plate), console.width):
            console.print(line)
        for text in others:
            console.print(text, markup=False)


def _well_states(status: PlateStatus) -> dict[str, UnitState]:
    """Return the state of each well; a well with a failed step is failed, whatever else it does."""
    states: dict[str, UnitState] = dict.fromkeys(status.plate.wells, "done")
    for job in sorted(status.jobs, key=lambda job: _LAST_COUNTS.index(job.state)):
        if job.well:
            states[job.well] = "waiting" if job.state == "not run" else job.state
    return states


def _describe(status: PlateStatus) -> list[str]:
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
    for name, wells in sorted(status.without.items()):
        lines.append(f"  without  {shortened(wells)}: {name}")
    return lines
