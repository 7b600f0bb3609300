"""Settings: frozen models of config and pipeline files, read with line numbers."""

from openhcs_core.config.base import FrozenModel
from openhcs_core.config.storage import (
    ImageBackend,
    MaterializeConfig,
    VFSConfig,
    ZarrChunkStrategy,
    ZarrCompressor,
    ZarrConfig,
)
from openhcs_core.config.workflow import (
    OverrideConfig,
    PipelineConfig,
    PlateConfig,
    ResourcesConfig,
    StepConfig,
    WorkflowConfig,
)
from openhcs_core.config.yaml_ import KeyPath, LocatedDocument, load_yaml, render_key_path, validate

__all__ = [
    "FrozenModel",
    "ImageBackend",
    "KeyPath",
    "LocatedDocument",
    "MaterializeConfig",
    "OverrideConfig",
    "PipelineConfig",
    "PlateConfig",
    "ResourcesConfig",
    "StepConfig",
    "VFSConfig",
    "WorkflowConfig",
    "ZarrChunkStrategy",
    "ZarrCompressor",
    "ZarrConfig",
    "load_yaml",
    "render_key_path",
    "validate",
]
