"""Pipelines written in Python as if they had been YAML: steps mapped to the functions there are."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, NamedTuple

from openhcs_core.compiler.path_planner import find_mistakes
from openhcs_core.config import (
    KeyPath,
    LocatedDocument,
    PipelineConfig,
    StepConfig,
    render_key_path,
    resolve_pipeline,
    validate,
)
from openhcs_core.errors import (
    CompileError,
    ConfigError,
    OpenHCSError,
    collecting,
    group_errors,
    located,
)
from openhcs_core.pipeline import FunctionStep
from openhcs_core.pipeline.script_data import ScriptCall, ScriptChain, ScriptData, ScriptStep
from openhcs_core.pipeline.script_steps import StepReader
from openhcs_core.registry import REGISTRIES, RegistryService

_NATIVE = "openhcs"


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


def build_document(path: str, functions: RegistryService, script: ScriptData) -> PythonPipeline:
    """Return the document of a pipeline whose steps are known as data.

    Parameters
    ----------
    path : str
        The file, for messages.
    functions : RegistryService
        The functions that its functions may be.
    script : ScriptData
        Its steps, with what is wrong with them.
    """
    assembled = _Document(path, functions)
    for problem in script.problems:
        assembled.note(problem.message, problem.line or 1, problem.at)
    return assembled.assemble(script)


def read_steps(steps: Sequence[FunctionStep], functions: RegistryService) -> PythonPipeline:
    """Return the document of steps that were made in this process.

    Parameters
    ----------
    steps : sequence of FunctionStep
        In pipeline order.
    functions : RegistryService
        The functions that theirs may be.
    """
    path = _common_file(steps)
    reader = StepReader(path, ast.Module(body=[], type_ignores=[]), {})
    read = tuple(reader.read(step, number) for number, step in enumerate(steps))
    script = ScriptData(
        steps=read, problems=tuple(reader.problems), warnings=tuple(reader.warnings)
    )
    return build_document(path, functions, script)


def check_document(
    script: PythonPipeline, functions: RegistryService, *, are_settled: bool = True
) -> PipelineConfig:
    """Return the pipeline of a document.

    Parameters
    ----------
    are_settled : bool
        No level before the pipeline's changes settings of its steps.

    Raises
    ------
    ErrorGroup
        Every mistake that can be known without a plate.
    """
    problems = list(script.problems)
    with collecting(problems):
        config = validate(PipelineConfig, script.document)
        if not problems:
            return config
        resolved = resolve_pipeline(config, script.document)
        problems += find_mistakes(
            resolved.pipeline, resolved.document, functions, are_settled=are_settled
        )
    raise group_errors(script.document.path, problems)


class ResolvedSteps(NamedTuple):
    """Steps as a pipeline: its settings, where they stand, and what is left out of them."""

    pipeline: PipelineConfig
    document: LocatedDocument
    warnings: tuple[str, ...] = ()


def resolve_steps(
    steps: Sequence[FunctionStep] | Sequence[StepConfig], functions: RegistryService
) -> ResolvedSteps:
    """Return steps in their one form, whichever they were written in.

    Raises
    ------
    CompileError
        No steps, or something else among them.
    ErrorGroup
        Every mistake that can be known without a plate.
    """
    if not steps:
        raise CompileError("no steps; a pipeline has at least one")
    kind = StepConfig if isinstance(steps[0], StepConfig) else FunctionStep
    for number, step in enumerate(steps):
        if not isinstance(step, kind):
            found = type(step).__name__
            raise CompileError(
                f"steps[{number}]: expected a {kind.__name__}, as FunctionStep(func=…); "
                f"found {found}: {step!r}"
            )
    ours = [step for step in steps if isinstance(step, StepConfig)]
    if ours:
        return ResolvedSteps(PipelineConfig(steps=tuple(ours)), _WithoutFile("pipeline", None, {}))
    written = read_steps([step for step in steps if isinstance(step, FunctionStep)], functions)
    pipeline = check_document(written, functions)
    return ResolvedSteps(pipeline, written.document, written.warnings)


class _WithoutFile(LocatedDocument):
    """Steps that were made without a file: their places are key paths alone."""

    def where(self, key_path: KeyPath) -> str:
        return render_key_path(key_path)


def _common_file(steps: Sequence[FunctionStep]) -> str:
    """Return the innermost file that all steps come from, else the first step's."""
    files = [[place.file for place in step.places] for step in steps]
    return next((file for file in files[0] if all(file in others for others in files)), files[0][0])


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
    if call.file is not None and (own := functions.find_module(call.file)) is not None:
        return f"{own}:{_own_name(call.dotted[0])}"  # the compiler checks it as it does in YAML
    candidates = [ref for dotted in call.dotted for ref in _references(dotted)]
    for ref in candidates:
        if ref in functions.get_functions(ref.partition(":")[0]):
            return ref
    own_module = (
        "" if candidates else "; if it is yours, name its file under functions: in the config"
    )
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
