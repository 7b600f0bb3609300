"""The arguments of jobs that can be put back: one step of one well."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_ONCE = frozenset({"--plate-dir", "--step", "--well", "--digest", "--log"})


class StepJob(NamedTuple):
    """One step of one well, as the command line asks for it.

    Attributes
    ----------
    plate_dir : Path
        ``results/<plate>``.
    digest : str or None
        Of the plan that it was started for.
    log : Path or None
        Where it says what it did.
    """

    plate_dir: Path
    step: str
    well: str
    digest: str | None
    log: Path | None


def read_arguments(arguments: Sequence[str]) -> StepJob | None:
    """Return what ``run-step`` is asked for; None for all but one step of one well, and mistakes.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``run-step``.
    """
    found: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        name, is_joined, value = word.partition("=")
        if name not in _ONCE or name in found:
            return None
        given = value if is_joined else next(words, None)
        if given is None:
            return None
        found[name] = given
    if not {"--plate-dir", "--step", "--well"} <= found.keys():
        return None
    log = found.get("--log")
    return StepJob(
        Path(found["--plate-dir"]),
        found["--step"],
        found["--well"],
        found.get("--digest"),
        None if log is None else Path(log),
    )
