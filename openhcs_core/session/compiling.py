"""Config and plates in, plans and files out: the reading and writing around the compiler."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.compiler import (
    CompileRequest,
    check_document,
    compile_plate,
    find_mistakes,
    find_warnings,
)
from openhcs_core.config import (
    LocatedDocument,
    PipelineConfig,
    ResolvedPipeline,
    SettingsLevel,
    WorkflowConfig,
    config_levels,
    load_config,
    load_yaml,
    resolve_pipeline,
    validate,
)
from openhcs_core.emission import emit_plan_files, emit_plan_index, emit_rules
from openhcs_core.errors import (
    ConfigError,
    ErrorGroup,
    OpenHCSError,
    collecting,
    group_errors,
    raise_all,
    shortened,
)
from openhcs_core.plan import (
    LOCATION,
    CompiledPipeline,
    PlatePlan,
    plan_folder,
    readable_json,
)
from openhcs_core.registry import RegistryService
from openhcs_core.registry.user_source import absolute
from openhcs_core.runtime import Location
from openhcs_core.session.failed_apart import with_failed_apart
from openhcs_core.session.files import PLAN_INDEX, RULES, GeneratedFiles, LaterText
from openhcs_core.session.index_files import files_of_index
from openhcs_core.session.leftovers import find_leftovers
from openhcs_core.session.measurements import read_measurements
from openhcs_core.session.plates import OpenPlate, open_plate
from openhcs_core.session.python_pipelines import load_python
from openhcs_core.session.regrouped import Aims, read_aims
from openhcs_core.session.user_modules import module_warnings, open_functions
from openhcs_core.session.well_plans import with_lasting_plans
from openhcs_core.storage import absolute_plate

_SHOWN_LEFTOVERS = 6


@dataclass(frozen=True)
class Compilation:
    """Everything a run is made of.

    Attributes
    ----------
    config : WorkflowConfig
        As read.
    compiled : CompiledPipeline
        The plans.
    files : GeneratedFiles
        Text by path relative to the working directory.
    warnings : tuple of str
        What a person should know before the run.
    requests : tuple of CompileRequest
        What each plate was compiled from, for explanations.
    plates : tuple of OpenPlate
        What was read of each plate.
    """

    config: WorkflowConfig
    compiled: CompiledPipeline
    files: GeneratedFiles
    warnings: tuple[str, ...]
    requests: tuple[CompileRequest, ...] = ()
    plates: tuple[OpenPlate, ...] = ()

    @property
    def cache_root(self) -> Path:
        """Folder of the cache."""
        return _cache_root(self.config)


@dataclass(frozen=True)
class _CompiledPlate:
    request: CompileRequest
    plan: PlatePlan
    opened: OpenPlate
    files: dict[str, str | LaterText]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Pipeline:
    """A pipeline and its file, read once for all plates that use it."""

    document: LocatedDocument
    config: PipelineConfig
    warnings: tuple[str, ...] = ()

    def resolve(self, outer: Sequence[SettingsLevel] = ()) -> ResolvedPipeline:
        """Return the pipeline with the settings of all levels in its steps."""
        return resolve_pipeline(self.config, self.document, outer)


def compile_workflow(
    config_path: str, only: str | None = None, *, keeps_cut: bool = False
) -> Compilation:
    """Read a config, index its plates and compile its pipelines; write nothing.

    Parameters
    ----------
    config_path : str
        Usually ``config/config.yaml``. Paths in it are relative to the working directory.
    only : str, optional
        The one plate to look at; the others are as if the config had none of them.
    keeps_cut : bool
        Jobs have as many wells as the last compilation gave them, whatever these took since.

    Raises
    ------
    ErrorGroup
        Every problem of the config, its pipelines and plates.
    ConfigError
        The config has no such plate.
    """
    document = load_config(config_path)
    errors: list[OpenHCSError] = []
    functions = open_functions(document, errors)
    are_functions_known = not errors
    config = _with_plate(_read_config(document, functions, errors), only)
    are_settled = not _has_defaults(document)
    pipelines = _read_pipelines(_pipeline_paths(config), functions, errors, are_settled=are_settled)
    plates: list[_CompiledPlate] = []
    aims = read_aims(config, are_kept=keeps_cut)
    resolved: list[ResolvedPipeline] = []
    for name, settings in config.plates.items():
        where = document.where(("plates", name))
        pipeline = pipelines.get(settings.pipeline or config.pipeline)
        if pipeline is not None:
            resolved.append(pipeline.resolve(config_levels(config, document, name)))
        with collecting(errors, where):
            plate = open_plate(name, settings, Path(config.results), where, errors)
            if pipeline is not None and are_functions_known:
                plates.append(_compile_plate(plate, resolved[-1], config, functions, aims))
    if errors:  # a plate that cannot be read hides its pipeline's mistakes
        errors += _find_mistakes(resolved, functions)
    raise_all(config_path, errors)
    results = config.results.rstrip("/")
    compiled = CompiledPipeline(results=results, plates=tuple(plate.plan for plate in plates))
    warnings = _warnings(functions, pipelines.values(), plates)
    requests = tuple(plate.request for plate in plates)
    files = _collect_files(compiled, plates, plan_folder(only))
    opened = tuple(plate.opened for plate in plates)
    return Compilation(config, compiled, files, warnings, requests, opened)


def _warnings(
    functions: RegistryService, pipelines: Iterable[_Pipeline], plates: Iterable[_CompiledPlate]
) -> tuple[str, ...]:
    """Return what a person should know before the run: of modules, pipelines, plates."""
    warnings = module_warnings(functions)
    warnings += [text for pipeline in pipelines for text in pipeline.warnings]
    warnings += [text for plate in plates for text in plate.warnings]
    return tuple(warnings)


def _read_config(
    document: LocatedDocument, functions: RegistryService, errors: list[OpenHCSError]
) -> WorkflowConfig:
    """Check the config; when it is wrong, raise its mistakes and its pipeline's together."""
    try:
        return validate(WorkflowConfig, document)
    except ErrorGroup as group:
        errors += group.members
    data = document.data if isinstance(document.data, dict) else {}
    path = data.get("pipeline", WorkflowConfig.model_fields["pipeline"].default)
    if isinstance(path, str):
        are_settled = not _has_defaults(document)
        pipelines = _read_pipelines([path], functions, errors, are_settled=are_settled)
        resolved = [pipeline.resolve() for pipeline in pipelines.values()]
        errors += _find_mistakes(resolved, functions, are_settled=are_settled)
    raise group_errors(document.path, errors)


