"""What the compiler is given for one plate, and how it collects errors."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

from openhcs_core.compiler.plate_values import ComponentValues, component_values
from openhcs_core.config import (
    ImageStorageConfig,
    KeyPath,
    Level,
    LocatedDocument,
    Origin,
    PipelineConfig,
)
from openhcs_core.constants import MemoryType
from openhcs_core.errors import CompileError, OpenHCSError, located
from openhcs_core.memory import installed_memory_types
from openhcs_core.microscopes import PlateIndex
from openhcs_core.plan import BatchAim, FunctionPlan, Measurement
from openhcs_core.registry import FunctionMetadata


class FunctionCatalogue(Protocol):
    """Where the compiler looks functions up."""

    def find(self, ref: str) -> FunctionMetadata:
        """Return the metadata of ``library:name`` or raise CompileError."""


@dataclass(frozen=True)
class CompileRequest:
    """One plate, its pipeline and everything needed to plan it.

    Attributes
    ----------
    plate : str
        Name in the config.
    index : PlateIndex
        What the plate consists of.
    wells : tuple of str
        The wells to work on.
    pipeline, document : PipelineConfig, LocatedDocument
        The pipeline, all levels of settings resolved, and its file for line numbers.
    storage : ImageStorageConfig
        How kept images are stored, resolved as well.
    functions : FunctionCatalogue
        Function metadata by reference.
    memory_types : tuple of MemoryType
        The memory types a job can hold: those whose libraries are installed here.
    gpu : str
        ``auto``: jobs that can use a GPU ask for it; ``none``: there is no GPU.
    granularity : str
        ``step``: a job does one step; ``fused``: as many as can be.
    wells_per_job : int or "auto"
        Wells that a job does one after another; ``auto``: as many as take `minutes_per_job`.
    minutes_per_job : int
        What ``auto`` aims at.
    aimed : BatchAim or None
        What it chose the last time.
    keeps_aim : bool
        It is chosen again, however far off: a live run has it.
    origins : mapping of key path to Origin
        Where settings come from; those that are not in it are the step's own.
    measured : mapping of str to sequence of Measurement
        By step, what jobs of earlier runs took.

    Raises
    ------
    ValueError
        The pipeline's ``defaults`` or ``storage`` are not resolved: they would be ignored.
    """

    plate: str
    index: PlateIndex
    wells: tuple[str, ...]
    pipeline: PipelineConfig
    document: LocatedDocument
    storage: ImageStorageConfig
    functions: FunctionCatalogue
    memory_types: tuple[MemoryType, ...] = field(default_factory=installed_memory_types)
    gpu: Literal["auto", "none"] = "auto"
    granularity: Literal["step", "fused"] = "step"
    wells_per_job: int | Literal["auto"] = 1
    minutes_per_job: int = 10
    aimed: BatchAim | None = None
    keeps_aim: bool = False
    origins: Mapping[KeyPath, Origin] = field(default_factory=dict)
    measured: Mapping[str, Sequence[Measurement]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pipeline.defaults.model_fields_set or self.pipeline.storage.model_fields_set:
            raise ValueError(
                "the pipeline has defaults or storage of its own; give what resolve_pipeline "
                "makes of it"
            )

    def origin(self, step: int, *setting: str) -> Origin:
        """Return where a setting of a step comes from, by the step's number."""
        return self.origins.get(("steps", step, *setting), Origin(Level.STEP))

    @cached_property
    def values(self) -> ComponentValues:
        """The values of every component over the wells to work on, in natural order."""
        return component_values(self.index, self.wells)

    @cached_property
    def sites(self) -> tuple[int, ...]:
        """Sites that any well of the plate has, ascending."""
        return self.index.sites

    @cached_property
    def planned(self) -> dict[Hashable, FunctionPlan]:
        """Functions planned so far, by all that decides how: wells have most of them in common."""
        return {}


@dataclass
class ErrorList:
    """Collects errors with their place in the pipeline file, so that one run shows them all."""

    document: LocatedDocument
    errors: list[OpenHCSError] = field(default_factory=list)

    def add(self, message: str, *at: KeyPath) -> None:
        """Note one error, with the place or places it comes from."""
        error = CompileError(message)
        for place in at:
            located(error, self.document.where(place))
        self.errors.append(error)
