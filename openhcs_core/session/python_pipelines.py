"""Pipelines written in Python: run in a child process."""

import json
import sys
from collections.abc import Iterable

from openhcs_core.compiler import PythonPipeline, build_document
from openhcs_core.errors import ConfigError
from openhcs_core.pipeline.child_process import run_module
from openhcs_core.pipeline.script_data import ScriptData
from openhcs_core.registry import RegistryService

_CHILD = "openhcs_core.pipeline.python_file"
TIMEOUT_S = 120.0
"""A pipeline file only makes a list; this is for slow file systems and imports."""


def load_python(
    path: str, functions: RegistryService, timeout_s: float = TIMEOUT_S
) -> PythonPipeline:
    """Read a pipeline written in Python.

    Parameters
    ----------
    path : str
        A file that defines ``pipeline_steps``.
    functions : RegistryService
        The functions that its functions may be.
    timeout_s : float
        How long it may take.

    Raises
    ------
    ConfigError
        It cannot be read at all: the message has file, line and what was raised.
    """
    script = _run(path, [module.path for module in functions.modules], timeout_s)
    if fatal := [problem for problem in script.problems if problem.line is None]:
        raise ConfigError(fatal[0].message)
    return build_document(path, functions, script)


def _run(path: str, modules: Iterable[str], timeout_s: float) -> ScriptData:
    try:
        answer, exit_code = run_module(_CHILD, path, *modules, timeout_s=timeout_s)
    except TimeoutError as error:
        raise ConfigError(
            f"{path}: not read after {timeout_s:g} s; a pipeline file only defines "
            "pipeline_steps: take out what waits or computes"
        ) from error
    try:
        return ScriptData.model_validate(json.loads(answer))
    except ValueError as error:
        raise ConfigError(
            f"{path}: Python ended (exit code {exit_code}) before the file was read; "
            f"run it to see why: {sys.executable} {path}"
        ) from error
