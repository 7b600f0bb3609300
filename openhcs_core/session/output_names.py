"""Which files steps have ever been planned to write, so that gc removes these and no others."""

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from openhcs_core.plan import PLATE_TARGET, CompiledPipeline, StepPlan, well_files
from openhcs_core.storage import replace_file

_FOLDER = ".plan/outputs"
_WELL = "{well}"

OutputNames = dict[str, set[str]]
"""Step to paths below the plate's results, with ``{well}`` for the well."""


def remember_outputs(compiled: CompiledPipeline) -> None:
    """Add the files of today's plans to those that are known."""
    for plate in compiled.plates:
        known = read_output_names(compiled.results, plate.name)
        before = {step: set(names) for step, names in known.items()}
        for step in plate.steps:
            for own, _ in plate.variants(step):
                known.setdefault(step.step_name, set()).update(_names_of(own))
        if known != before:
            _write(_path(compiled.results, plate.name), known)


def read_output_names(results: str | Path, plate: str) -> OutputNames:
    """Return the files that a plate's steps have ever been planned to write, as remembered."""
    try:
        data = json.loads(_path(results, plate).read_bytes())
        return {step: set(names) for step, names in data.items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return {}


def planned_output_names(results: str | Path, plate: str) -> OutputNames:
    """Return these and the files of the plans that are there, of removed steps too."""
    names = read_output_names(results, plate)
    folder = Path(results, plate, "plan")
    for path in (*folder.glob("*.json"), *folder.glob("*/*.json")):
        try:
            plan = StepPlan.model_validate_json(path.read_bytes())
        except ValidationError:  # of a table or a store
            continue
        names.setdefault(plan.step_name, set()).update(_names_of(plan))
    return names


def _names_of(plan: StepPlan) -> set[str]:
    target = PLATE_TARGET if plan.is_plate_wide else _WELL
    paths = {file.path(plan.step_name, target) for file in well_files(plan)}
    return {output_name(path, target) for path in paths}


def output_name(path: str, well: str) -> str:
    """Return a path of a well as :data:`OutputNames` has it."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/{_WELL}{name.removeprefix(well)}"


def _write(path: Path, names: Mapping[str, set[str]]) -> None:
    data = {step: sorted(paths) for step, paths in sorted(names.items())}
    with replace_file(path, durable=False) as stream:
        stream.write(json.dumps(data, indent=1, ensure_ascii=False).encode())


def _path(results: str | Path, plate: str) -> Path:
    return Path(results, _FOLDER, f"{plate}.json")
