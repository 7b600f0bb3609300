"""The command line of a snakemake that a command of ours starts, and what it asks for."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from openhcs_core.errors import ConfigError

_SNAKEFILES = ("Snakefile", "workflow/Snakefile")
_PACKAGE = Path(__file__).parents[1]
_OURS = (_PACKAGE.parent / "Snakefile", _PACKAGE / "_workflow/Snakefile")
"""In a clone of the repository, and in an installed package."""
_NO_TEXT = frozenset({"true", "false", "inf", "infinity", "nan"})
"""Words that Snakemake takes for values of other kinds."""
_ALWAYS = ("--keep-going", "--rerun-incomplete", "--nolock", "--scheduler", "greedy")
"""What the profile `default` says, for folders that have none."""
# letters of options without a value may stand before it, and anything after it
_DRY_RUN = re.compile(r"--dry-?r?u?n?|-[fFkpt]*n.*")
_PART = re.compile(
    r"--(until|omit-from|batch|allowed-rules|target-jobs)(=.*)?|--touch|-[UO].*|-[fFkp]*t[fFkp]*"
)


def find_snakefile(snakefile: str | None) -> str:
    """Return the Snakefile to use: the one given, the one here, or that of this software.

    Raises
    ------
    ConfigError
        There is none.
    """
    choices = [snakefile] if snakefile else [*_SNAKEFILES, *map(str, _OURS)]
    found = next((path for path in choices if Path(path).is_file()), None)
    if found is None:
        raise ConfigError(
            f"no Snakefile: looked for {', '.join(choices)}; run this where your workflow is, or "
            "give --snakefile"
        )
    return found


def snakemake_command(
    snakefile: str, arguments: Sequence[str], config: str, plate: str | None = None
) -> list[str]:
    """Return what runs a config, or one plate of it.

    Parameters
    ----------
    arguments : sequence of str
        For snakemake.

    Raises
    ------
    ConfigError
        The arguments choose a config or a plate.
    """
    others, pairs = _without_config(arguments)
    if chosen := [pair for pair in pairs if pair.partition("=")[0] in ("config", "plate")]:
        raise ConfigError(
            f"--config {' '.join(chosen)} stands among the arguments for snakemake, which is given "
            "config and plate by this command; use its own options"
        )
    start = [sys.executable, "-m", "snakemake", "--snakefile", snakefile]
    one = [] if plate is None else [plate_argument(plate)]
    return [*start, *_ALWAYS, *others, "--config", *pairs, f"config={config}", *one]


def _without_config(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return arguments without ``--config``, of which snakemake heeds the last, and its pairs."""
    others: list[str] = []
    pairs: list[str] = []
    into = others
    for word in arguments:
        option, _, pair = word.partition("=")
        if option in ("--config", "-C"):
            into = others if pair else pairs
            pairs += [pair] if pair else []
        else:
            into = others if word.startswith("-") else into
            into.append(word)
    return others, pairs


def plate_argument(name: str) -> str:
    """Return what tells snakemake's ``--config`` to do one plate.

    Names that it would take for numbers stand in a list, where they stay text; in quotes only
    where YAML needs them, since executors of clusters put the text between quotes of theirs.
    """
    is_word = re.fullmatch(r"[^\W\d][\w.+()-]*", name) is not None
    if is_word and name.lower() not in _NO_TEXT:
        return f"plate={name}"
    is_plain = name == name.strip() and not name.startswith("-")
    return f"plate=[{name}]" if is_plain else f'plate=["{name}"]'


def asks_for_dry_run(arguments: Sequence[str]) -> bool:
    """Return whether snakemake is asked to look only: ``-n``, ``-np``, ``--dry-run``, ``--dry``."""
    return any(map(_DRY_RUN.fullmatch, arguments))


def asks_for_part(arguments: Sequence[str], results: str) -> bool:
    """Return whether snakemake is asked for a part of what is to do: ``--until STEP``, a file.

    Parameters
    ----------
    results : str
        The folder that files are in.
    """
    return any(
        _PART.fullmatch(argument) or argument.startswith(f"{results}/") for argument in arguments
    )
