"""Results of earlier configs that nothing updates any more."""

from collections.abc import Iterator
from pathlib import Path

from openhcs_core.plan import (
    OUTPUT_FOLDERS,
    SPECIAL_FOLDER,
    PlatePlan,
    kept_well_folder,
    partial_table_path,
    table_path,
    well_files,
)

_PATTERNS = (
    *("*.ome.zarr", "*.ome.zarr/[A-Z]*/[0-9]*", "images/*/*"),
    *(f"{folder}/*/*" for folder in (*OUTPUT_FOLDERS.values(), SPECIAL_FOLDER)),
)


def find_leftovers(plate: PlatePlan, folder: Path) -> list[str]:
    """Return what lies among a plate's results that no job of its plan writes.

    Such files stay until a person removes them: a run deletes nothing it does not replace.

    Returns
    -------
    list of str
        Relative to `folder`. A folder stands for all that is in it.
    """
    written = set(_written(plate))
    parents = {str(parent) for path in written for parent in Path(path).parents}
    found = set()
    for pattern in _PATTERNS:
        for path in folder.glob(pattern):
            name = path.relative_to(folder).as_posix()
            if name in written or name in parents or path.name.startswith("."):
                continue
            parent = path.parent.relative_to(folder).as_posix()
            found.add(name if parent in parents else parent)
    return sorted(
        name for name in found if not any(str(parent) in found for parent in Path(name).parents)
    )


def _written(plate: PlatePlan) -> Iterator[str]:
    for plan in plate.steps:
        files = list(well_files(plan))
        for well in plate.wells:
            yield from (file.path(plan.step_name, well) for file in files)
            if plan.store is not None:
                yield kept_well_folder(plan.step_name, plan.store.backend, well)
    for table in plate.tables:
        yield table_path(table.step_name, table.file)
        yield partial_table_path(table.step_name, table.file)
