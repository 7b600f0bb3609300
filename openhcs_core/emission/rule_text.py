"""The parts that generated rules have in common: sections, paths, commands."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from openhcs_core.planes import WELL_REGEX, split_well

K = TypeVar("K")

ENVIRONMENT = "    conda:\n        OPENHCS_ENVIRONMENT"
"""Software of jobs for those who let Snakemake deploy it; a name of workflow/rules/common.smk."""
_WELL_CONSTRAINTS = {"well": WELL_REGEX}
_ROW_CONSTRAINTS = {"row": "[A-Z]{1,2}", "column": "[0-9]{2}"}
_LINE_LENGTH = 88
_SLASH = r"\W?"
"""What may stand between row and column; a plain slash would be one of the path."""


def shared(pairs: Iterator[tuple[K, str]]) -> list[tuple[K, list[str]]]:
    """Group plates by equal rules, in order of first appearance."""
    groups: dict[K, list[str]] = {}
    for key, plate in pairs:
        groups.setdefault(key, []).append(plate)
    return list(groups.items())


def put_together(results: str, name: str, step: str, target: str, sections: list[str]) -> str:
    """Put a rule together: its own sections, then the command."""
    command = (
        f"openhcs-core run-step --plate-dir {shell_literal(results)}/{{wildcards.plate:q}} "
        f"--step {shell_literal(step)} {target} --digest {{params.digest}} --log {{log:q}}"
    )
    return command_rule(name, command, sections)


def command_rule(name: str, command: str, sections: list[str]) -> str:
    """Put a rule of any command together."""
    shell = f"    shell:\n        {json.dumps(command, ensure_ascii=False)}"
    return "\n".join([f"rule {name}:", *sections, shell, ""])


@dataclass(frozen=True)
class Paths:
    """Writes paths below ``<results>/{plate}/`` as Python string literals."""

    results: str

    def text(self, path: str) -> str:
        """Return the literal of a path below a plate's results."""
        return json.dumps(f"{self.results}/{{plate}}/{path}", ensure_ascii=False)


def lookup(function: str, key: str) -> str:
    """Return a function of wildcards that looks `key` up (workflow/rules/common.smk)."""
    return f"lambda w: {function}({json.dumps(key, ensure_ascii=False)}, w)"


def shell_literal(text: str) -> str:
    """Quote for the shell, and keep Snakemake's formatting out."""
    return shlex.quote(text).replace("{", "{{").replace("}", "}}")


def asked_resources(step: str, gpu: int, gpu_model: str | None) -> dict[str, str]:
    """Return what a job asks for, under the names that executor plugins read."""
    name = json.dumps(step, ensure_ascii=False)
    return {
        "mem_mb": f"lambda w, attempt: openhcs_mem_mb({name}, w, attempt)",
        "runtime": f"lambda w, attempt: openhcs_runtime({name}, w, attempt)",
    } | asked_gpu(gpu, gpu_model)


def asked_gpu(gpu: int, gpu_model: str | None) -> dict[str, str]:
    """Return what a job asks for of GPUs; nothing where it asks for none."""
    asked = {"gpu": str(gpu)} if gpu else {}
    return asked if gpu_model is None else asked | {"gpu_model": json.dumps(gpu_model)}


def called(key: str, names: str, function: str, *arguments: str) -> str:
    """Return a lambda of `names` that calls a function with arguments and these names.

    Parameters
    ----------
    key : str
        What stands before it; a long line is broken as snakefmt would do it.
    """
    inner = ", ".join((*arguments, names))
    head = f"lambda {names}: {function}("
    if len(f"        {key}={head}{inner})") <= _LINE_LENGTH:
        return f"{head}{inner})"
    return f"{head}\n            {inner}\n        )"


def any_of(plates: list[str]) -> str:
    """Return the constraint of a wildcard that is one of some plates."""
    return json.dumps("|".join(re.escape(plate) for plate in plates), ensure_ascii=False)


def well_constraints(wells: tuple[str, ...], *, is_row: bool) -> dict[str, str]:
    """Return the constraints of a well's wildcards: of any well, or of some.

    Parameters
    ----------
    is_row : bool
        The wildcards are row and column, not the well.
    """
    constraints = _ROW_CONSTRAINTS if is_row else _WELL_CONSTRAINTS
    if wells and is_row:  # row and column together are one of the wells
        row = f"(?={_any_well(wells, between=_SLASH)}){constraints['row']}"
        constraints = constraints | {"row": row}
    elif wells:
        constraints = {"well": _any_well(wells)}
    return {key: json.dumps(value) for key, value in constraints.items()}


def _any_well(wells: tuple[str, ...], between: str = "") -> str:
    """Return a regular expression for some wells, such as ``A(?:01|02)|B(?:01)``."""
    rows: dict[str, list[str]] = {}
    for row, column in map(split_well, wells):
        rows.setdefault(row, []).append(column)
    return "|".join(f"{row}{between}(?:{'|'.join(columns)})" for row, columns in rows.items())


def section(name: str, items: dict[str, str]) -> str:
    """Return a section of a rule, a line an item; an item whose key is no name stands alone."""
    lines = "".join(
        f"\n        {f'{key}=' if key.isidentifier() else ''}{value},"
        for key, value in items.items()
    )
    return f"    {name}:{lines}"
