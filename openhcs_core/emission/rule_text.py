"""The parts that generated rules have in common: sections, paths, commands."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K")

ENVIRONMENT = "    conda:\n        OPENHCS_ENVIRONMENT"
"""Software of jobs for those who let Snakemake deploy it; a name of workflow/rules/common.smk."""


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
    asked = {
        "mem_mb": f"lambda w, attempt: openhcs_mem_mb({name}, w, attempt)",
        "runtime": f"lambda w, attempt: openhcs_runtime({name}, w, attempt)",
    }
    if gpu:
        asked["gpu"] = str(gpu)
    if gpu_model is not None:
        asked["gpu_model"] = json.dumps(gpu_model)
    return asked


def any_of(plates: list[str]) -> str:
    """Return the constraint of a wildcard that is one of some plates."""
    return json.dumps("|".join(re.escape(plate) for plate in plates), ensure_ascii=False)


def section(name: str, items: dict[str, str]) -> str:
    """Return a section of a rule, a line an item; an item without a key stands alone."""
    lines = "".join(f"\n        {f'{key}=' if key else ''}{value}," for key, value in items.items())
    return f"    {name}:{lines}"
