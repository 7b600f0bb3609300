"""The runtime: jobs that carry out plans. It never plans and never imports Snakemake."""

from openhcs_core.runtime.execute_step import compute_images, execute_step
from openhcs_core.runtime.job import Job, Location
from openhcs_core.runtime.kept_images import write_store_metadata
from openhcs_core.runtime.lock import RunLock
from openhcs_core.runtime.manifest import manifest_digest
from openhcs_core.runtime.tables import gather_table

__all__ = [
    "Job",
    "Location",
    "RunLock",
    "compute_images",
    "execute_step",
    "gather_table",
    "manifest_digest",
    "write_store_metadata",
]
