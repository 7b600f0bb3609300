"""Results of earlier configs that nothing updates any more."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from openhcs_core.emission import emit_plan_files
from openhcs_core.plan import (
    OUTPUT_FOLDERS,
    OWN_FOLDERS,
    SPECIAL_FOLDER,
    PlatePlan,
    failure_path,
    fallbacks_path,
    index_path,
    job_scopes,
    kept_well_folder,
    left_out_path,
    log_path,
    manifest_path,
    measurement_path,
    partial_table_path,
    table_path,
    well_files,
)
from openhcs_core.planes import WELL_REGEX

_STORE_SUFFIX = ".ome.zarr"
_PATTERNS = (
    "images/*/[A-Z]*[0-9]",
    *(f"{folder}/*/*" for folder in (*OUTPUT_FOLDERS.values(), SPECIAL_FOLDER)),
)
_RECORD_FOLDERS = ("manifests", "plan", "index", "logs", "benchmarks", ".kept")
_RECORDS = (
    *(f"{folder}/*/*" for folder in ("manifests", "plan", "logs", "benchmarks")),
    "plan/*.json",
    "index/*.json",
    ".kept/*",
)


def find_leftovers(plate: PlatePlan, folder: Path) -> list[str]:
    """Return what lies among a plate's results that no job of its plan writes.

    Such files stay until a person removes them: a run deletes nothing it does not replace.

    Returns
    -------
    list of str
        Relative to `folder`. A folder stands for all that is in it.
    """
    return _unwritten(folder, _candidates(folder), set(_written(plate)))


def find_old_records(plate: PlatePlan, folder: Path) -> list[str]:
    """Return manifests, plans, indexes, logs and measurements of no job of a plate's plan.

    Returns
    -------
    list of str
        Relative to `folder`. A folder stands for all that is in it.
    """
    paths = (path for pattern in _RECORDS for path in folder.glob(pattern))
    return _unwritten(folder, paths, set(_recorded(plate)))


def _unwritten(folder: Path, paths: Iterable[Path], written: set[str]) -> list[str]:
    """Return what is not written, by the folder above where that has nothing that is."""
    parents = {str(parent) for path in written for parent in Path(path).parents}
    found = set()
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if name in written or name in parents or path.name.startswith("."):
            continue
        parent = path.parent.relative_to(folder).as_posix()
        is_named_alone = parent in (*parents, *_RECORD_FOLDERS) or name.endswith(_STORE_SUFFIX)
        found.add(name if is_named_alone else parent)
    return sorted(
        name for name in found if not any(str(parent) in found for parent in Path(name).parents)
    )


def _candidates(folder: Path) -> Iterator[Path]:
    """Yield what steps have written, of this plan or another."""
    for pattern in _PATTERNS:
        yield from folder.glob(pattern)
    for path in _folders(folder):
        if path.name not in OWN_FOLDERS:
            yield from _kept_images(path)


def _kept_images(folder: Path) -> Iterator[Path]:
    """Yield OME-Zarr plates, their wells, and wells' folders of TIFFs, however deep they are."""
    if folder.name.endswith(_STORE_SUFFIX):
        yield folder
        yield from folder.glob("[A-Z]*/[0-9]*")
    elif _has_planes(folder):
        yield folder
    elif not folder.is_symlink():
        for inner in _folders(folder):
            yield from _kept_images(inner)


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [Path(entry) for entry in entries if entry.is_dir() and entry.name[0] != "."]


def _has_planes(folder: Path) -> bool:
    """Return whether a folder is named like a well and has an image of it."""
    if re.fullmatch(WELL_REGEX, folder.name) is None:
        return False
    with os.scandir(folder) as entries:  # the first entries tell, and there may be thousands
        return any(entry.name.startswith(f"{folder.name}_s") for entry in entries)


def _written(plate: PlatePlan) -> Iterator[str]:
    for plan in plate.steps:
        for own, wells in plate.variants(plan):
            files = list(well_files(own))
            for well in wells:
                yield from (file.path(plan.step_name, well) for file in files)
                if plan.store is not None:
                    store = plan.store
                    yield kept_well_folder(plan.step_name, store.backend, well, store.sub_dir)
    for table in plate.tables:
        yield table_path(table.step_name, table.file)
        yield partial_table_path(table.step_name, table.file)
        yield left_out_path(table.step_name, table.file)


def _recorded(plate: PlatePlan) -> Iterator[str]:
    """Yield the records of a plate's jobs, and those of jobs that failed."""
    yield from emit_plan_files(plate)
    yield from map(index_path, plate.wells)
    yield from (f".kept/{plan.step_name}" for plan in plate.steps)
    yield from (scope.benchmark for scope in job_scopes(plate))
    targets = [(plan.step_name, well) for plan in plate.steps for well in plate.targets(plan)]
    for step, well in targets:
        yield manifest_path(step, well)
        yield measurement_path(step, well)
        yield fallbacks_path(step, well)
    targets += [(table.step_name, table.file) for table in plate.tables]
    targets += [(store.step_name, "store") for store in plate.stores]
    for step, target in targets:
        yield log_path(step, target)
        yield failure_path(step, target)
