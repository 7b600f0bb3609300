"""What the compiler is given for one plate, and how it collects errors."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from openhcs_core.config import KeyPath, LocatedDocument, PipelineConfig, VFSConfig
from openhcs_core.constants import MemoryType
from openhcs_core.errors import CompileError, OpenHCSError, located
from openhcs_core.memory import FRAMEWORKS
from openhcs_core.microscopes import PlateIndex
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
        The pipeline, and its file for line numbers.
    storage : VFSConfig
        How kept images are stored.
    functions : FunctionCatalogue
        Function metadata by reference.
    memory_types : tuple of MemoryType
        The memory types a job can hold.
    gpu : str
        ``auto``: jobs that can use a GPU ask for it; ``none``: there is no GPU.
    """

    plate: str
    index: PlateIndex
    wells: tuple[str, ...]
    pipeline: PipelineConfig
    document: LocatedDocument
    storage: VFSConfig
    functions: FunctionCatalogue
    memory_types: tuple[MemoryType, ...] = field(
        default_factory=lambda: tuple(MemoryType(name) for name in FRAMEWORKS)
    )
    gpu: Literal["auto", "none"] = "auto"


@dataclass
class ErrorList:
    """Collects errors with their place in the pipeline file, so that one run shows them all."""

    document: LocatedDocument
    errors: list[OpenHCSError] = field(default_factory=list)

    def add(self, message: str, at: KeyPath) -> None:
        """Note one error."""
        error = CompileError(message)
        located(error, self.document.where(at))
        self.errors.append(error)
