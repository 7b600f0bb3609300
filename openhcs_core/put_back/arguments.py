"""The arguments of jobs that can be put back: one step of one well, or files of a whole plate."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_ONCE = frozenset({"--plate-dir", "--step", "--well", "--table", "--digest", "--log"})
_STORE = "--store"


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


class PlateJob(NamedTuple):
    """A plate table, or the plate metadata of a kept step's images.

    Attributes
    ----------
    table : str or None
        The table's file, e.g. ``cell_counts.csv``; None for metadata.
    """

    plate_dir: Path
    step: str
    table: str | None
    digest: str | None
    log: Path | None


def read_arguments(arguments: Sequence[str]) -> StepJob | PlateJob | None:
    """Return what ``run-step`` is asked for; None for mistakes and jobs of several steps or wells.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``run-step``.
    """
    found: dict[str, str] = {}
    is_store = list(arguments).count(_STORE) == 1
    words = iter([word for word in arguments if word != _STORE] if is_store else arguments)
    for word in words:
        name, is_joined, value = word.partition("=")
        if name not in _ONCE or name in found:
            return None
        given = value if is_joined else next(words, None)
        if given is None:
            return None
        found[name] = given
    kinds = ("--well" in found) + ("--table" in found) + is_store
    if kinds != 1 or not {"--plate-dir", "--step"} <= found.keys():
        return None
    plate_dir, step, digest = Path(found["--plate-dir"]), found["--step"], found.get("--digest")
    log = Path(found["--log"]) if "--log" in found else None
    if "--well" in found:
        return StepJob(plate_dir, step, found["--well"], digest, log)
    return PlateJob(plate_dir, step, found.get("--table"), digest, log)
