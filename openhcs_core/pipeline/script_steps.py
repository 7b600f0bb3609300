"""From the FunctionSteps of a script to data, with a line for everything that is written out."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from openhcs_core.config import KeyPath
from openhcs_core.pipeline.function_step import FunctionStep
from openhcs_core.pipeline.script_data import ScriptCall, ScriptChain, ScriptProblem, ScriptStep
from openhcs_core.pipeline.script_settings import PROCESSING, read_keyword, read_processing
from openhcs_core.pipeline.script_values import RefusedError, describe, name_function, plain


class StepReader:
    """Reads the steps of one script.

    Parameters
    ----------
    path : str
        The script.
    tree : ast.Module
        Its syntax.
    defaults, defaults_line : mapping, int
        Settings of steps that do not give them, and where they stand.

    Attributes
    ----------
    problems, warnings : list
        What was found on the way.
    """

    def __init__(
        self, path: str, tree: ast.Module, defaults: Mapping[str, Any], defaults_line: int = 1
    ) -> None:
        self._path = path
        self._defaults, self._defaults_line = defaults, defaults_line
        self._calls = {
            (node.end_lineno, node.end_col_offset): node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
        }
        self.problems: list[ScriptProblem] = []
        self.warnings: list[str] = []

    def read(self, step: FunctionStep, number: int) -> ScriptStep:
        """Return one step; what is wrong with it goes to `problems`."""
        node, line = self._locate(step)
        nodes = {word.arg: word.value for word in node.keywords if word.arg} if node else {}
        if node and node.args:
            nodes["func"] = node.args[0]
        reading = _Step(step, ("steps", number), line, nodes)
        data = reading.read(self._defaults, self._defaults_line)
        self.problems += reading.problems
        self.warnings += [f"{self._path}:{line}: {text}" for line, text in reading.warnings]
        return data

    def _locate(self, step: FunctionStep) -> tuple[ast.Call | None, int]:
        """Return the call in the script that made a step, if it did so itself, and its line."""
        for depth, place in enumerate(step.places):
            if place.file == self._path:
                call = self._calls.get((place.end_line, place.end_column)) if depth == 0 else None
                return call, place.line
        return None, 1


class _Step:
    """One step while it is read."""

    def __init__(
        self, step: FunctionStep, at: KeyPath, line: int, nodes: Mapping[str, ast.expr]
    ) -> None:
        self._step, self._at, self._line, self._nodes = step, at, line, nodes
        self._settings: dict[str, Any] = {}
        self._setting_lines: dict[str, int] = {}
        self._parameters: dict[str, Any] = {}
        self.problems: list[ScriptProblem] = []
        self.warnings: list[tuple[int, str]] = []

    def read(self, defaults: Mapping[str, Any], defaults_line: int) -> ScriptStep:
        """Return the step as data."""
        self._settings |= defaults
        self._setting_lines |= dict.fromkeys(defaults, defaults_line)
        self._read_keywords()
        chain, by_component = None, None
        with self._noting("func"):
            func = self._step.func
            if isinstance(func, Mapping) and func:
                by_component = self._read_component_dict(func)
            else:
                chain = self._read_chain(func, self._nodes.get("func"), (*self._at, "func"))
        self._take_slice_by_slice([chain] if chain else list((by_component or {}).values()))
        if self._settings.get("group_by") == "none":
            del self._settings["group_by"]
            if by_component is not None:
                self._note("GroupBy.NONE cannot pick entries of a dict; name a component", "func")
        return ScriptStep(
            settings=self._settings,
            chain=self._give_parameters(chain),
            by_component=by_component,
            line=self._line,
            lines={**self._setting_lines, **{key: x.lineno for key, x in self._nodes.items()}},
        )

    def _read_keywords(self) -> None:
        for key, value in self._step.others.items():
            with self._noting(key):
                meaning = read_keyword(key, value)
                self._settings |= meaning.settings
                self._setting_lines |= dict.fromkeys(meaning.settings, self._line_of(key))
                self._parameters |= meaning.parameters
                if meaning.warning is not None:
                    self.warnings.append((self._line_of(key), meaning.warning))
        for key in ("name", *PROCESSING):
            value = getattr(self._step, key)
            with self._noting(key):
                self._settings |= (
                    read_processing({key: value})
                    if key in PROCESSING
                    else {}
                    if value is None
                    else {key: plain(value)}
                )
            if value is not None:
                self._setting_lines[key] = self._line_of(key)

    def _read_component_dict(self, func: Mapping[Any, Any]) -> dict[str, ScriptChain]:
        node = self._nodes.get("func")
        written = isinstance(node, ast.Dict) and len(node.values) == len(func)
        nodes = node.values if written and isinstance(node, ast.Dict) else [node] * len(func)
        chains: dict[str, ScriptChain] = {}
        for (key, value), value_node in zip(func.items(), nodes, strict=True):
            name = str(plain(key))
            if name in chains:
                raise RefusedError(f"key {name!r} stands twice (once as a number); keep one")
            chains[name] = self._read_chain(value, value_node, (*self._at, "func", name))
        return chains

    def _read_chain(self, func: Any, node: ast.expr | None, at: KeyPath) -> ScriptChain:
        line = node.lineno if node is not None else self._line
        if not isinstance(func, list):
            calls = tuple(self._read_call(func, node, at))
            return ScriptChain(calls=calls, is_list=False, line=line)
        written = isinstance(node, ast.List) and len(node.elts) == len(func)
        nodes: Sequence[ast.expr | None] = (
            node.elts if written and isinstance(node, ast.List) else [node] * len(func)
        )
        if not func:
            self._note_at("an empty list of functions; name at least one", line, at)
        calls = tuple(
            call
            for number, item in enumerate(func)
            for call in self._read_call(item, nodes[number], (*at, number))
        )
        return ScriptChain(calls=calls, is_list=True, line=line)

    def _read_call(self, item: Any, node: ast.expr | None, at: KeyPath) -> Iterator[ScriptCall]:
        """Yield the call, or nothing after noting why it is none."""
        line = node.lineno if node is not None else self._line
        parts = node.elts if isinstance(node, ast.Tuple) and len(node.elts) == 2 else []
        function, given = item if isinstance(item, tuple) and len(item) == 2 else (item, {})
        lines = _key_lines(parts[1] if parts else None)
        try:
            call = name_function(function, parts[0].lineno if parts else line)
        except RefusedError as error:
            self._note_at(str(error), line, at)
            return
        parameters: dict[str, Any] = {}
        if isinstance(given, Mapping):
            for key, value in given.items():
                try:
                    parameters[str(key)] = plain(value)
                except RefusedError as error:
                    message = f"parameter {key!r}: {error}"
                    self._note_at(message, lines.get(str(key), line), (*at, str(key)))
        else:
            found = describe(given)
            message = f"parameters must be a dict such as {{'sigma': 2}}; found {found}"
            self._note_at(message, line, at)
        yield call.model_copy(update={"parameters": parameters, "lines": lines})

    def _give_parameters(self, chain: ScriptChain | None) -> ScriptChain | None:
        """Hand parameters that stand at the step to its function, if there is only one."""
        if not self._parameters or (chain is not None and not chain.calls):
            return chain
        if chain is None or chain.is_list or isinstance(self._step.func, tuple):
            names = ", ".join(sorted(self._parameters))
            self._note(
                f"{names}: parameters of a step are for a single function; "
                "write (function, {parameters})",
                next(iter(self._parameters)),
            )
            return chain
        update = {
            "parameters": self._parameters,
            "lines": {key: self._line_of(key) for key in self._parameters},
        }
        return chain.model_copy(update={"calls": (chain.calls[0].model_copy(update=update),)})

    def _take_slice_by_slice(self, chains: Sequence[ScriptChain]) -> None:
        """Make OpenHCS's slice_by_slice of each function the step's."""
        calls = [call for chain in chains for call in chain.calls]
        said = [call.parameters.pop("slice_by_slice", None) for call in calls]
        if any(other != said[0] for other in said):
            self._note(
                "slice_by_slice differs between functions; it is a setting of a step here: "
                "split the step",
                "func",
            )
        elif said and said[0] is not None:
            self._settings.setdefault("slice_by_slice", said[0])

    def _line_of(self, key: str) -> int:
        node = self._nodes.get(key)
        return node.lineno if node is not None else self._line

    @contextmanager
    def _noting(self, key: str) -> Iterator[None]:
        try:
            yield
        except RefusedError as error:
            self._note(str(error), key)

    def _note(self, message: str, key: str) -> None:
        self._note_at(message, self._line_of(key), (*self._at, key))

    def _note_at(self, message: str, line: int, at: KeyPath) -> None:
        name = self._step.name
        text = f"step {name!r}: {message}" if isinstance(name, str) else message
        self.problems.append(ScriptProblem(message=text, line=line, at=at))


def _key_lines(node: ast.expr | None) -> dict[str, int]:
    """Return the line of each key of a dict that is written out."""
    if isinstance(node, ast.Dict):
        return {str(key.value): key.lineno for key in node.keys if isinstance(key, ast.Constant)}
    if isinstance(node, ast.Call):  # dict(sigma=2)
        return {word.arg: word.value.lineno for word in node.keywords if word.arg}
    return {}
