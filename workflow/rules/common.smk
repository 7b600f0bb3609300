# What generated rules look up in the compiled plan (results/.plan/plan.json).
from math import ceil

from openhcs_core.plan import job_digest

OPENHCS_ENVIRONMENT = workflow.source_path("../envs/openhcs-core.yaml")
# two Snakemakes are around a command on another machine: 145 MB each for a small plate
OPENHCS_AROUND_MB = 400


def openhcs_well(wildcards):
    return wildcards.get("well") or wildcards.row + wildcards.column


def openhcs_digest(step, wildcards):
    return openhcs_digest_of(step, openhcs_well(wildcards), wildcards)


def openhcs_digest_of(step, well, wildcards):
    plate = OPENHCS["plates"][wildcards.plate]
    own = plate["well_digests"].get(step, {})
    return own.get(well, plate["digests"][step])


def openhcs_plate_digest(step, wildcards):
    return OPENHCS["plates"][wildcards.plate]["digests"][step]


def openhcs_targets(check, wildcards):
    folder = f"{OPENHCS['results']}/{wildcards.plate}/"
    return [
        target
        for target in OPENHCS["targets"]
        if target.startswith(folder) and target != folder + check
    ]


def openhcs_of_wells(path, wildcards):
    folder = f"{OPENHCS['results']}/{wildcards.plate}"
    return [
        f"{folder}/{path.replace('{well}', well)}"
        for well in OPENHCS["plates"][wildcards.plate]["wells"]
    ]


def openhcs_plan(step, wildcards):
    return openhcs_plan_of(step, openhcs_well(wildcards), wildcards)


def openhcs_plan_of(step, well, wildcards):
    own = OPENHCS["plates"][wildcards.plate]["well_digests"].get(step, {})
    file = f"{step}/{well}.json" if well in own else f"{step}.json"
    return f"{OPENHCS['results']}/{wildcards.plate}/plan/{file}"


def openhcs_job_wells(rule, wildcards):
    values = dict(wildcards.items())
    return [well.format(**values) for well in OPENHCS["jobs"][rule]["wells"]]


def openhcs_job_plans(step, rule, wildcards):
    wells = openhcs_job_wells(rule, wildcards)
    plans = (openhcs_plan_of(step, well, wildcards) for well in wells)
    return list(dict.fromkeys(plans))


def openhcs_job_digest(rule, wildcards):
    return job_digest(
        [
            openhcs_digest_of(step, well, wildcards)
            for well in openhcs_job_wells(rule, wildcards)
            for step in OPENHCS["jobs"][rule]["steps"]
        ]
    )


def openhcs_store_digest(step, wildcards):
    return OPENHCS["plates"][wildcards.plate]["store_digests"][step]


def openhcs_table_digest(table, wildcards):
    return OPENHCS["plates"][wildcards.plate]["table_digests"][table]


def openhcs_well_tables(table, wildcards):
    plate = OPENHCS["plates"][wildcards.plate]
    folder = f"{OPENHCS['results']}/{wildcards.plate}"
    return [
        f"{folder}/{path.replace('{well}', well)}"
        for well in plate["table_wells"].get(table, plate["wells"])
        for path in plate["tables"][table]
    ]


def openhcs_mem_mb(step, wildcards, attempt):
    asked = OPENHCS["plates"][wildcards.plate]["resources"][step]["mem_mb"]
    around = 0 if workflow.local_exec else OPENHCS_AROUND_MB
    return asked * 2 ** (attempt - 1) + around


def openhcs_runtime(step, wildcards, attempt):
    return (
        OPENHCS["plates"][wildcards.plate]["resources"][step]["runtime_min"] * attempt
    )


def openhcs_job_mem_mb(rule, wildcards, attempt):
    steps = OPENHCS["jobs"][rule]["steps"]
    held = OPENHCS["held_mb"] if len(steps) > 1 else 0
    return held + max(openhcs_mem_mb(step, wildcards, attempt) for step in steps)


def openhcs_job_runtime(rule, wildcards, attempt):
    job = OPENHCS["jobs"][rule]
    resources = OPENHCS["plates"][wildcards.plate]["resources"]
    asked = [resources[step] for step in job["steps"]]
    together = ceil(sum(one["well_min"] for one in asked) * len(job["wells"]))
    return max(together, *(one["runtime_min"] for one in asked)) * attempt
