"""The models behind ``config/config.yaml`` and ``config/pipeline.yaml``."""

import re
from keyword import iskeyword
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from openhcs_core.config.base import FrozenModel
from openhcs_core.config.generic import GenericConfig
from openhcs_core.config.names import check_name, check_path
from openhcs_core.config.storage import ImageStorageConfig, MaterializeConfig, VFSConfig
from openhcs_core.config.zarr_plate import ZarrPlateConfig
from openhcs_core.constants import Component
from openhcs_core.planes import WELL_REGEX

LIBRARIES = frozenset({"openhcs", "skimage", "scipy", "cle", "cupy", "cucim", "torch", "auto"})
"""What stands before the colon of functions that come with this software."""

Name = Annotated[str, AfterValidator(check_name)]
FilePath = Annotated[str, AfterValidator(check_path)]
Fallback = Literal["cpu_roundtrip", "oom_split", "oom_cpu"]
Well = Annotated[str, StringConstraints(pattern=rf"^{WELL_REGEX}$")]


def _check_selection(wells: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(wells, str):
        if wells != "all" and not re.fullmatch(f"{WELL_REGEX}:{WELL_REGEX}", wells):
            raise ValueError("expected all, a list such as [A01, B02], or a rectangle 'A01:C12'")
        return wells
    wrong = [well for well in wells if not re.fullmatch(WELL_REGEX, well)]
    if wrong:
        raise ValueError(
            f"not wells: {', '.join(wrong)}; expected letters and two digits, e.g. B02"
        )
    return wells


def _check_stacked(components: tuple[Component, ...]) -> tuple[Component, ...]:
    if len(set(components)) < len(components):
        raise ValueError("a component stands twice; name each once")
    return components


def _check_results(folder: str) -> str:
    if set(folder) & set("{}'\"$*?[]\\\n"):
        raise ValueError(
            f"{folder!r} has a sign that paths in rules cannot have: braces, quotes, $*?[] or \\"
        )
    return folder


def _check_module(path: str) -> str:
    check_path(path)
    stem = PurePath(path).stem
    if PurePath(path).suffix != ".py" or not stem.isidentifier() or iskeyword(stem):
        raise ValueError(
            "a user module is a file such as workflow/functions/mine.py; its stem is a Python name"
        )
    if stem in LIBRARIES:
        raise ValueError(f"{stem!r} is the name of a library of ours; rename the file")
    return path


ModulePath = Annotated[str, AfterValidator(_check_module)]


def _check_modules(paths: tuple[str, ...]) -> tuple[str, ...]:
    named: dict[str, str] = {}
    for path in paths:
        other = named.setdefault(PurePath(path).stem, path)
        if other != path or paths.count(path) > 1:
            raise ValueError(
                f"{other} and {path} would both be '{PurePath(path).stem}:'; rename one"
            )
    return paths


def _check_fallbacks(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"named twice: {', '.join(twice)}; name each once")
    return names


WellSelection = Annotated[str | tuple[str, ...], AfterValidator(_check_selection)]


class ResourcesConfig(FrozenModel):
    """What a job of a step asks its scheduler for."""

    mem_mb: Annotated[int, Field(ge=1, strict=True)] | None = None
    runtime: Annotated[int, Field(ge=1, strict=True, description="Minutes")] | None = None
    gpu: (
        Annotated[
            int,
            Field(ge=0, strict=True, description="GPUs, for functions that use one; 0: on the CPU"),
        ]
        | None
    ) = None
    gpu_model: (
        Annotated[
            str, Field(pattern="^[A-Za-z0-9_.]+$", description="The scheduler's name, e.g. a100")
        ]
        | None
    ) = None


class StepSettings(FrozenModel):
    """Settings that steps may share: what ``defaults:`` may hold, and the base of every step."""

    variable_components: Annotated[
        tuple[Component, ...],
        AfterValidator(_check_stacked),
        Field(min_length=1, description="Stacked along axis 0 of the [Z, Y, X] array"),
    ] = (Component.SITE,)
    group_by: Annotated[
        Component, Field(description="The component whose value picks a component dict's entry")
    ] = Component.CHANNEL
    slice_by_slice: Annotated[
        bool | None,
        Field(strict=True, description="null: along anything but z, for functions that do both"),
    ] = None
    keep: Annotated[bool, Field(strict=True, description="Keep the images")] = False
    output_dtype: (
        Annotated[
            Literal["uint8", "uint16", "int32", "float32", "float64"],
            Field(description="Cast the result; values that do not fit are an error"),
        ]
        | None
    ) = None
    resources: ResourcesConfig = ResourcesConfig()


class PlateConfig(FrozenModel):
    """One plate: where its images are and which of its wells to work on."""

    path: Annotated[
        FilePath, Field(min_length=1, description="Folder of the plate, or a URL: s3://, https://")
    ]
    microscope: Annotated[
        str,
        Field(
            pattern="^[a-z][a-z0-9_]*$",
            description="auto looks and says what it found; or a handler's name: imagexpress, …",
        ),
    ] = "auto"
    generic: Annotated[
        GenericConfig | None,
        Field(description="Of microscope generic: what file names say"),
    ] = None
    ome_zarr: Annotated[
        ZarrPlateConfig | None,
        Field(description="Of microscope ome_zarr: which of the images in each well to take"),
    ] = None
    wells: Annotated[
        WellSelection,
        Field(description='all, a list such as [A01, B02], or a rectangle "A01:C12"'),
    ] = "all"
    exclude_wells: WellSelection = ()
    missing_images: Annotated[
        Literal["error", "allow"], Field(description="allow leaves explicit holes")
    ] = "error"
    raw: Annotated[
        Literal["checked", "immutable"],
        Field(description="checked notices changed images by size and mtime; immutable by name"),
    ] = "checked"
    pipeline: Annotated[FilePath | None, Field(description="Overrides the global pipeline")] = None
    plate_map: Annotated[
        FilePath | None,
        Field(description="CSV with a column 'well'; joined into every plate table"),
    ] = None
    defaults: Annotated[
        StepSettings, Field(description="Settings of every step, for this plate")
    ] = StepSettings()
    storage: Annotated[ImageStorageConfig, Field(description="Kept images of this plate")] = (
        ImageStorageConfig()
    )

    @model_validator(mode="after")
    def _check_generic(self) -> "PlateConfig":
        if (self.microscope == "generic") != (self.generic is not None):
            raise ValueError(
                "microscope: generic and generic: {pattern: '{well}_{site}_{channel}.tif'} go "
                "together; give both, or neither"
            )
        if self.ome_zarr is not None and self.microscope != "ome_zarr":
            raise ValueError(
                "ome_zarr: {…} says which images of an OME-Zarr plate to take; it goes with "
                "microscope: ome_zarr"
            )
        return self


class ExecutionConfig(FrozenModel):
    """How steps and wells are cut into jobs, and whether these get GPUs."""

    granularity: Annotated[
        Literal["step", "fused"],
        Field(description="step: a job does one step; fused: as many as can be, images in memory"),
    ] = "step"
    wells_per_job: Annotated[
        Annotated[int, Field(ge=1, strict=True)] | Literal["auto"],
        Field(
            description="Wells that a job does one after another; auto: as many as are predicted "
            "to take minutes_per_job"
        ),
    ] = 1
    minutes_per_job: Annotated[
        int, Field(ge=1, strict=True, description="What wells_per_job: auto aims at")
    ] = 10
    gpu: Annotated[
        Literal["auto", "none"],
        Field(description="auto: jobs that can use a GPU ask for it; none: all run on the CPU"),
    ] = "auto"


def _or_a_table(schema: dict[str, Any]) -> None:
    """Say in the schema of plates that a file may list them (``plate_table``)."""
    mapping = {key: schema.pop(key) for key in [*schema] if key not in ("title", "description")}
    table = {"type": "string", "description": "A table of tab-separated values, a row a plate"}
    schema["anyOf"] = [mapping, table]


class WorkflowConfig(FrozenModel):
    """Everything in ``config/config.yaml``."""

    plates: Annotated[dict[Name, PlateConfig], Field(min_length=1, json_schema_extra=_or_a_table)]
    pipeline: FilePath = "config/pipeline.yaml"
    results: Annotated[FilePath, Field(min_length=1), AfterValidator(_check_results)] = "results"
    functions: Annotated[
        tuple[ModulePath, ...],
        AfterValidator(_check_modules),
        Field(description="User modules: workflow/functions/mine.py has the functions mine:…"),
    ] = ()
    failed_wells: Annotated[
        Literal["report", "leave_out"],
        Field(
            description="report: what needs all wells waits for a failed one; leave_out: it goes "
            "on without it"
        ),
    ] = "report"
    version_drift: Annotated[
        Literal["warn", "refuse", "ignore"],
        Field(
            description="When results were made with other versions than are installed: warn; "
            "refuse to start; ignore"
        ),
    ] = "warn"
    fallbacks: Annotated[
        tuple[Fallback, ...],
        AfterValidator(_check_fallbacks),
        Field(
            description="What jobs may do when memory runs out in a function that declares "
            "oom_recovery; the result is the same"
        ),
    ] = ()
    execution: ExecutionConfig = ExecutionConfig()
    storage: VFSConfig = VFSConfig()
    defaults: Annotated[
        StepSettings, Field(description="Settings of every step that has none of its own")
    ] = StepSettings()


class StepConfig(StepSettings):
    """One step of a pipeline.

    ``func`` takes four forms: a reference ``library:name``; a mapping from one
    reference to its parameters; a list of these (a chain); a mapping from
    component values to any of these.
    """

    name: Name
    func: Annotated[
        str | list[Any] | dict[str, Any],
        Field(
            description="library:name, {library:name: {parameters}}, a list, or a component dict"
        ),
    ]
    scope: Annotated[
        Literal["well", "plate"], Field(description="plate: one job does all wells at once")
    ] = "well"
    input_source: Literal["previous", "pipeline_start"] = "previous"
    passthrough: Annotated[
        tuple[str, ...], Field(description="Component values left as they are")
    ] = ()
    materialize: Annotated[
        MaterializeConfig | None,
        Field(description="Keep this step's images: by which backend, and where"),
    ] = None


class OverrideConfig(FrozenModel):
    """Other parameters for some wells."""

    plates: Annotated[tuple[str, ...], Field(description="Empty: every plate")] = ()
    wells: Annotated[tuple[Well, ...], Field(min_length=1)]
    set: Annotated[dict[str, dict[str, Any]], Field(min_length=1, description="step: parameters")]


class PipelineConfig(FrozenModel):
    """Everything in ``config/pipeline.yaml``."""

    name: Name = "pipeline"
    steps: Annotated[tuple[StepConfig, ...], Field(min_length=1)]
    defaults: Annotated[
        StepSettings, Field(description="Settings of every step that has none of its own")
    ] = StepSettings()
    storage: Annotated[ImageStorageConfig, Field(description="Kept images of this pipeline")] = (
        ImageStorageConfig()
    )
    overrides: tuple[OverrideConfig, ...] = ()
