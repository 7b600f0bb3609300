"""The runtime: jobs that carry out plans. It never plans and never imports Snakemake."""

from openhcs_core.runtime.execute_step import compute_images, execute_step
from openhcs_core.runtime.failures import read_failure, recorded
from openhcs_core.runtime.job import Job, Location
from openhcs_core.runtime.kept_images import write_store_metadata
from openhcs_core.runtime.lock import RunLock
from openhcs_core.runtime.manifest import Manifest, manifest_digest, read_manifest
from openhcs_core.runtime.tables import gather_table, write_partial_table

__all__ = [
    "Job",
    "Location",
    "Manifest",
    "RunLock",
    "compute_images",
    "execute_step",
    "gather_table",
    "manifest_digest",
    "read_failure",
    "read_manifest",
    "recorded",
    "write_partial_table",
    "write_store_metadata",
]
