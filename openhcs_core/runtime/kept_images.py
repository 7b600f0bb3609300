"""Images of a kept step: one well of its OME-Zarr plate or a folder of TIFFs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.errors import InputDataError
from openhcs_core.ground.paths import kept_well_folder
from openhcs_core.ground.replaced_folder import restore_tiff_folder, restore_well_group
from openhcs_core.ground.turn import Turn
from openhcs_core.plan import (
    StepPlan,
    StoreMetadataPlan,
    StorePlan,
    store_path,
    store_plan_path,
)
from openhcs_core.planes import PlaneKey, natural_key
from openhcs_core.put_back import STORE_TARGET
from openhcs_core.runtime.cache import ImageCache
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.leave_shortcut import leave_made_files
from openhcs_core.runtime.manifest import StackRecord
from openhcs_core.runtime.outputs import Labels
from openhcs_core.storage import (
    ChannelMetadata,
    FieldImages,
    ImageMetadata,
    PlateLayout,
    write_plate_metadata,
    write_tiff_folder,
    write_well,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    PlaneReader = Callable[[], NDArray[Any]]


def write_kept_images(
    job: Job,
    plan: StepPlan,
    well: str,
    images: Sequence[StackRecord],
    labels: Labels,
    sink: ImageCache,
    confirm: Callable[[], None],
) -> None:
    """Write a well's images and labels where the plan's store has them.

    Parameters
    ----------
    images : sequence of StackRecord
        What the functions gave.
    sink : ImageCache
        Where these are now.
    confirm : callable
        Called when everything is written under temporary names, before the first rename;
        raises to leave the well as it was.
    """
    assert plan.store is not None
    planes = _planes(images, sink)
    if plan.store.zarr is None:
        _, pixel_size_um, _ = plan.store.scale_um
        folder = kept_folder(job, plan, well)
        write_tiff_folder(folder, planes, labels, pixel_size_um=pixel_size_um, confirm=confirm)
        return
    metadata = image_metadata(plan.store)
    write_well(
        job.plate_dir / store_path(plan.step_name, plan.store.sub_dir),
        well,
        _fields(planes, labels, metadata),
        metadata,
        plan.store.zarr,
        confirm=confirm,
    )


def restore_kept_images(
    job: Job, plan: StepPlan, well: str, fill: Callable[[Path], None], confirm: Callable[[], None]
) -> None:
    """Put back a well's images and labels.

    Parameters
    ----------
    fill : callable
        Puts the files that :func:`kept_folder` is to have into the folder it is given.
    confirm : callable
        As for :func:`write_kept_images`.
    """
    assert plan.store is not None
    restore = restore_tiff_folder if plan.store.zarr is None else restore_well_group
    restore(kept_folder(job, plan, well), fill, confirm=confirm)


def kept_folder(job: Job, plan: StepPlan, well: str) -> Path:
    """Return the folder of a well's kept images."""
    assert plan.store is not None
    is_zarr, sub_dir = plan.store.zarr is not None, plan.store.sub_dir
    return job.plate_dir / kept_well_folder(plan.step_name, well, sub_dir, is_zarr=is_zarr)


def write_store_metadata(job: Job) -> None:
    """Write the plate metadata of a kept step: its rows, then its root."""
    with Turn(job.plate_dir, f"{job.step}.store"):
        plan = job.read_plan(job.plate_dir / store_plan_path(job.step), StoreMetadataPlan)
        store = job.plate_dir / store_path(job.step, plan.sub_dir)
        written = write_plate_metadata(store, plate_layout(plan))
        names = [f"{store_path(job.step, plan.sub_dir)}/{name}" for name in written]
        leave_made_files(job, plan, STORE_TARGET, names, {})


def plate_layout(plan: StoreMetadataPlan) -> PlateLayout:
    """Return the wells of a kept step's OME-Zarr plate."""
    return PlateLayout(plan.plate, plan.wells, plan.field_count, plan.ome_zarr_version)


def image_metadata(store: StorePlan) -> ImageMetadata:
    """Return the axes of a kept step's OME-Zarr images."""
    z_step_um, pixel_size_um, _ = store.scale_um
    return ImageMetadata(
        channels=tuple(
            ChannelMetadata(channel, store.channels[channel])
            for channel in sorted(store.channels, key=natural_key)
        ),
        z_indices=store.z_indices,
        timepoints=store.timepoints,
        sites=store.sites,
        pixel_size_um=pixel_size_um,
        z_step_um=z_step_um,
    )


def _planes(images: Sequence[StackRecord], sink: ImageCache) -> "dict[PlaneKey, PlaneReader]":
    """Return a function for each plane that reads it; planes are read when they are written."""
    return {
        PlaneKey.parse(record.name): partial(_read, sink, stack, number)
        for stack in images
        for number, record in enumerate(stack.planes)
    }


def _fields(
    planes: "Mapping[PlaneKey, PlaneReader]", labels: Labels, metadata: ImageMetadata
) -> Iterator[FieldImages]:
    """Yield one field after the other."""
    for site in sorted({key.site for key in planes}):
        of_site = {
            name: {key: plane for key, plane in drawn.items() if key.site == site}
            for name, drawn in labels.items()
        }
        yield FieldImages(
            site=site,
            path=metadata.field_path(site),
            planes={key: plane for key, plane in planes.items() if key.site == site},
            labels={name: drawn for name, drawn in of_site.items() if drawn},
        )


def _read(sink: ImageCache, stack: StackRecord, number: int) -> "NDArray[Any]":
    plane = sink.get_plane(stack, number)
    if plane is None:
        raise InputDataError(
            f"{sink.path(stack.object)} was removed or altered while the step ran; run again"
        )
    return plane
