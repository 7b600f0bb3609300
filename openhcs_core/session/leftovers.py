"""Results of earlier configs that nothing updates any more."""

from collections.abc import Iterator
from pathlib import Path

from openhcs_core.constants import Backend
from openhcs_core.plan import PlatePlan, image_folder, output_files, store_path


def find_leftovers(plate: PlatePlan, folder: Path) -> list[str]:
    """Return stores and folders below a plate's results that no step of its plan writes.

    They stay until a person removes them: a run deletes nothing it did not just replace.
    """
    written = set(_written(plate))
    found = [path for path in folder.glob("*.ome.zarr") if path.is_dir()]
    for kind in ("images", "tables", "rois"):
        found += [path for path in folder.glob(f"{kind}/[!.]*") if path.is_dir()]
    names = (path.relative_to(folder).as_posix() for path in found)
    return sorted(name for name in names if name not in written)


def _written(plate: PlatePlan) -> Iterator[str]:
    for plan in plate.steps:
        if plan.store is not None and plan.store.backend is Backend.ZARR:
            yield store_path(plan.step_name)
        elif plan.store is not None:
            yield str(Path(image_folder(plan.step_name, "B02")).parent)
        for file in output_files(plan):
            yield str(Path(file.path(plan.step_name, "B02")).parent)