def _with_plate(config: WorkflowConfig, name: str | None) -> WorkflowConfig:
    """Return a config with one of its plates, or all when none is named."""
    if name is None:
        return config
    if name not in config.plates:
        raise ConfigError(
            f"no plate {name!r}; the config has {shortened(list(config.plates))} (to snakemake, "
            "give a name of digits as a list: --config 'plate=[\"007\"]')"
        )
    return config.model_copy(update={"plates": {name: config.plates[name]}})


def _has_defaults(document: LocatedDocument) -> bool:
    """Return whether a config, right or wrong, says anything for all steps of a pipeline."""
    return any("defaults" in path for path in document.lines)


def _read_pipelines(
    paths: Iterable[str],
    functions: RegistryService,
    errors: list[OpenHCSError],
    *,
    are_settled: bool,
) -> dict[str, _Pipeline]:
    """Return the pipelines whose files are right; what is wrong with others goes to `errors`.

    Parameters
    ----------
    are_settled : bool
        Nothing in the config changes settings of their steps.
    """
    pipelines = {}
    for path in paths:
        with collecting(errors):
            if path.endswith(".py"):
                pipelines[path] = _read_python_pipeline(path, functions, are_settled=are_settled)
            else:
                document = load_yaml(path)
                pipelines[path] = _Pipeline(document, validate(PipelineConfig, document))
    return pipelines


def _read_python_pipeline(path: str, functions: RegistryService, *, are_settled: bool) -> _Pipeline:
    script = load_python(path, functions)
    config = check_document(script, functions, are_settled=are_settled)
    return _Pipeline(script.document, config, script.warnings)


