"""The indices of plans in a results folder: one of a run of all plates, others of runs of one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openhcs_core.plan import PLATE_TARGET, plan_folder
from openhcs_core.session.cache_size import JobKey
from openhcs_core.session.files import PLAN_INDEX, RULES


def whole_index(results: Path) -> Path:
    """Return where the index is that a compilation of all plates wrote."""
    return results / plan_folder(None) / PLAN_INDEX


def plate_indices(results: Path) -> dict[str, Path]:
    """Return the indices of plates that were compiled alone since all were, by plate."""
    found = results.glob(f"{plan_folder('*')}/{PLAN_INDEX}")
    return {path.parent.name: path for path in sorted(found)}


def forget_plate_indices(results: Path) -> None:
    """Remove what runs of one plate wrote: the index of all plates is newer."""
    for path in plate_indices(results).values():
        path.with_name(RULES).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def jobs_of_others(results: Path, plates: frozenset[str]) -> dict[JobKey, bool]:
    """Return the jobs of today's plans of other plates; true for those on a GPU.

    Parameters
    ----------
    plates : frozenset of str
        What is known already.
    """
    entries: dict[str, Any] = {}
    for path in (whole_index(results), *plate_indices(results).values()):
        entries |= _read_plates(path)
    return {
        key: is_gpu
        for name, entry in entries.items()
        if name not in plates
        for key, is_gpu in _jobs(entry)
    }


def _read_plates(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes())["plates"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _jobs(entry: Any) -> Iterator[tuple[JobKey, bool]]:
    for step, digest in entry["digests"].items():
        own = entry["well_digests"].get(step, {})
        is_gpu = entry["resources"][step]["gpu"] > 0
        for well in (*entry["wells"], PLATE_TARGET):
            yield (own.get(well, digest), well), is_gpu
