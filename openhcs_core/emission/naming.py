"""Rule names: valid in Snakemake, stable, and as close to the step's name as can be."""

import keyword

from openhcs_core.plan import digest_text

_SNAKEMAKE_WORDS = frozenset(
    [
        "all",
        "input",
        "output",
        "params",
        "log",
        "threads",
        "resources",
        "priority",
        "version",
        "message",
        "benchmark",
        "shell",
        "run",
        "script",
        "notebook",
        "wrapper",
        "container",
        "conda",
        "envmodules",
        "group",
        "cache",
        "rule",
        "checkpoint",
        "module",
        "use",
        "include",
        "workdir",
        "configfile",
        "localrules",
        "localrule",
        "ruleorder",
        "onsuccess",
        "onerror",
        "onstart",
        "wildcard_constraints",
        "config",
        "workflow",
        "rules",
        "checkpoints",
        "storage",
        "scattergather",
        "report",
    ]
)


def rule_name(*parts: str) -> str:
    """Return a rule name for a step (and, say, one of its tables).

    A name that is a plain identifier stays as it is; any other gets a digest of the original
    appended, so that two names never fall together.
    """
    name = "__".join(parts)
    plain = "".join(letter if _is_plain(letter) else "_" for letter in name)
    if plain == name and name.isidentifier() and not _is_reserved(name):
        return name
    return f"step_{plain}_{digest_text(name)[:6]}"


def _is_plain(letter: str) -> bool:
    return letter.isascii() and (letter.isalnum() or letter == "_")


def _is_reserved(name: str) -> bool:
    return keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in _SNAKEMAKE_WORDS
