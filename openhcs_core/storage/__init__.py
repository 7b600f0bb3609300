"""The virtual file system: one interface over memory, disk, OME-Zarr and virtual workspaces.

Importing this package loads no array library; a backend is imported when it is first used.
"""

from openhcs_core.ground.atomic import TEMPORARY_NAME, TEMPORARY_PREFIX, replace_file
from openhcs_core.ground.disk_space import naming_full_disk
from openhcs_core.storage.backend_registry import (
    BackendEntry,
    StorageRegistry,
    create_storage_registry,
    discover_all_backends,
    get_backend_instance,
)
from openhcs_core.storage.backends.tiff_ import MOST_IMAGE_BYTES, READER_THREADS, run_parallel
from openhcs_core.storage.base import (
    DataSink,
    ReadableBackend,
    StorageBackend,
    StreamingBackend,
    VirtualBackend,
    operations_of,
)
from openhcs_core.storage.bounded_json import MOST_JSON_BYTES, parse_json
from openhcs_core.storage.checking import (
    Finding,
    PlaneForm,
    WrittenImages,
    compare_bytes,
    first_difference,
    list_files,
)
from openhcs_core.storage.filemanager import FileManager
from openhcs_core.storage.host_arrays import host_array
from openhcs_core.storage.locations import LocalPlate, absolute_plate, open_plate_source
from openhcs_core.storage.ome_zarr.checker import check_plate_metadata, check_well
from openhcs_core.storage.ome_zarr.layout import choose_block
from openhcs_core.storage.ome_zarr.model import (
    ChannelMetadata,
    FieldImages,
    ImageMetadata,
    PlateLayout,
    well_path,
)
from openhcs_core.storage.ome_zarr.reader import (
    is_well,
    lacks_fields,
    list_planes,
    read_batch,
    read_image_metadata,
    read_plane,
    read_planes,
)
from openhcs_core.storage.ome_zarr.writer import write_plate_metadata, write_well
from openhcs_core.storage.openhcs_zarr import OpenHCSZarr
from openhcs_core.storage.plate_source import Entry, PlateSource, is_folder
from openhcs_core.storage.recorded_plate import (
    FolderTrace,
    PlateTrace,
    RecordedPlate,
    is_unchanged,
)
from openhcs_core.storage.tiff_checker import check_tiff_folder
from openhcs_core.storage.tiff_folder import write_tiff_folder
from openhcs_core.storage.zarr_planes import (
    ChunkForm,
    array_status,
    metadata_file,
    parse_reference,
    plane_reference,
    read_json,
)

__all__ = [
    "MOST_IMAGE_BYTES",
    "MOST_JSON_BYTES",
    "READER_THREADS",
    "TEMPORARY_NAME",
    "TEMPORARY_PREFIX",
    "BackendEntry",
    "ChannelMetadata",
    "ChunkForm",
    "DataSink",
    "Entry",
    "FieldImages",
    "FileManager",
    "Finding",
    "FolderTrace",
    "ImageMetadata",
    "LocalPlate",
    "OpenHCSZarr",
    "PlaneForm",
    "PlateLayout",
    "PlateSource",
    "PlateTrace",
    "ReadableBackend",
    "RecordedPlate",
    "StorageBackend",
    "StorageRegistry",
    "StreamingBackend",
    "VirtualBackend",
    "WrittenImages",
    "absolute_plate",
    "array_status",
    "check_plate_metadata",
    "check_tiff_folder",
    "check_well",
    "choose_block",
    "compare_bytes",
    "create_storage_registry",
    "discover_all_backends",
    "first_difference",
    "get_backend_instance",
    "host_array",
    "is_folder",
    "is_unchanged",
    "is_well",
    "lacks_fields",
    "list_files",
    "list_planes",
    "metadata_file",
    "naming_full_disk",
    "open_plate_source",
    "operations_of",
    "parse_json",
    "parse_reference",
    "plane_reference",
    "read_batch",
    "read_image_metadata",
    "read_json",
    "read_plane",
    "read_planes",
    "replace_file",
    "run_parallel",
    "well_path",
    "write_plate_metadata",
    "write_tiff_folder",
    "write_well",
]
