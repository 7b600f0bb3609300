"""What a child process tells about a pipeline written in Python: JSON, nothing to run."""

from typing import Any

from openhcs_core.config import FrozenModel, KeyPath


class ScriptCall(FrozenModel):
    """One function with its parameters.

    Attributes
    ----------
    written : str or None
        The text that names it, when it is named by text.
    dotted : tuple of str
        Names it can be imported by, the one people use first, when it is an object.
    parameters : dict
        As given.
    line : int
        Of the function.
    lines : dict
        Of the parameters that have one.
    file : str or None
        Of the module that defines it, when it is an object.
    """

    written: str | None = None
    dotted: tuple[str, ...] = ()
    parameters: dict[str, Any] = {}
    line: int
    lines: dict[str, int] = {}
    file: str | None = None


class ScriptChain(FrozenModel):
    """Functions for one component value or for all; `is_list` when written as a list."""

    calls: tuple[ScriptCall, ...]
    is_list: bool
    line: int


class ScriptStep(FrozenModel):
    """One step: `settings` as in a pipeline file, without ``func``."""

    settings: dict[str, Any] = {}
    chain: ScriptChain | None = None
    by_component: dict[str, ScriptChain] | None = None
    line: int
    lines: dict[str, int] = {}


class ScriptProblem(FrozenModel):
    """What is wrong at one place; without a key path, with the file as a whole."""

    message: str
    line: int | None = None
    at: KeyPath = ()


class ScriptData(FrozenModel):
    """A whole pipeline file."""

    settings: dict[str, Any] = {}
    steps: tuple[ScriptStep, ...] = ()
    lines: dict[str, int] = {}
    warnings: tuple[str, ...] = ()
    problems: tuple[ScriptProblem, ...] = ()
