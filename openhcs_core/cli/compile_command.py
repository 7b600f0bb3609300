"""``openhcs-core compile``."""

import json
import sys

import click

from openhcs_core.constants import Backend
from openhcs_core.plan import CompiledPipeline, JobResources, PlatePlan, StepPlan
from openhcs_core.session import DEFAULT_CONFIG, RunSession

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
        print(json.dumps(summarise(compilation.compiled), indent=1))
        return
    for plate in compilation.compiled.plates:
        print(describe(plate))


def summarise(compiled: CompiledPipeline) -> list[dict[str, object]]:
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
                    "conversions": [
                        conversion.as_dict()
                        for conversion in plate.conversions
                        if conversion.step == plan.step_name
                    ],
                }
                for plan in plate.steps
            ],
        }
        for plate in compiled.plates
    ]


def describe(plate: PlatePlan) -> str:
    """Return a plate's steps as text for people."""
    counts = f"{len(plate.wells)} wells, {len(plate.steps)} steps, {plate.job_count} jobs"
    lines = [f"plate {plate.name}: {counts}"]
    for plan in plate.steps:
        functions = " | ".join(
            f"{'' if group.value is None else f'{group.value}: '}"
            f"{' → '.join(f.ref for f in group.functions) or 'passed through'}"
            for group in plan.groups
        )
        kept = f", kept as {_FORMATS[plan.store.backend]}" if plan.store is not None else ""
        needs = _describe_resources(plate.resources[plan.step_name])
        lines.append(
            f"  {plan.step_name} (reads {plan.source or 'the plate'}{kept}; {needs} a job): "
            f"{functions}"
        )
        if conversions := _describe_conversions(plate, plan):
            lines.append(f"    converts {conversions}")
    return "\n".join(lines)


def _describe_resources(resources: JobResources) -> str:
    gpu = f" and {resources.gpu} GPU" if resources.gpu else ""
    model = f" ({resources.gpu_model})" if resources.gpu_model is not None else ""
    return f"{resources.mem_mb} MB{gpu}{model}"


def _describe_conversions(plate: PlatePlan, plan: StepPlan) -> str:
    """Return a step's conversions in their order; groups that have the same ones stand together."""
    of_group: dict[str | None, list[str]] = {}
    for conversion in plate.conversions:
        if conversion.step == plan.step_name:
            of_group.setdefault(conversion.group, []).append(conversion.route.describe())
    groups: dict[str, list[str]] = {}
    for value, routes in of_group.items():
        groups.setdefault(" … ".join(routes), []).extend([] if value is None else [value])
    return "; ".join(
        f"{', '.join(values)}: {routes}" if values else routes for routes, values in groups.items()
    )
