"""What a run is repeated from: its config, pipeline, functions, plate map and Snakefile."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openhcs_core.config import WorkflowConfig
from openhcs_core.emission import emit_rules
from openhcs_core.errors import ConfigError
from openhcs_core.plan import CompiledPipeline, PlatePlan
from openhcs_core.registry.user_source import read_source
from openhcs_core.session.compiling import Compilation

CONFIG = "config.yaml"
SNAKEFILE = "workflow/Snakefile"
_WORKFLOW_FILES = (SNAKEFILE, "workflow/rules/common.smk", "workflow/envs/openhcs-core.yaml")
_PACKAGE = Path(__file__).parents[2]
_WORKFLOW_PLACES = (_PACKAGE / "_workflow", _PACKAGE.parent / "workflow")
"""Where the workflow is: in an installed package, and in a clone of the repository."""


@dataclass(frozen=True)
class CrateSources:
    """Files that a plate's run can be repeated from.

    Attributes
    ----------
    files : dict
        Content by path, relative to one folder that paths in the config are relative to.
    pipeline : str
        Which of them is the pipeline.
    plate_map : str or None
        Which of them is the plate map.
    functions : tuple of str
        Which of them are user modules.
    """

    files: Mapping[str, bytes]
    pipeline: str
    plate_map: str | None
    functions: tuple[str, ...]


def collect_sources(compilation: Compilation, plate: PlatePlan) -> CrateSources:
    """Read what a plate's results come from.

    The config has this plate alone, and everything that it names lies beside it.

    Parameters
    ----------
    compilation : Compilation
        Of the config that the results are of.
    plate : PlatePlan
        The plate.

    Raises
    ------
    ConfigError
        The workflow's own files are not there, or a pipeline or module cannot be read.
    """
    config = compilation.config
    settings = config.plates[plate.name]
    files = dict(workflow_files())
    pipeline, found = _with_modules(Path(settings.pipeline or config.pipeline), "pipeline")
    files |= found
    functions = []
    for path in map(Path, config.functions):
        name, found = _with_modules(path, f"functions/{path.stem}")
        functions.append(name)
        files |= found
    plate_map = None
    if settings.plate_map is not None:
        plate_map = f"plate_map/{Path(settings.plate_map).name}"
        files[plate_map] = Path(settings.plate_map).read_bytes()
    data = _config_of(config, plate.name, pipeline, plate_map, functions)
    files[CONFIG] = config_text(data)
    alone = CompiledPipeline(results=compilation.compiled.results, plates=(plate,))
    files["rules.smk"] = emit_rules(alone).encode()
    return CrateSources(files, pipeline, plate_map, tuple(functions))


def config_text(data: Mapping[str, Any]) -> bytes:
    """Return the text of a config; JSON is YAML, and reads back as what it was."""
    text = json.dumps(data, indent=1, ensure_ascii=False)
    return f"# The config of one plate, with the paths of this folder.\n{text}\n".encode()


def workflow_files() -> Iterator[tuple[str, bytes]]:
    """Yield the files of the workflow that comes with this software.

    Raises
    ------
    ConfigError
        This installation has none.
    """
    for folder in _WORKFLOW_PLACES:
        if (folder / "Snakefile").is_file():
            for name in _WORKFLOW_FILES:
                yield name, (folder.parent / name.replace("workflow", folder.name, 1)).read_bytes()
            return
    raise ConfigError(
        f"the workflow is not there: neither {_WORKFLOW_PLACES[0]} nor {_WORKFLOW_PLACES[1]}; "
        "install openhcs-core again"
    )


def _with_modules(path: Path, folder: str) -> tuple[str, dict[str, bytes]]:
    """Return where a pipeline or module goes, and its content with what it imports beside it."""
    name = f"{folder}/{path.name}"
    if path.suffix != ".py":
        return name, {name: path.read_bytes()}
    files = {
        f"{folder}/{file.path.relative_to(path.parent).as_posix()}": file.content
        for file in read_source(path).files.values()
        if not file.path.is_dir()  # a package without __init__.py
    }
    return name, files


def _config_of(
    config: WorkflowConfig,
    plate: str,
    pipeline: str,
    plate_map: str | None,
    functions: list[str],
) -> dict[str, Any]:
    """Return what a config says of one plate, with the paths of the crate."""
    data: dict[str, Any] = config.model_dump(mode="json", exclude_unset=True)
    own = data["plates"][plate]
    own.pop("pipeline", None)
    own.pop("plate_map", None)
    if plate_map is not None:
        own["plate_map"] = plate_map
    if "storage" in data:
        data["storage"].pop("cache_dir", None)
    data |= {"plates": {plate: own}, "pipeline": pipeline, "results": "results"}
    return data | ({"functions": functions} if functions else {})
