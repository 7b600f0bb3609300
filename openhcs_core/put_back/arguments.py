"""The arguments of jobs that can be put back: one step of one well, or files of a whole plate."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_STORE, _LOGS = "--store", "--logs"
_FLAGS = frozenset({_STORE, _LOGS})
_ONCE = frozenset({"--plate-dir", "--table", "--digest", "--log"})
_MANY = frozenset({"--step", "--well"})
_KINDS = frozenset({"--well", "--table", _STORE})


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


class SharedJob(NamedTuple):
    """Several steps of one well, or one of several: each well's steps are done in their order.

    Attributes
    ----------
    digest : str or None
        Of the plans of all of them.
    """

    plate_dir: Path
    steps: tuple[str, ...]
    wells: tuple[str, ...]
    digest: str | None


def read_arguments(arguments: Sequence[str]) -> StepJob | PlateJob | SharedJob | None:
    """Return what ``run-step`` is asked for; None for mistakes, and for all else that it does.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``run-step``.
    """
    given = _split(arguments)
    if given is None or not {"--plate-dir", "--step"} <= given.keys():
        return None
    if len(_KINDS & given.keys()) != 1 or any(len(given.get(name, ())) > 1 for name in _ONCE):
        return None
    plate_dir, steps, wells = (
        Path(given["--plate-dir"][0]),
        given["--step"],
        given.get("--well", []),
    )
    digest, log, table = (given.get(name, [None])[0] for name in ("--digest", "--log", "--table"))
    path = None if log is None else Path(log)
    if wells and _LOGS in given:
        is_whole = log is None
        return SharedJob(plate_dir, tuple(steps), tuple(wells), digest) if is_whole else None
    if len(steps) > 1 or len(wells) > 1 or _LOGS in given:
        return None
    if wells:
        return StepJob(plate_dir, steps[0], wells[0], digest, path)
    return PlateJob(plate_dir, steps[0], table, digest, path)


def _split(arguments: Sequence[str]) -> "dict[str, list[str]] | None":
    """Return the values of each option, None where one is none of ours or lacks its value."""
    given: dict[str, list[str]] = {}
    words = iter(arguments)
    for word in words:
        name, is_joined, value = word.partition("=")
        if name in _FLAGS and not is_joined:
            given.setdefault(name, []).append("")
            continue
        values = [value] if is_joined else [next(words, None)]
        if name not in _ONCE | _MANY or values == [None]:
            return None
        given.setdefault(name, []).extend(one for one in values if one is not None)
    return given
