"""Read a pipeline written in Python: ``python -m openhcs_core.pipeline.python_file FILE MODULE…``.

Runs in a process of its own and writes :class:`ScriptData` as JSON to its standard output;
what the script prints goes to standard error.
"""

import ast
import json
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from openhcs_core.pipeline.function_step import FunctionStep
from openhcs_core.pipeline.script_data import ScriptData, ScriptProblem
from openhcs_core.pipeline.script_settings import read_pipeline_config
from openhcs_core.pipeline.script_steps import StepReader
from openhcs_core.pipeline.script_values import SCRIPT_MODULE, RefusedError, describe, plain
from openhcs_core.pipeline.stand_ins import Call, openhcs_stand_ins

_EXPECTED = "pipeline_steps = [FunctionStep(...), ...]"
_SETTINGS = {
    "pipeline_name": "name",
    "pipeline_defaults": "defaults",
    "pipeline_storage": "storage",
    "overrides": "overrides",
}
"""Names in the file beside the steps, and the keys of a pipeline file that they stand for."""


def read_script(path: str) -> ScriptData:
    """Run a pipeline file in this process and return its steps as data.

    Parameters
    ----------
    path : str
        The file.
    """
    try:
        source = Path(path).read_bytes()
        tree = ast.parse(source, path)
        code = compile(source, path, "exec", dont_inherit=True)
    except OSError as error:
        reason = error.strerror or "unreadable"
        return _failed(f"{path}: {reason}; expected a Python file there")
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        return _failed(f"{path}:{line}: not valid Python: {getattr(error, 'msg', error)}")
    module = ModuleType(SCRIPT_MODULE)
    module.__file__ = path
    sys.modules[SCRIPT_MODULE] = module  # dataclasses of a script look themselves up
    sys.path.insert(0, str(Path(path).resolve().parent))
    with openhcs_stand_ins():
        try:
            exec(code, module.__dict__)  # noqa: S102  the user's own file
        except SystemExit as error:
            message = f"the file ends the process (exit code {error.code}) before it is read"
            return _failed(f"{path}:{_line(error, path)}: {message}")
        except Exception as error:  # noqa: BLE001  a script may raise anything
            return _failed(f"{path}:{_line(error, path)}: {type(error).__name__}: {error}")
        return _read_namespace(path, tree, vars(module))


def _failed(message: str) -> ScriptData:
    return ScriptData(problems=(ScriptProblem(message=message),))


def _line(error: BaseException, path: str) -> int:
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == path), 1)


def _read_namespace(path: str, tree: ast.Module, names: Mapping[str, Any]) -> ScriptData:
    lines = _assignment_lines(tree)
    problems: list[ScriptProblem] = []
    warnings: list[str] = []
    settings: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    if (found := _find_steps(names)) is None:
        return _failed(f"{path}: pipeline_steps is not defined; {_remedy(names)}")
    for name, key in _SETTINGS.items():
        try:
            if name in names:
                settings[key] = plain(names[name])
        except RefusedError as error:
            problems.append(_problem(str(error), name, lines, key))
    try:
        defaults, unused = read_pipeline_config(names.get("pipeline_config"))
        where = f"{path}:{lines.get('pipeline_config', 1)}: pipeline_config"
        if unused:
            remedy = "not used; config/config.yaml has settings of its own"
            warnings.append(f"{where}: {', '.join(unused)}: {remedy}")
    except RefusedError as error:
        problems.append(_problem(f"pipeline_config: {error}", "pipeline_config", lines))
    reader = StepReader(path, tree, defaults, lines.get("pipeline_config", 1))
    steps = []
    for number, step in enumerate(found):
        if isinstance(step, FunctionStep):
            steps.append(reader.read(step, number))
        else:
            message = f"expected a FunctionStep; found {describe(step)}"
            problems.append(_problem(message, "pipeline_steps", lines, "steps", number))
    key_lines = {"pipeline_steps": "steps", **_SETTINGS}
    return ScriptData(
        settings=settings,
        steps=tuple(steps),
        lines={key: lines[name] for name, key in key_lines.items() if name in lines},
        warnings=(*warnings, *reader.warnings),
        problems=(*problems, *reader.problems),
    )


def _problem(message: str, name: str, lines: Mapping[str, int], *at: str | int) -> ScriptProblem:
    return ScriptProblem(message=message, line=lines.get(name, 1), at=at)


def _find_steps(names: Mapping[str, Any]) -> Sequence[Any] | None:
    found = names.get("pipeline_steps")
    if isinstance(found, Call) and found.name == "Pipeline":
        found = found.keywords.get("steps", next(iter(found.arguments), None))
    return found if isinstance(found, (list, tuple)) else None


def _remedy(names: Mapping[str, Any]) -> str:
    """Return what to define, and which list was perhaps meant."""
    for name, value in names.items():
        if isinstance(value, (list, tuple)) and any(isinstance(x, FunctionStep) for x in value):
            return f"expected {_EXPECTED} at the top level; rename {name!r}"
    return f"expected {_EXPECTED} at the top level, outside functions and `if __name__` blocks"


def _assignment_lines(tree: ast.Module) -> dict[str, int]:
    """Return the line where each name of the file is first assigned."""
    lines: dict[str, int] = {}
    for node in ast.walk(tree):
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                lines.setdefault(target.id, node.lineno)  # type: ignore[attr-defined]
    return lines


def main(arguments: list[str]) -> int:
    """Print the data of a file; it may import the modules whose files stand after it."""
    (path, *modules) = arguments
    sys.path += [str(Path(module).resolve().parent) for module in modules]
    answer = os.dup(1)
    os.dup2(2, 1)  # prints of the script and of what it starts
    data = read_script(path)
    with os.fdopen(answer, "w", encoding="utf-8") as stream:
        json.dump(data.model_dump(), stream)
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
