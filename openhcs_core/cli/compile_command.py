"""``openhcs-core compile``."""

import json
import sys
from math import inf

import click

from openhcs_core.cli.explanation import FORMATS, render_explanation
from openhcs_core.compiler import ExplainedPlate, explain_plate
from openhcs_core.constants import Component
from openhcs_core.errors import printable, shortened
from openhcs_core.plan import CompiledPipeline, GroupPlan, JobResources, PlatePlan, StepPlan
from openhcs_core.session import DEFAULT_CONFIG, Compilation, RunSession, compile_workflow
from openhcs_core.session.totals import GB, all_wells, describe_totals, total


@click.command()
@click.option("--config", default=DEFAULT_CONFIG, show_default=True, help="The config file.")
@click.option("--explain", is_flag=True, help="Say of every value where it comes from.")
@click.option("--plate", help="With --explain: only this plate.")
@click.option("--step", help="With --explain: only this step.")
@click.option("--well", help="With --explain: what this well has.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def compile_command(
    *,
    config: str,
    explain: bool,
    plate: str | None,
    step: str | None,
    well: str | None,
    as_json: bool,
) -> None:
    """Check config, pipeline and plates; write plans and rules; print what would run.

    With --explain nothing is written, and every setting and parameter is printed with the
    place it comes from.

    \b
    Examples:
      openhcs-core compile --config config/config.yaml
      openhcs-core compile --explain --step count --well B02
    """
    if explain:
        compilation = compile_workflow(config)
    elif plate or step or well:
        raise click.UsageError("--plate, --step and --well are for --explain; add it")
    else:
        compilation = RunSession(config).compile()
    for warning in compilation.warnings:
        print(printable(f"warning: {warning}"), file=sys.stderr)
    if explain:
        _print_explanations(_explain(compilation, plate, step, well), as_json=as_json)
        return
    if as_json:
        print(json.dumps(summarise(compilation.compiled, _cache_bytes(compilation)), indent=1))
        return
    for plan in compilation.compiled.plates:
        print(describe(plan))
    everything = [(plan, all_wells(plan)) for plan in compilation.compiled.plates]
    print(f"from nothing: {describe_totals(total(everything, _cache_bytes(compilation)))}")


def _cache_bytes(compilation: Compilation) -> float:
    """Return what the cache may take after a run."""
    return compilation.config.storage.cache_gb * GB


def _explain(
    compilation: Compilation, plate: str | None, step: str | None, well: str | None
) -> list[ExplainedPlate]:
    plates = compilation.compiled.plates
    _check_choice("plate", plate, [one.name for one in plates])
    pairs = [
        (plan, request)
        for plan, request in zip(plates, compilation.requests, strict=True)
        if plate in (None, plan.name)
    ]
    _check_choice("step", step, [one.step_name for plan, _ in pairs for one in plan.steps])
    _check_choice("well", well, [one for plan, _ in pairs for one in plan.wells])
    return [
        explain_plate(plan, request, step=step, well=well)
        for plan, request in pairs
        if well is None or well in plan.wells
    ]


def _check_choice(kind: str, chosen: str | None, known: list[str]) -> None:
    if chosen is not None and chosen not in known:
        names = ", ".join(dict.fromkeys(known))
        raise click.UsageError(f"no {kind} {chosen!r}; there is {names}")


def _print_explanations(plates: list[ExplainedPlate], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([plate.model_dump(mode="json") for plate in plates], indent=1))
        return
    print("\n\n".join(map(render_explanation, plates)))


def summarise(compiled: CompiledPipeline, cache_bytes: float = inf) -> list[dict[str, object]]:
    """Return plates, steps, jobs and what they are predicted to take as plain data."""
    return [
        {
            "plate": plate.name,
            "wells": len(plate.wells),
            "jobs": plate.job_count,
            "predicted": total([(plate, all_wells(plate))], cache_bytes).model_dump(),
            "steps": [
                {
                    "name": plan.step_name,
                    "reads": plan.source or "plate",
                    "scope": "plate" if plan.is_plate_wide else "well",
                    "tables": [f"{table.step}/{table.file}" for table in plan.tables],
                    "kept": None if plan.store is None else plan.store.backend,
                    "functions": _functions(plate, plan),
                    **plate.resources[plan.step_name].model_dump(),
                    "predicted": plate.predictions[plan.step_name].model_dump(),
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
        variants = plate.variants(plan) if plan.group_by is Component.WELL else [(plan, ())]
        functions = " | ".join(
            f"{_label(group, wells if len(variants) > 1 else ())}"
            f"{' → '.join(f.ref for f in group.functions) or 'passed through'}"
            for own, wells in variants
            for group in own.groups
        )
        kept = f", kept as {FORMATS[plan.store.backend]}" if plan.store is not None else ""
        needs = _describe_resources(plate.resources[plan.step_name])
        lines.append(f"  {plan.step_name} (reads {_reads(plan)}{kept}; {needs} a job): {functions}")
        if conversions := _describe_conversions(plate, plan):
            lines.append(f"    converts {conversions}")
    return "\n".join(lines)


def _reads(plan: StepPlan) -> str:
    """Say what a job of a step reads."""
    images = [plan.source or "the plate"] if plan.takes_images else []
    names = [*images, *(f"{table.step}/{table.file}" for table in plan.tables)]
    return " and ".join(names) + (", all wells at once" if plan.is_plate_wide else "")


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


def _functions(plate: PlatePlan, plan: StepPlan) -> list[str]:
    """Return the functions of a step; where they differ by well, each once."""
    if plan.group_by is not Component.WELL:
        return [function.ref for function in plan.functions]
    of_wells = (function.ref for own, _ in plate.variants(plan) for function in own.functions)
    return list(dict.fromkeys(of_wells))


def _label(group: GroupPlan, wells: tuple[str, ...]) -> str:
    name = shortened(wells) if wells else group.value
    return "" if name is None else f"{name}: "
