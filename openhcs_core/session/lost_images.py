"""Kept images that somebody removed: the manifest that promises them counts as absent."""

from pathlib import Path

from openhcs_core.constants import Backend
from openhcs_core.plan import CompiledPipeline, kept_well_folder, manifest_path
from openhcs_core.storage import lacks_fields


def remove_manifests_of_lost_images(compiled: CompiledPipeline) -> None:
    """Remove manifests of OME-Zarr wells that lack a field their metadata list.

    Rules declare a well's metadata, so snakemake does not see what lies beside it. Only
    whether a field is there is looked at, not what is in it.
    """
    for plate in compiled.plates:
        folder = Path(compiled.results) / plate.name
        for step in plate.steps:
            for own, wells in plate.variants(step):
                if own.store is None or own.store.backend is not Backend.ZARR:
                    continue
                for well in wells:
                    place = kept_well_folder(
                        step.step_name, own.store.backend, well, own.store.sub_dir
                    )
                    if lacks_fields(folder / place):
                        (folder / manifest_path(step.step_name, well)).unlink(missing_ok=True)
