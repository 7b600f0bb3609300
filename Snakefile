# Entry for `snakemake` at the root of the repository. Snakemake runs hooks of the main
# Snakefile only, so they stand here and in workflow/Snakefile.
import sys

from snakemake.logging import logger

from openhcs_core.session import cluster_name, session_for

openhcs_session = session_for(
    config.get("config", "config/config.yaml"), config.get("plate")
)


module openhcs:
    snakefile:
        "workflow/Snakefile"
    config:
        config


use rule * from openhcs


onstart:
    openhcs_session.start(workflow.dag.needrun_jobs(), logger, cluster_name(workflow))


onsuccess:
    print(openhcs_session.end(), file=sys.stderr)


onerror:
    print(openhcs_session.end(), file=sys.stderr)
