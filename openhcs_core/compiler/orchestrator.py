"""A plate with all that compiling for its wells needs: data only."""

from dataclasses import dataclass, field
from typing import Literal

from openhcs_core.config import ImageStorageConfig, PipelineConfig, StepSettings
from openhcs_core.microscopes import PlateIndex
from openhcs_core.registry import RegistryService


@dataclass(frozen=True)
class PipelineOrchestrator:
    """One plate, to compile pipelines for.

    Attributes
    ----------
    plate : str
        Name in the config.
    index : PlateIndex
        What the plate consists of.
    wells : tuple of str
        The wells to work on, in plate order.
    functions : RegistryService
        The functions there are.
    storage : ImageStorageConfig
        How its kept images are stored.
    defaults : StepSettings
        Settings of every step that has none of its own.
    pipeline : PipelineConfig, optional
        A pipeline file's ``defaults``, ``storage`` and ``overrides`` hold for the steps that
        are compiled, whichever these are.
    gpu : str
        ``execution.gpu`` of the config: ``auto`` or ``none``.
    """

    plate: str
    index: PlateIndex
    wells: tuple[str, ...]
    functions: RegistryService
    storage: ImageStorageConfig = field(default_factory=ImageStorageConfig)
    defaults: StepSettings = field(default_factory=StepSettings)
    pipeline: PipelineConfig | None = None
    gpu: Literal["auto", "none"] = "auto"
