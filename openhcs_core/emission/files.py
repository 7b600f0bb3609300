"""Plans to files: the plan files that jobs read, and the index that rules look things up in."""

from typing import Any

from openhcs_core.emission.rules import job_rule_scopes
from openhcs_core.plan import (
    CHECK,
    HELD_BYTES,
    CompiledPipeline,
    PlatePlan,
    StepPlan,
    encode_plan,
    kept_well_target,
    manifest_path,
    plan_digest,
    plan_path,
    readable_json,
    store_metadata_path,
    store_plan_path,
    table_path,
    table_plan_path,
    well_files,
    well_table_paths,
)


def emit_plan_files(plate: PlatePlan) -> dict[str, str]:
    """Return the text of every plan file of a plate, by path relative to its results."""
    texts = {key: encode_plan(plan) for key, plan in _distinct_plans(plate).items()}
    files = {plan_path(plan.step_name): texts[id(plan)] for plan in plate.steps}
    for step, wells in plate.well_steps.items():
        files |= {plan_path(step, well): texts[id(plan)] for well, plan in wells.items()}
    files |= {store_plan_path(store.step_name): encode_plan(store) for store in plate.stores}
    files |= {
        table_plan_path(table.step_name, table.file): encode_plan(table) for table in plate.tables
    }
    return files


def emit_plan_index(compiled: CompiledPipeline) -> str:
    """Return the text of ``plan.json``: digests, resources, conversions, tables and targets."""
    plates = {plate.name: _index_plate(plate) for plate in compiled.plates}
    targets = [
        f"{compiled.results}/{plate.name}/{path}"
        for plate in compiled.plates
        for path in plate_targets(plate)
    ]
    index = {
        "results": compiled.results,
        "held_mb": HELD_BYTES // 2**20,
        "jobs": {name: scope._asdict() for name, scope in job_rule_scopes(compiled).items()},
        "plates": plates,
        "targets": targets,
    }
    return readable_json(index)


def plate_targets(plate: PlatePlan) -> list[str]:
    """Return every manifest and final output of a plate, relative to its results."""
    targets = [path for plan in plate.steps for path in _step_targets(plate, plan)]
    targets += map(store_metadata_path, plate.stores)
    targets += [table_path(table.step_name, table.file) for table in plate.tables]
    return [*targets, CHECK] if plate.leaves_out else targets


def _step_targets(plate: PlatePlan, plan: StepPlan) -> list[str]:
    files = {
        well: of
        for own, wells in plate.variants(plan)
        for of in [[*well_files(own)]]
        for well in wells
    }
    targets = []
    for well in plate.targets(plan):
        targets.append(manifest_path(plan.step_name, well))
        targets += [file.path(plan.step_name, well) for file in files[well]]
        if plan.store is not None:
            targets.append(kept_well_target(plan, well))
    return targets


def _index_plate(plate: PlatePlan) -> dict[str, Any]:
    digests = {key: plan_digest(plan) for key, plan in _distinct_plans(plate).items()}
    return {
        "wells": list(plate.wells),
        "steps": [plan.step_name for plan in plate.steps],
        "digests": {plan.step_name: digests[id(plan)] for plan in plate.steps},
        "well_digests": {
            step: {well: digests[id(plan)] for well, plan in wells.items()}
            for step, wells in plate.well_steps.items()
        },
        "store_digests": {store.step_name: plan_digest(store) for store in plate.stores},
        "table_digests": {
            f"{table.step_name}/{table.file}": plan_digest(table) for table in plate.tables
        },
        "tables": {
            f"{table.step_name}/{table.file}": well_table_paths(table, "{well}")
            for table in plate.tables
        },
        "table_wells": {
            f"{table.step_name}/{table.file}": list(table.wells)
            for table in plate.tables
            if table.wells != plate.wells
        },
        "resources": {step: resources.model_dump() for step, resources in plate.resources.items()},
        "leaves_out": plate.leaves_out,
        "runs": plate.runs,
        "batches": plate.batches,
        "batch_aim": plate.batch_aim and plate.batch_aim.model_dump(),
        "predictions": {step: took.model_dump() for step, took in plate.predictions.items()},
        "conversions": [conversion.as_dict() for conversion in plate.conversions],
        **({"tiles": _tiles(plate)} if plate.tiles else {}),
    }


def _tiles(plate: PlatePlan) -> dict[str, dict[str, dict[str, int]]]:
    return {
        digest: {group: tile.model_dump() for group, tile in tiles.items()}
        for digest, tiles in plate.tiles.items()
    }


def _distinct_plans(plate: PlatePlan) -> dict[int, StepPlan]:
    """Return every plan object once, by its id: wells with equal plans share one."""
    own = [plan for wells in plate.well_steps.values() for plan in wells.values()]
    return {id(plan): plan for plan in (*plate.steps, *own)}
