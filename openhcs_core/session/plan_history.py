"""What results were made by and from, kept when compiling replaces it.

A manifest names its plan by digest; a plan file holds only today's plan. So a plan that
manifests carry is copied before it is replaced, and removed when none carries it any more.
Of a well's index, the last one that something was made from is kept, with its time.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from openhcs_core.plan import (
    ASIDE,
    PLATE_TARGET,
    CompiledPipeline,
    PlatePlan,
    canonical_json,
    digest_text,
    index_path,
    plan_path,
)
from openhcs_core.runtime import manifest_digest
from openhcs_core.session.manifests import manifest_place
from openhcs_core.storage import replace_file

_FOLDER = ".plan/history"


def keep_replaced(compiled: CompiledPipeline, changed: Sequence[str]) -> None:
    """Copy what results on disk were made by and from, before it is replaced.

    Parameters
    ----------
    compiled : CompiledPipeline
        What is about to be written.
    changed : sequence of str
        Paths of the files that will be; nothing is done, and nothing read, without any.
    """
    for plate in compiled.plates if changed else ():
        folder = Path(compiled.results, plate.name)
        names = {path.removeprefix(f"{compiled.results}/{plate.name}/") for path in changed}
        history = Path(compiled.results, _FOLDER, plate.name)
        if plans := names & set(_step_plan_paths(plate)):
            _keep_plans(folder, history, plans)
        for well in plate.wells:
            if index_path(well) in names:
                _keep_index(plate, folder, history, well)


def read_old_plan(results: str, plate: str, step: str, well: str, digest: str) -> Any:
    """Return the plan of a digest as plain data, None when it is nowhere any more."""
    folder = Path(results, plate)
    places = [Path(results, _FOLDER, plate, f"{digest}.json")]
    places += [folder / plan_path(step), folder / plan_path(step, well)]
    for path in places:
        data = _read_json(path)
        if data is not None and digest_text(canonical_json(data)) == digest:
            return data
    return None


def old_indices(results: str, plate: str, well: str) -> list[Path]:
    """Return where earlier texts of a well's index may be, the newest first."""
    return [
        Path(results, plate, index_path(well)),
        Path(results, _FOLDER, plate, index_path(well)),
    ]


def _step_plan_paths(plate: PlatePlan) -> Iterator[str]:
    for plan in plate.steps:
        yield plan_path(plan.step_name)
        for well in plate.well_steps.get(plan.step_name, {}):
            yield plan_path(plan.step_name, well)


def _keep_plans(folder: Path, history: Path, names: set[str]) -> None:
    """Copy replaced plans that a manifest carries; remove copies that none carries."""
    replaced: Mapping[str, Any] = {
        digest_text(canonical_json(data)): data
        for data in (_read_json(folder / name) for name in names)
        if data is not None
    }
    if not replaced:
        return
    aside = folder.parent / ASIDE / folder.name
    paths = [*folder.glob("manifests/*/*.json"), *aside.glob("manifests/*/*.json")]
    carried = {manifest_digest(path) for path in paths}
    for path in history.glob("*.json"):
        if path.stem not in carried:
            path.unlink()
    for digest in replaced.keys() & carried:
        _write(history / f"{digest}.json", canonical_json(replaced[digest]).encode())


def _keep_index(plate: PlatePlan, folder: Path, history: Path, well: str) -> None:
    """Copy a well's index if something was made since it was written."""
    path = folder / index_path(well)
    try:
        content, written = path.read_bytes(), path.stat()
    except FileNotFoundError:
        return
    readers = [
        (plan.step_name, PLATE_TARGET if plan.is_plate_wide else well)
        for plan in plate.steps
        if plan.source is None
    ]
    times = [_modified(manifest_place(folder, step, target)) for step, target in readers]
    if max(times, default=0) >= written.st_mtime_ns:
        copy = history / index_path(well)
        _write(copy, content)
        os.utime(copy, ns=(written.st_atime_ns, written.st_mtime_ns))


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return None


def _write(path: Path, content: bytes) -> None:
    with replace_file(path, durable=False) as stream:
        stream.write(content)
