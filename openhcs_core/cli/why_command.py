"""``openhcs-core why``."""

import json
import sys
from collections.abc import Iterable
from difflib import get_close_matches

import click

from openhcs_core.cli.reasons_text import render_why
from openhcs_core.errors import shortened
from openhcs_core.plan import PLATE_TARGET, PlatePlan
from openhcs_core.session import DEFAULT_CONFIG, Compilation, compile_workflow
from openhcs_core.session.why import explain_rerun


@click.command()
@click.argument("step")
@click.argument("well")
@click.option("--plate", help="The plate, where several have this step and well.")
@click.option("--config", default=DEFAULT_CONFIG, show_default=True, help="The config file.")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def why_command(step: str, well: str, *, plate: str | None, config: str, as_json: bool) -> None:
    """Say whether STEP would run for WELL, and why: what is other than when it last ran.

    For a step over the whole plate (scope: plate), WELL is the word plate.

    Says the same as snakemake -n would, one job at a time and with its cause: the parameter,
    library, image or earlier step that changed, old value and new. Nothing is written.

    \b
    Examples:
      openhcs-core why count B02
      openhcs-core why count B02 --plate demo --json
      openhcs-core why illumination plate
    """
    compilation = compile_workflow(config)
    for warning in compilation.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    answer = explain_rerun(compilation, _choose(compilation, plate, step, well), step, well)
    if as_json:
        print(json.dumps(answer.model_dump(mode="json"), indent=1, ensure_ascii=False))
        return
    print(render_why(answer))


def _choose(compilation: Compilation, plate: str | None, step: str, well: str) -> str:
    """Return the one plate that is meant."""
    plates = compilation.compiled.plates
    if plate is not None:
        _check("plate", plate, [one.name for one in plates])
        plates = tuple(one for one in plates if one.name == plate)
    _check("step", step, (plan.step_name for one in plates for plan in one.steps))
    names = [
        one.name
        for one in plates
        for plan in one.steps
        if step == plan.step_name and well in one.targets(plan)
    ]
    if not names:
        _check_scope(plates, step, well)
        _check_well(compilation, plates, well)
        raise click.UsageError(f"no plate has both step {step!r} and well {well!r}")
    if len(names) > 1:
        raise click.UsageError(f"several plates have it: add --plate, one of {shortened(names)}")
    return names[0]


def _check_scope(plates: Iterable[PlatePlan], step: str, well: str) -> None:
    """Refuse a well where a step has one job for the plate, and the other way round."""
    plans = [plan for one in plates for plan in one.steps if plan.step_name == step]
    if all(plan.is_plate_wide for plan in plans):
        raise click.UsageError(
            f"step {step!r} does all wells in one job: write '{PLATE_TARGET}' for the well"
        )
    if well == PLATE_TARGET:
        raise click.UsageError(f"step {step!r} has a job for each well: write which")


def _check_well(compilation: Compilation, plates: Iterable[PlatePlan], well: str) -> None:
    plates = list(plates)
    wells = [one for plate in plates for one in plate.wells]
    names = {plate.name for plate in plates}
    for request in compilation.requests:
        if request.plate in names and well in request.index.wells and well not in wells:
            raise click.UsageError(
                f"the config leaves well {well!r} of plate {request.plate!r} out "
                "(wells, exclude_wells)"
            )
    _check("well", well, wells)


def _check(kind: str, chosen: str, known: Iterable[str]) -> None:
    """Refuse a name that is not there, with the nearest one that is."""
    names = list(dict.fromkeys(known))
    if chosen in names:
        return
    by_capital = {name.upper(): name for name in names}
    close = get_close_matches(chosen.upper(), by_capital, n=1)
    remedy = f"did you mean {by_capital[close[0]]!r}? " if close else ""
    raise click.UsageError(f"no {kind} {chosen!r}; {remedy}there is {shortened(names)}")
