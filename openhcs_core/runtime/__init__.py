"""The runtime: jobs that carry out plans. It never plans and never imports Snakemake."""

from openhcs_core.ground.lock import RunLock
from openhcs_core.ground.stored import FILES_FOLDER, IMAGES_FOLDER, JOBS_FOLDER
from openhcs_core.runtime.cache import OBJECTS_FOLDER, ImageCache
from openhcs_core.runtime.digests import combined_digest, label_digest, plane_digest
from openhcs_core.runtime.execute_step import compute_images, execute_step, restore_step
from openhcs_core.runtime.failures import read_failure, record_lost, recorded
from openhcs_core.runtime.fallbacks import FallbackRecord, read_fallbacks
from openhcs_core.runtime.held import HeldCounts, RecentStacks
from openhcs_core.runtime.inputs import PlateInput
from openhcs_core.runtime.job import Job, Location
from openhcs_core.runtime.job_cache import JobCache
from openhcs_core.runtime.kept_images import image_metadata, plate_layout, write_store_metadata
from openhcs_core.runtime.left_out import check_plate, execute_or_leave_out
from openhcs_core.runtime.manifest import (
    Manifest,
    encode_manifest,
    find_failed,
    is_partial,
    manifest_digest,
    manifest_head,
    read_manifest,
)
from openhcs_core.runtime.means import libraries_of
from openhcs_core.runtime.out_of_memory import FallbackUse, naming_out_of_memory
from openhcs_core.runtime.plate_images import digest_of_taken
from openhcs_core.runtime.plate_steps import execute_plate_step
from openhcs_core.runtime.read_records import find_read_record, records_digest
from openhcs_core.runtime.shared_job import execute_shared_job
from openhcs_core.runtime.table_inputs import IMAGES_OF_TABLE, TableInputs
from openhcs_core.runtime.tables import (
    gather_table,
    is_joined_table,
    join_tables,
    write_partial_table,
)

__all__ = [
    "FILES_FOLDER",
    "IMAGES_FOLDER",
    "IMAGES_OF_TABLE",
    "JOBS_FOLDER",
    "OBJECTS_FOLDER",
    "FallbackRecord",
    "FallbackUse",
    "HeldCounts",
    "ImageCache",
    "Job",
    "JobCache",
    "Location",
    "Manifest",
    "PlateInput",
    "RecentStacks",
    "RunLock",
    "TableInputs",
    "check_plate",
    "combined_digest",
    "compute_images",
    "digest_of_taken",
    "encode_manifest",
    "execute_or_leave_out",
    "execute_plate_step",
    "execute_shared_job",
    "execute_step",
    "find_failed",
    "find_read_record",
    "gather_table",
    "image_metadata",
    "is_joined_table",
    "is_partial",
    "join_tables",
    "label_digest",
    "libraries_of",
    "manifest_digest",
    "manifest_head",
    "naming_out_of_memory",
    "plane_digest",
    "plate_layout",
    "read_failure",
    "read_fallbacks",
    "read_manifest",
    "record_lost",
    "recorded",
    "records_digest",
    "restore_step",
    "write_partial_table",
    "write_store_metadata",
]
