"""``openhcs-core compile``."""

import json
import sys

import click

from openhcs_core.constants import Backend
from openhcs_core.plan import PlatePlan
from openhcs_core.session import DEFAULT_CONFIG, Compilation, RunSession

_FORMATS = {Backend.ZARR: "OME-Zarr", Backend.DISK: "TIFF"}


@click.command()
@click.option("--config", default=DEFAULT_CONFIG, show_default=True, help="The config file.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def compile_command(config: str, *, as_json: bool) -> None:
    """Check config, pipeline and plates; write plans and rules; print what would run.

    \b
    Example:
      openhcs-core compile --config config/config.yaml
    """
    compilation = RunSession(config).compile()
    for warning in compilation.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if as_json:
        print(json.dumps(summarise(compilation), indent=1))
        return
    for plate in compilation.compiled.plates:
        print(_describe(plate))


def summarise(compilation: Compilation) -> list[dict[str, object]]:
    """Return plates, steps and jobs as plain data."""
    return [
        {
            "plate": plate.name,
            "wells": len(plate.wells),
            "jobs": plate.job_count,
            "steps": [
                {
                    "name": plan.step_name,
                    "reads": plan.source or "plate",
                    "kept": None if plan.store is None else plan.store.backend,
                    "functions": [function.ref for function in plan.functions],
                    **plate.resources[plan.step_name].model_dump(),
                }
                for plan in plate.steps
            ],
        }
        for plate in compilation.compiled.plates
    ]


def _describe(plate: PlatePlan) -> str:
    counts = f"{len(plate.wells)} wells, {len(plate.steps)} steps, {plate.job_count} jobs"
    lines = [f"plate {plate.name}: {counts}"]
    for plan in plate.steps:
        functions = " | ".join(
            f"{'' if group.value is None else f'{group.value}: '}"
            f"{' → '.join(f.ref for f in group.functions) or 'passed through'}"
            for group in plan.groups
        )
        kept = f", kept as {_FORMATS[plan.store.backend]}" if plan.store is not None else ""
        memory = plate.resources[plan.step_name].mem_mb
        lines.append(
            f"  {plan.step_name} (reads {plan.source or 'the plate'}{kept}; {memory} MB a job): "
            f"{functions}"
        )
    return "\n".join(lines)
