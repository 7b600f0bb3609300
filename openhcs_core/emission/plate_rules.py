"""Rules of steps over the whole plate: one job a plate."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from openhcs_core.emission.rule_text import (
    ENVIRONMENT,
    Paths,
    any_of,
    asked_resources,
    command_rule,
    lookup,
    put_together,
    section,
    shell_literal,
)
from openhcs_core.plan import (
    CHECK,
    CHECK_LOG,
    PLATE_TARGET,
    CompiledPipeline,
    PlatePlan,
    StepPlan,
    benchmark_path,
    index_path,
    joined_steps,
    log_path,
    manifest_path,
    plan_path,
    taken_files,
    taken_tables,
    well_files,
)


@dataclass(frozen=True)
class PlateRule:
    """What the rule of a step over the plate consists of; plates with equal ones share it.

    Attributes
    ----------
    images : str or None
        Path of what says what images a well has, with ``{well}`` for the well; None for a step
        that takes plate tables alone.
    joined : tuple of str
        As `images`, for the steps whose wells' tables are joined.
    tables, specials : tuple of str
        Paths of plate tables and their plans, and of special outputs of earlier steps over the
        plate.
    """

    step: str
    images: str | None
    joined: tuple[str, ...]
    tables: tuple[str, ...]
    specials: tuple[str, ...]
    outputs: tuple[tuple[str, str], ...]
    priority: int
    gpu: int
    gpu_model: str | None


def plate_rules(compiled: CompiledPipeline) -> Iterator[tuple[PlateRule, str]]:
    """Yield the rule of every step over a plate, and the plate."""
    for plate in compiled.plates:
        for priority, plan in enumerate(plate.steps):
            if plan.is_plate_wide:
                yield _describe(plate, plan, priority), plate.name


def _describe(plate: PlatePlan, plan: StepPlan, priority: int) -> PlateRule:
    step, resources = plan.step_name, plate.resources[plan.step_name]
    of_wells = index_path("{well}") if plan.source is None else manifest_path(plan.source, "{well}")
    taken = [
        file.path(giver, PLATE_TARGET) for giver, of in taken_files(plan).items() for file in of
    ]
    return PlateRule(
        step=step,
        images=of_wells if plan.takes_images else None,
        joined=tuple(manifest_path(giver, "{well}") for giver in joined_steps(plan)),
        tables=taken_tables(plan),
        specials=tuple(taken),
        outputs=tuple((file.key, file.path(step, PLATE_TARGET)) for file in well_files(plan)),
        priority=priority,
        gpu=resources.gpu,
        gpu_model=resources.gpu_model,
    )


def emit_check(results: str, plates: list[str], name: str) -> str:
    """Return the rule that ends a run with an error when wells are left out."""
    here = Paths(results)
    sections = [
        section("input", {"all": f"lambda w: openhcs_targets({json.dumps(CHECK)}, w)"}),
        section("output", {"check": here.text(CHECK)}),
        section("log", {"": here.text(CHECK_LOG)}),
        section("wildcard_constraints", {"plate": any_of(plates)}),
        "    localrule: True",
        ENVIRONMENT,
    ]
    command = (
        f"openhcs-core run-step --plate-dir {shell_literal(results)}/{{wildcards.plate:q}} "
        "--check --log {log:q}"
    )
    return command_rule(name, command, sections)


def emit_plate_step(results: str, rule: PlateRule, plates: list[str], name: str) -> str:
    """Return the rule of a step over the plate."""
    here, step = Paths(results), rule.step
    inputs = {"plan": here.text(plan_path(step))}
    if rule.images is not None:
        inputs["images"] = lookup("openhcs_of_wells", rule.images)
    inputs |= {
        f"joined_{number}": lookup("openhcs_of_wells", path)
        for number, path in enumerate(rule.joined, 1)
    }
    for kind, paths in (("table", rule.tables), ("special", rule.specials)):
        inputs |= {f"{kind}_{number}": here.text(path) for number, path in enumerate(paths, 1)}
    outputs = {"manifest": here.text(manifest_path(step, PLATE_TARGET))}
    outputs |= {key: here.text(path) for key, path in rule.outputs}
    sections = [
        section("input", inputs),
        section("output", outputs),
        section("log", {"": here.text(log_path(step, PLATE_TARGET))}),
        f"    benchmark:\n        {here.text(benchmark_path(step, PLATE_TARGET))}",
        section("wildcard_constraints", {"plate": any_of(plates)}),
        f"    priority: {rule.priority}",
        ENVIRONMENT,
        section("resources", asked_resources(step, rule.gpu, rule.gpu_model)),
        section("params", {"digest": lookup("openhcs_plate_digest", step)}),
    ]
    return put_together(results, name, step, "--plate", sections)
