"""Settings: frozen models of config and pipeline files, read with line numbers.

Models and what reads them are imported when they are asked for: jobs need hardly any.
"""

from typing import TYPE_CHECKING

from openhcs_core.config.base import FrozenModel, KeyPath
from openhcs_core.ground.environment import (
    GPU_VARIABLE,
    GPU_VARIABLES,
    LIFELINE_VARIABLE,
    NO_GPU_VARIABLE,
    PILOT_VARIABLE,
    RUN_VARIABLE,
    GivenGpus,
    given_gpus,
    gpus_hidden,
    gpus_shown,
    is_without_gpu_backends,
    pilot_started,
    run_of_this_job,
    slurm_job,
    take_lifeline,
)
from openhcs_core.ground.lazily import importing_lazily
from openhcs_core.ground.zarr_groups import ZARR_GROUP_FILES, OmeZarrVersion

if TYPE_CHECKING:
    from openhcs_core.config.filename_pattern import (
        compile_pattern,
    )
    from openhcs_core.config.generic import (
        GenericConfig,
    )
    from openhcs_core.config.names import (
        check_name,
    )
    from openhcs_core.config.plate_table import (
        load_config,
    )
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
        ImageBackend,
        ImageStorageConfig,
        MaterializeConfig,
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
    from openhcs_core.config.yaml_ import (
        LocatedDocument,
        load_yaml,
        render_key_path,
        validate,
    )
    from openhcs_core.config.zarr_plate import (
        ZarrPlateConfig,
    )
else:
    __getattr__ = importing_lazily(
        __name__,
        {
            "openhcs_core.config.filename_pattern": ("compile_pattern",),
            "openhcs_core.config.generic": ("GenericConfig",),
            "openhcs_core.config.names": ("check_name",),
            "openhcs_core.config.plate_table": ("load_config",),
            "openhcs_core.config.resolve": (
                "Level",
                "Origin",
                "ResolvedPipeline",
                "SettingsLevel",
                "config_levels",
                "plate_settings",
                "resolve_pipeline",
            ),
            "openhcs_core.config.storage": (
                "ImageBackend",
                "ImageStorageConfig",
                "MaterializeConfig",
                "VFSConfig",
                "ZarrChunkStrategy",
                "ZarrCompressor",
                "ZarrConfig",
            ),
            "openhcs_core.config.workflow": (
                "LIBRARIES",
                "ModulePath",
                "OverrideConfig",
                "PipelineConfig",
                "PlateConfig",
                "ResourcesConfig",
                "StepConfig",
                "StepSettings",
                "WorkflowConfig",
            ),
            "openhcs_core.config.yaml_": (
                "LocatedDocument",
                "load_yaml",
                "render_key_path",
                "validate",
            ),
            "openhcs_core.config.zarr_plate": ("ZarrPlateConfig",),
        },
    )

__all__ = [
    "GPU_VARIABLE",
    "GPU_VARIABLES",
    "LIBRARIES",
    "LIFELINE_VARIABLE",
    "NO_GPU_VARIABLE",
    "PILOT_VARIABLE",
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
    "ZarrPlateConfig",
    "check_name",
    "compile_pattern",
    "config_levels",
    "given_gpus",
    "gpus_hidden",
    "gpus_shown",
    "is_without_gpu_backends",
    "load_config",
    "load_yaml",
    "pilot_started",
    "plate_settings",
    "render_key_path",
    "resolve_pipeline",
    "run_of_this_job",
    "slurm_job",
    "take_lifeline",
    "validate",
]
