"""Config and plates in, plans and files out: the reading and writing around the compiler."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.compiler import CompileRequest, compile_plate, find_warnings
from openhcs_core.config import (
    LocatedDocument,
    PipelineConfig,
    PlateConfig,
    WorkflowConfig,
    load_yaml,
    validate,
)
from openhcs_core.emission import emit_plan_files, emit_plan_index, emit_rules
from openhcs_core.errors import (
    ErrorGroup,
    InputDataError,
    OpenHCSError,
    located,
    raise_all,
    render_error,
)
from openhcs_core.microscopes import (
    PlateIndex,
    build_workspace_metadata,
    dump,
    get_handler,
    select_wells,
    well_index,
)
from openhcs_core.plan import (
    LOCATION,
    WORKSPACE_METADATA,
    CompiledPipeline,
    PlatePlan,
    StepPlan,
    index_path,
    readable_json,
)
from openhcs_core.registry import RegistryService
from openhcs_core.runtime import Location
from openhcs_core.session.plate_map import read_plate_map

_SHOWN_MISSING = 12


@dataclass(frozen=True)
class Compilation:
    """Everything a run is made of.

    Attributes
    ----------
    config : WorkflowConfig
        As read.
    compiled : CompiledPipeline
        The plans.
    files : dict
        Text by path relative to the working directory.
    warnings : tuple of str
        What a person should know before the run.
    """

    config: WorkflowConfig
    compiled: CompiledPipeline
    files: dict[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _CompiledPlate:
    plan: PlatePlan
    files: dict[str, str]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Pipeline:
    """A pipeline and its file, read once for all plates that use it."""

    document: LocatedDocument
    config: PipelineConfig


def compile_workflow(config_path: str) -> Compilation:
    """Read a config, index its plates and compile its pipelines; write nothing.

    Parameters
    ----------
    config_path : str
        Usually ``config/config.yaml``. Paths in it are relative to the working directory.

    Raises
    ------
    ErrorGroup
        Every problem of the config, its pipelines and plates.
    """
    document = load_yaml(config_path)
    config = validate(WorkflowConfig, document)
    pipelines = _read_pipelines(config)
    functions = RegistryService()
    plates: list[_CompiledPlate] = []
    errors: list[OpenHCSError] = []
    for name, settings in config.plates.items():
        pipeline = pipelines[settings.pipeline or config.pipeline]
        try:
            plates.append(_compile_plate(name, config, pipeline, functions))
        except ErrorGroup as group:
            errors += [error for error in group.exceptions if isinstance(error, OpenHCSError)]
        except OpenHCSError as error:
            located(error, document.where(("plates", name)))
            errors.append(error)
    _raise_distinct(config_path, errors)
    results = config.results.rstrip("/")
    compiled = CompiledPipeline(results=results, plates=tuple(plate.plan for plate in plates))
    warnings = tuple(warning for plate in plates for warning in plate.warnings)
    return Compilation(config, compiled, _collect_files(compiled, plates), warnings)


def _read_pipelines(config: WorkflowConfig) -> dict[str, _Pipeline]:
    paths = dict.fromkeys(plate.pipeline or config.pipeline for plate in config.plates.values())
    pipelines = {}
    for path in paths:
        document = load_yaml(path)
        pipelines[path] = _Pipeline(document, validate(PipelineConfig, document))
    return pipelines


def _raise_distinct(config_path: str, errors: Sequence[OpenHCSError]) -> None:
    """Raise errors; a mistake of a pipeline that several plates share is one mistake."""
    distinct = list({render_error(error): error for error in errors}.values())
    raise_all(config_path, distinct)


def _compile_plate(
    name: str, config: WorkflowConfig, pipeline: _Pipeline, functions: RegistryService
) -> _CompiledPlate:
    settings = config.plates[name]
    index = get_handler(settings.microscope, Path(settings.path)).index(Path(settings.path))
    wells = _choose_wells(name, index, settings)
    plate_map = None if settings.plate_map is None else read_plate_map(settings.plate_map)
    request = CompileRequest(
        plate=name,
        index=index,
        wells=wells,
        pipeline=pipeline.config,
        document=pipeline.document,
        storage=config.storage,
        functions=functions,
    )
    plan = compile_plate(request, None if plate_map is None else plate_map.digest)
    plan = _with_sticky_plans(plan, Path(config.results) / name)
    files = emit_plan_files(plan) | _plate_files(index, wells, settings, config)
    warnings = [*index.warnings, *find_warnings(plan, request)]
    if plate_map is not None:
        warnings += plate_map.find_warnings(wells)
    return _CompiledPlate(plan, files, tuple(f"plate {name!r}: {text}" for text in warnings))


def _choose_wells(name: str, index: PlateIndex, settings: PlateConfig) -> tuple[str, ...]:
    wells = select_wells(index, settings.wells, settings.exclude_wells)
    _check_missing(name, index, wells, settings)
    present = set(index.wells)
    chosen = tuple(well for well in wells if well in present)
    if not chosen:
        raise InputDataError(
            f"plate {name!r}: none of the chosen wells has images; correct wells or exclude_wells"
        )
    return chosen


def _check_missing(
    name: str, index: PlateIndex, wells: Sequence[str], settings: PlateConfig
) -> None:
    missing = [key for key in index.missing if key.well in wells]
    if missing and settings.missing_images == "error":
        shown = ", ".join(key.filename for key in missing[:_SHOWN_MISSING])
        more = f" and {len(missing) - _SHOWN_MISSING} more" if len(missing) > _SHOWN_MISSING else ""
        raise InputDataError(
            f"plate {name!r}: {len(missing)} images are missing in {settings.path}: {shown}{more}; "
            "copy them, leave the wells out (exclude_wells), or accept holes "
            "(missing_images: allow)"
        )


def _with_sticky_plans(plan: PlatePlan, plate_dir: Path) -> PlatePlan:
    """Give wells that ever had a plan of their own one again, so that its removal is noticed."""
    well_steps = {step: dict(wells) for step, wells in plan.well_steps.items()}
    for step in plan.steps:
        mine: dict[str, StepPlan] = {
            path.stem: step
            for path in sorted((plate_dir / "plan" / step.step_name).glob("*.json"))
            if path.stem in plan.wells
        }
        if mine:
            well_steps[step.step_name] = mine | well_steps.get(step.step_name, {})
    return plan.model_copy(update={"well_steps": well_steps})


def _plate_files(
    index: PlateIndex, wells: Sequence[str], settings: PlateConfig, config: WorkflowConfig
) -> dict[str, str]:
    cache = config.storage.cache_dir or str(Path(config.results, ".cache"))
    location = Location(
        plate_path=str(Path(settings.path).resolve()),
        cache_dir=str(Path(cache).resolve()),
        plate_map=settings.plate_map and str(Path(settings.plate_map).resolve()),
    )
    return {
        **{
            index_path(well): readable_json(well_index(index, well, raw=settings.raw))
            for well in wells
        },
        WORKSPACE_METADATA: dump(build_workspace_metadata(index)),
        LOCATION: readable_json(location.model_dump()),
    }


def _collect_files(compiled: CompiledPipeline, plates: Sequence[_CompiledPlate]) -> dict[str, str]:
    files = {
        f"{compiled.results}/{plate.plan.name}/{path}": text
        for plate in plates
        for path, text in plate.files.items()
    }
    files[f"{compiled.results}/.plan/plan.json"] = emit_plan_index(compiled)
    files[f"{compiled.results}/.plan/rules.smk"] = emit_rules(compiled)
    return files
