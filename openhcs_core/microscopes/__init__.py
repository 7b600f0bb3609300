"""What plates consist of: handlers that read an instrument's folders and metadata.

Handlers list a folder and read a few image headers; no pixel is read, nothing is
written into a plate, and no array library is imported.
"""

from openhcs_core.microscopes.base import FilenameParts, MicroscopeHandler
from openhcs_core.microscopes.collector import collector_paused
from openhcs_core.microscopes.handler_registry import (
    AUTO,
    ENTRY_POINT_GROUP,
    HANDLERS,
    HandlerChoice,
    choose_handler,
    find_claims,
    get_handler,
    known_handlers,
    load_handler,
)
from openhcs_core.microscopes.kept_index import FORMAT as KEPT_FORMAT
from openhcs_core.microscopes.kept_index import decode_index, encode_index
from openhcs_core.microscopes.metadata import (
    METADATA_FILENAME,
    build_workspace_metadata,
    dump,
    get_available_backends,
    get_image_files,
    get_primary_backend,
    open_workspace,
    read_workspace_metadata,
    virtual_mapping,
)
from openhcs_core.microscopes.plate_index import (
    Acquisition,
    ChannelInfo,
    ImageFile,
    Plane,
    PlateIndex,
)
from openhcs_core.microscopes.selection import (
    INDEX_VERSION,
    WellIndex,
    check_has_images,
    select_wells,
    well_index,
)

__all__ = [
    "AUTO",
    "ENTRY_POINT_GROUP",
    "HANDLERS",
    "INDEX_VERSION",
    "KEPT_FORMAT",
    "METADATA_FILENAME",
    "Acquisition",
    "ChannelInfo",
    "FilenameParts",
    "HandlerChoice",
    "ImageFile",
    "MicroscopeHandler",
    "Plane",
    "PlateIndex",
    "WellIndex",
    "build_workspace_metadata",
    "check_has_images",
    "choose_handler",
    "collector_paused",
    "decode_index",
    "dump",
    "encode_index",
    "find_claims",
    "get_available_backends",
    "get_handler",
    "get_image_files",
    "get_primary_backend",
    "known_handlers",
    "load_handler",
    "open_workspace",
    "read_workspace_metadata",
    "select_wells",
    "virtual_mapping",
    "well_index",
]