def _pipeline_paths(config: WorkflowConfig) -> list[str]:
    plates = config.plates.values()
    return list(dict.fromkeys(plate.pipeline or config.pipeline for plate in plates))


def _find_mistakes(
    resolved: Iterable[ResolvedPipeline], functions: RegistryService, *, are_settled: bool = True
) -> list[OpenHCSError]:
    return [
        error
        for one in resolved
        for error in find_mistakes(one.pipeline, one.document, functions, are_settled=are_settled)
    ]


def _compile_plate(
    plate: OpenPlate,
    resolved: ResolvedPipeline,
    config: WorkflowConfig,
    functions: RegistryService,
    aims: Aims,
) -> _CompiledPlate:
    request = CompileRequest(
        plate=plate.name,
        index=plate.index,
        wells=plate.wells,
        pipeline=resolved.pipeline,
        document=resolved.document,
        storage=resolved.storage,
        functions=functions,
        gpu=config.execution.gpu,
        granularity=config.execution.granularity,
        wells_per_job=config.execution.wells_per_job,
        minutes_per_job=config.execution.minutes_per_job,
        aimed=aims.by_plate.get(plate.name),
        keeps_aim=aims.are_kept,
        origins=resolved.origins,
        measured=read_measurements(
            Path(config.results, plate.name), (step.name for step in resolved.pipeline.steps)
        ),
    )
    plate_map = plate.plate_map
    plan = compile_plate(request, None if plate_map is None else plate_map.digest)
    plan = with_failed_apart(with_lasting_plans(plan, config.results), config.results)
    plan = plan.model_copy(update={"leaves_out": config.failed_wells == "leave_out"})
    files = {**emit_plan_files(plan), **_plate_files(plate, config, plan)}
    warnings = [*plate.index.warnings, *find_warnings(plan, request)]
    if plate_map is not None:
        warnings += plate_map.find_warnings(plate.wells)
    if leftovers := find_leftovers(plan, Path(config.results) / plate.name):
        more = len(leftovers) - _SHOWN_LEFTOVERS
        names = ", ".join(leftovers[:_SHOWN_LEFTOVERS]) + (f" and {more} more" if more > 0 else "")
        warnings.append(
            f"left by an earlier config and no longer updated: {names}; remove what nobody needs"
        )
    return _CompiledPlate(
        request, plan, plate, files, tuple(f"plate {plate.name!r}: {text}" for text in warnings)
    )


def _cache_root(config: WorkflowConfig) -> Path:
    return Path(config.storage.cache_dir or Path(config.results, ".cache")).resolve()


def _plate_files(
    plate: OpenPlate, config: WorkflowConfig, plan: PlatePlan
) -> dict[str, str | LaterText]:
    settings = plate.settings
    location = Location(
        plate_path=absolute_plate(settings.path),
        cache_dir=str(_cache_root(config)),
        plate_map=settings.plate_map and str(Path(settings.plate_map).resolve()),
        functions={Path(path).stem: absolute(path) for path in config.functions},
        gpus={step: asked.gpu for step, asked in plan.resources.items() if asked.gpu},
        tiles=plan.tiles,
        gpus_needed=tuple(step for step, asked in plan.resources.items() if asked.is_gpu_needed),
        fallbacks=config.fallbacks,
        failed_wells=config.failed_wells,
    )
    return {
        **files_of_index(plate, Path(config.results, plate.name)),
        LOCATION: readable_json(location.model_dump()),
    }


def _collect_files(
    compiled: CompiledPipeline, plates: Sequence[_CompiledPlate], folder: str
) -> GeneratedFiles:
    files = {
        f"{compiled.results}/{plate.plan.name}/{path}": text
        for plate in plates
        for path, text in plate.files.items()
    }
    files[f"{compiled.results}/{folder}/{PLAN_INDEX}"] = emit_plan_index(compiled)
    files[f"{compiled.results}/{folder}/{RULES}"] = emit_rules(compiled)
    return GeneratedFiles(files)
