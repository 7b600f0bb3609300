"""Rules whose jobs do several steps, several wells, or both.

Batches of wells that lie in one row and have the same columns share a rule with the row as its
wildcard, so that they can be tasks of one cluster array; a batch of several rows has a rule of
its own.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from openhcs_core.constants import Backend
from openhcs_core.emission.rule_text import (
    ENVIRONMENT,
    Paths,
    any_of,
    asked_gpu,
    called,
    command_rule,
    section,
    shell_literal,
    well_constraints,
)
from openhcs_core.plan import (
    JobScope,
    PlatePlan,
    StepPlan,
    image_folder,
    index_path,
    log_path,
    manifest_path,
    plan_path,
    store_path,
    taken_files,
    well_batches,
    well_files,
)
from openhcs_core.planes import split_well, well_order


class _Well(NamedTuple):
    """A well as paths have it: literal, or with wildcards.

    Attributes
    ----------
    name : str
        Such as ``{well}`` or ``{row}01``.
    folder : str
        Its folder in an OME-Zarr plate, ``{row}/01``.
    """

    name: str
    folder: str


_WELL = _Well("{well}", "")
_ROW_COLUMN = _Well("{row}{column}", "{row}/{column}")


@dataclass(frozen=True)
class JobRule:
    """What the rule of such jobs consists of; plates with equal ones share it.

    Attributes
    ----------
    scope : JobScope
        Steps, and wells as paths have them.
    own_plans : tuple of str
        Steps whose wells may have plans of their own: theirs are looked up.
    inputs, outputs : tuple of str
        Paths below the plate's results; of outputs, those of folders end in ``/``.
    places : tuple of str
        Wells or rows that the wildcards may be; empty for all.
    number : int
        Tells rules of the same name apart.
    """

    scope: JobScope
    own_plans: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    gpu: int
    gpu_model: str | None
    priority: int
    places: tuple[str, ...] = ()
    number: int = 1

    @property
    def name_parts(self) -> tuple[str, ...]:
        """What its name is made of."""
        steps, wells = self.scope
        ends = steps if len(steps) == 1 else (steps[0], "to", steps[-1])
        named = () if _is_any_well(self.scope) else (_plain(wells[0]), _plain(wells[-1]))
        number = (str(self.number),) if self.number > 1 else ()
        return (*ends, *dict.fromkeys(named), *number)


def job_rules(plate: PlatePlan, run: tuple[str, ...], priority: int) -> list[JobRule]:
    """Return the rules of a run of steps: one for all wells, or as few as batches allow."""
    found: dict[JobRule, list[str]] = {}
    for batch in well_batches(plate):
        rule, place = _describe(plate, JobScope(run, batch), priority)
        found.setdefault(rule, []).append(place)
    rules: list[JobRule] = []
    for rule, places in found.items():
        is_only = len(found) == 1 and _is_any_well(rule.scope)
        number = 1 + sum(rule.scope == other.scope for other in rules)
        members = () if is_only else tuple(dict.fromkeys(places))
        rules.append(replace(rule, places=members, number=number))
    return rules


def _is_any_well(scope: JobScope) -> bool:
    return scope.wells[0] in (_WELL.name, _ROW_COLUMN.name)


def _plain(well: str) -> str:
    return well.replace("{row}", "")


def _describe(plate: PlatePlan, scope: JobScope, priority: int) -> tuple[JobRule, str]:
    """Return the rule of a job, and what its wildcard is for it."""
    steps = [plan for plan in plate.steps if plan.step_name in scope.steps]
    texts, place = _well_texts(plate, steps, scope.wells)
    resources = plate.resources[steps[0].step_name]
    inputs: dict[str, None] = {}
    outputs: list[str] = []
    for well, text in zip(scope.wells, texts, strict=True):
        for step in steps:
            plan = plate.step_plan(step, well)
            inputs |= dict.fromkeys(_inputs(plan, scope.steps, text))
            outputs += _outputs(plan, text)
    rule = JobRule(
        scope=JobScope(scope.steps, tuple(text.name for text in texts)),
        own_plans=tuple(step for step in scope.steps if plate.well_steps.get(step)),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        gpu=resources.gpu,
        gpu_model=resources.gpu_model,
        priority=priority,
    )
    return rule, place


def _well_texts(
    plate: PlatePlan, steps: list[StepPlan], wells: tuple[str, ...]
) -> tuple[list[_Well], str]:
    if not plate.batches:
        is_zarr = any(plan.store and plan.store.backend is Backend.ZARR for plan in steps)
        return [_ROW_COLUMN if is_zarr else _WELL], wells[0]
    places = [split_well(well) for well in wells]
    rows = {row for row, _ in places}
    if len(rows) > 1:
        return [_Well(row + column, f"{row}/{column}") for row, column in places], ""
    return [_Well(f"{{row}}{column}", f"{{row}}/{column}") for _, column in places], rows.pop()


def _inputs(plan: StepPlan, run: tuple[str, ...], well: _Well) -> Iterator[str]:
    """Yield what a step reads that no step of its run makes, its plan apart."""
    if plan.source is None:
        yield index_path(well.name)
    elif plan.source not in run:
        yield manifest_path(plan.source, well.name)
    for step, files in taken_files(plan).items():
        if step not in run:
            yield from (file.path(step, well.name) for file in files)


def _outputs(plan: StepPlan, well: _Well) -> Iterator[str]:
    step, store = plan.step_name, plan.store
    yield manifest_path(step, well.name)
    if store is not None and store.well_file is not None:
        yield f"{store_path(step, store.sub_dir)}/{well.folder}/{store.well_file}"
    elif store is not None:
        yield f"{image_folder(step, well.name, store.sub_dir)}/"
    yield from (file.path(step, well.name) for file in well_files(plan))


def emit_job(results: str, rule: JobRule, plates: list[str], name: str) -> str:
    """Return the text of a rule; its scope is looked up by its name (``jobs`` of the index)."""
    here, scope = Paths(results), rule.scope
    plans = [
        called("", "w", "openhcs_job_plans", json.dumps(step, ensure_ascii=False), f'"{name}"')
        if step in rule.own_plans
        else here.text(plan_path(step))
        for step in scope.steps
    ]
    asked = {
        "mem_mb": called("mem_mb", "w, attempt", "openhcs_job_mem_mb", f'"{name}"'),
        "runtime": called("runtime", "w, attempt", "openhcs_job_runtime", f'"{name}"'),
    }
    sections = [
        section("input", _listed([*plans, *map(here.text, rule.inputs)])),
        section("output", _listed([_output(here, path) for path in rule.outputs])),
        section("log", _listed([here.text(log_path(step, well)) for step, well in scope.members])),
        f"    benchmark:\n        {here.text(scope.benchmark)}",
        section("wildcard_constraints", _constraints(rule, plates)),
        f"    priority: {rule.priority}",
        ENVIRONMENT,
        section("resources", asked | asked_gpu(rule.gpu, rule.gpu_model)),
        section("params", {"digest": called("digest", "w", "openhcs_job_digest", f'"{name}"')}),
    ]
    return command_rule(name, _command(results, scope), sections)


def _output(here: Paths, path: str) -> str:
    is_folder = path.endswith("/")
    return f"directory({here.text(path[:-1])})" if is_folder else here.text(path)


def _listed(texts: list[str]) -> dict[str, str]:
    """Return items of a section that have no names."""
    return {f"{number}": text for number, text in enumerate(texts)}


def _command(results: str, scope: JobScope) -> str:
    steps = " ".join(f"--step {shell_literal(step)}" for step in scope.steps)
    wells = " ".join(f"--well {well.replace('{', '{wildcards.')}" for well in scope.wells)
    return (
        f"openhcs-core run-step --plate-dir {shell_literal(results)}/{{wildcards.plate:q}} "
        f"{steps} {wells} --digest {{params.digest}} --logs"
    )


def _constraints(rule: JobRule, plates: list[str]) -> dict[str, str]:
    if _is_any_well(rule.scope):
        is_row = rule.scope.wells[0] == _ROW_COLUMN.name
        wells = tuple(sorted(rule.places, key=well_order))
        return {"plate": any_of(plates)} | well_constraints(wells, is_row=is_row)
    rows = {"row": json.dumps("|".join(rule.places))} if rule.places != ("",) else {}
    return {"plate": any_of(plates)} | rows
