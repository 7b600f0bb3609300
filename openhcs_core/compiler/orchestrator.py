"""A plate with all that compiling for its wells needs: data only."""

from dataclasses import dataclass, field
from typing import Literal

from openhcs_core.config import OverrideConfig, VFSConfig
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
    storage : VFSConfig
        How kept images are stored.
    overrides : tuple of OverrideConfig
        Other parameters for some wells, as in a pipeline file.
    gpu : str
        ``execution.gpu`` of the config: ``auto`` or ``none``.
    """

    plate: str
    index: PlateIndex
    wells: tuple[str, ...]
    functions: RegistryService
    storage: VFSConfig = field(default_factory=VFSConfig)
    overrides: tuple[OverrideConfig, ...] = ()
    gpu: Literal["auto", "none"] = "auto"
