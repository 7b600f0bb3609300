# What generated rules look up in the compiled plan (results/.plan/plan.json).
OPENHCS_ENVIRONMENT = workflow.source_path("../envs/openhcs-core.yaml")


def openhcs_well(wildcards):
    return wildcards.get("well") or wildcards.row + wildcards.column


def openhcs_digest(step, wildcards):
    plate = OPENHCS["plates"][wildcards.plate]
    own = plate["well_digests"].get(step, {})
    return own.get(openhcs_well(wildcards), plate["digests"][step])


def openhcs_plan(step, wildcards):
    well = openhcs_well(wildcards)
    own = OPENHCS["plates"][wildcards.plate]["well_digests"].get(step, {})
    file = f"{step}/{well}.json" if well in own else f"{step}.json"
    return f"{OPENHCS['results']}/{wildcards.plate}/plan/{file}"


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
    return OPENHCS["plates"][wildcards.plate]["resources"][step]["mem_mb"] * 2 ** (
        attempt - 1
    )


def openhcs_runtime(step, wildcards, attempt):
    return (
        OPENHCS["plates"][wildcards.plate]["resources"][step]["runtime_min"] * attempt
    )
