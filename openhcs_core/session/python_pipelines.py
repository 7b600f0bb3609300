"""Pipelines written in Python: run in a child process, mapped to the functions there are."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from openhcs_core.config import KeyPath, LocatedDocument
from openhcs_core.errors import ConfigError, OpenHCSError, located
from openhcs_core.pipeline.script_data import ScriptCall, ScriptChain, ScriptData, ScriptStep
from openhcs_core.registry import REGISTRIES, RegistryService

_CHILD = "openhcs_core.pipeline.python_file"
_NATIVE = "openhcs"
TIMEOUT_S = 120.0
"""A pipeline file only makes a list; this is for slow file systems and imports."""


@dataclass(frozen=True)
class PythonPipeline:
    """A pipeline file written in Python, as if it had been YAML.

    Attributes
    ----------
    document : LocatedDocument
        Data and lines; a function with a problem is replaced by a placeholder.
    problems : list of OpenHCSError
        What cannot be used.
    warnings : tuple of str
        What is left out.
    """

    document: LocatedDocument
    problems: list[OpenHCSError]
    warnings: tuple[str, ...]


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
    script = _run(path, timeout_s)
    if fatal := [problem for problem in script.problems if problem.line is None]:
        raise ConfigError(fatal[0].message)
    assembled = _Document(path, functions)
    for problem in script.problems:
        assembled.note(problem.message, problem.line or 1, problem.at)
    return assembled.assemble(script)


def _run(path: str, timeout_s: float) -> ScriptData:
    with subprocess.Popen(
        [sys.executable, "-m", _CHILD, path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,  # so that what a hanging script started ends with it
    ) as child:
        try:
            answer, _ = child.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise ConfigError(
                f"{path}: not read after {timeout_s:g} s; a pipeline file only defines "
                "pipeline_steps: take out what waits or computes"
            ) from error
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
    try:
        return ScriptData.model_validate(json.loads(answer))
    except ValueError as error:
        raise ConfigError(
            f"{path}: Python ended (exit code {child.returncode}) before the file was read; "
            f"run it to see why: {sys.executable} {path}"
        ) from error


@dataclass
class _Document:
    """Builds what :func:`load_yaml` would have returned."""

    path: str
    functions: RegistryService
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[OpenHCSError] = field(default_factory=list)

    def note(self, message: str, line: int, at: KeyPath) -> None:
        document = LocatedDocument(self.path, None, {at: line})
        self.problems.append(located(ConfigError(message), document.where(at)))

    def assemble(self, script: ScriptData) -> PythonPipeline:
        self.lines.update({(key,): line for key, line in script.lines.items()})
        steps = [self._step(step, number) for number, step in enumerate(script.steps)]
        document = LocatedDocument(self.path, {**script.settings, "steps": steps}, self.lines)
        return PythonPipeline(document, self.problems, script.warnings)

    def _step(self, step: ScriptStep, number: int) -> dict[str, Any]:
        at: KeyPath = ("steps", number)
        self.lines[at] = step.line
        self.lines.update({(*at, key): line for key, line in step.lines.items()})
        name = step.settings.get("name")
        label = f"step {name!r}: " if isinstance(name, str) else ""
        func: Any = self._placeholder()
        if step.chain is not None:
            func = self._chain(step.chain, label, (*at, "func"))
        elif step.by_component is not None:
            func = {
                key: self._chain(chain, label, (*at, "func", key))
                for key, chain in step.by_component.items()
            }
        return {**_default_name(step.chain), **step.settings, "func": func}

    def _chain(self, chain: ScriptChain, label: str, at: KeyPath) -> Any:
        self.lines[at] = chain.line
        if not chain.calls:
            return self._placeholder()
        if not chain.is_list:
            return self._call(chain.calls[0], label, at)
        return [self._call(call, label, (*at, number)) for number, call in enumerate(chain.calls)]

    def _call(self, call: ScriptCall, label: str, at: KeyPath) -> dict[str, Any]:
        try:
            ref = find_reference(call, self.functions)
        except ConfigError as error:
            self.note(f"{label}{error}", call.line, at)
            return self._placeholder()
        self.lines[at] = self.lines[(*at, ref)] = call.line
        self.lines.update({(*at, ref, key): line for key, line in call.lines.items()})
        return {ref: call.parameters}

    def _placeholder(self) -> dict[str, Any]:
        """Return a function without mistakes, so that other mistakes can be looked for."""
        return {next(iter(self.functions.get_functions(_NATIVE))): {}}


def _default_name(chain: ScriptChain | None) -> Mapping[str, str]:
    """Name a step without a name by its function, if it has one function."""
    if chain is None or len(chain.calls) != 1:
        return {}
    call = chain.calls[0]
    full = call.written or call.dotted[0]
    return {"name": full.rpartition(":")[2].rpartition(".")[2]}


def find_reference(call: ScriptCall, functions: RegistryService) -> str:
    """Return ``library:name`` of a function that a script names.

    Raises
    ------
    ConfigError
        There is none, or more than one; the message names the nearest.
    """
    if call.written is not None:
        return _find_written(call.written, functions)
    candidates = [ref for dotted in call.dotted for ref in _references(dotted)]
    for ref in candidates:
        if ref in functions.get_functions(ref.partition(":")[0]):
            return ref
    own_module = "" if candidates else "; modules of your own cannot be named yet"
    raise ConfigError(_no_counterpart(call.dotted[0], functions) + own_module)


def _find_written(name: str, functions: RegistryService) -> str:
    if ":" in name:
        return name  # the compiler checks it as it does in YAML
    found = [ref for ref in functions.get_all_functions_with_metadata() if name == _own_name(ref)]
    if len(found) > 1:
        raise ConfigError(f"{name!r} is the name of {', '.join(found)}; write one of these")
    if not found:
        raise ConfigError(_no_counterpart(repr(name), functions))
    return found[0]


def _references(dotted: str) -> Iterator[str]:
    """Yield the references that an importable name may have here."""
    library, _, rest = dotted.partition(".")
    if library == "openhcs":
        virtual, _, function = rest.partition(".")
        if virtual in REGISTRIES and function:  # openhcs.skimage.filters.gaussian
            yield f"{virtual}:{function}"
        yield f"{_NATIVE}:{_own_name(dotted)}"
    elif dotted.startswith("openhcs_core.functions."):
        yield f"{_NATIVE}:{_own_name(dotted)}"
    elif library in REGISTRIES:
        yield f"{library}:{rest}"


def _own_name(name: str) -> str:
    return name.rpartition(":")[2].rpartition(".")[2]


def _no_counterpart(name: str, functions: RegistryService) -> str:
    known = {_own_name(ref): ref for ref in functions.get_all_functions_with_metadata()}
    close = get_close_matches(_own_name(name.strip("'")), known, n=1)
    nearest = f"nearest: {known[close[0]]!r}" if close else "nothing is named like it"
    return f"{name} is not among the functions here; {nearest}; see 'openhcs-core functions list'"
