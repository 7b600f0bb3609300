"""Settings: frozen models of config and pipeline files, read with line numbers."""

from openhcs_core.config.base import FrozenModel
from openhcs_core.config.environment import (
    GPU_VARIABLE,
    NO_GPU_VARIABLE,
    RUN_VARIABLE,
    GivenGpus,
    given_gpus,
    gpus_hidden,
    gpus_shown,
    is_without_gpu_backends,
    run_of_this_job,
    slurm_job,
)
from openhcs_core.config.filename_pattern import compile_pattern
from openhcs_core.config.generic import GenericConfig
from openhcs_core.config.names import check_name
from openhcs_core.config.plate_table import load_config
from openhcs_core.config.resolve import (
    Level,
    Origin,
    ResolvedPipeline,
    SettingsLevel,
    config_levels,
    plate_settings,
    resolve_pipeline,
)
from openhcs_core.config.storage import (
    ZARR_GROUP_FILES,
    ImageBackend,
    ImageStorageConfig,
    MaterializeConfig,
    OmeZarrVersion,
    VFSConfig,
    ZarrChunkStrategy,
    ZarrCompressor,
    ZarrConfig,
)
from openhcs_core.config.workflow import (
    LIBRARIES,
    ModulePath,
    OverrideConfig,
    PipelineConfig,
    PlateConfig,
    ResourcesConfig,
    StepConfig,
    StepSettings,
    WorkflowConfig,
)
from openhcs_core.config.yaml_ import KeyPath, LocatedDocument, load_yaml, render_key_path, validate

__all__ = [
    "GPU_VARIABLE",
    "LIBRARIES",
    "NO_GPU_VARIABLE",
    "RUN_VARIABLE",
    "ZARR_GROUP_FILES",
    "FrozenModel",
    "GenericConfig",
    "GivenGpus",
    "ImageBackend",
    "ImageStorageConfig",
    "KeyPath",
    "Level",
    "LocatedDocument",
    "MaterializeConfig",
    "ModulePath",
    "OmeZarrVersion",
    "Origin",
    "OverrideConfig",
    "PipelineConfig",
    "PlateConfig",
    "ResolvedPipeline",
    "ResourcesConfig",
    "SettingsLevel",
    "StepConfig",
    "StepSettings",
    "VFSConfig",
    "WorkflowConfig",
    "ZarrChunkStrategy",
    "ZarrCompressor",
    "ZarrConfig",
    "check_name",
    "compile_pattern",
    "config_levels",
    "given_gpus",
    "gpus_hidden",
    "gpus_shown",
    "is_without_gpu_backends",
    "load_config",
    "load_yaml",
    "plate_settings",
    "render_key_path",
    "resolve_pipeline",
    "run_of_this_job",
    "slurm_job",
    "validate",
]
