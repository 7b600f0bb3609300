"""Pass 2: which steps' images are kept, and how they are laid out."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from openhcs_core.compiler.components import values_after
from openhcs_core.compiler.plate_values import ComponentValues
from openhcs_core.compiler.request import CompileRequest, ErrorList
from openhcs_core.config import MaterializeConfig
from openhcs_core.constants import Backend, Component
from openhcs_core.errors import raise_all
from openhcs_core.plan import StepPlan, StoreMetadataPlan, StorePlan, kept_folder


def declare_zarr_stores(
    plans: tuple[StepPlan, ...], request: CompileRequest
) -> tuple[StepPlan, ...]:
    """Return plans in which the kept steps have a store; nothing is created.

    Kept are the steps that say so (`keep`, `materialize`), and those that no step goes on from.

    Raises
    ------
    ErrorGroup
        A step's folder of kept images lies in another's.
    """
    steps = {step.name: step for step in request.pipeline.steps}
    kept = {name for name, step in steps.items() if step.keep or step.materialize is not None}
    of_wells = [plan for plan in plans if not plan.is_plate_wide]
    kept |= {plan.step_name for plan in of_wells} - {plan.source for plan in of_wells}
    kept -= {plan.step_name for plan in plans if plan.is_plate_wide}
    values: dict[str | None, ComponentValues] = {None: request.values}
    declared = []
    for plan in plans:
        if plan.is_plate_wide:  # it has no images
            declared.append(plan)
            continue
        values[plan.step_name] = values_after(plan, values[plan.source])
        store = None
        if plan.step_name in kept:
            own = steps[plan.step_name].materialize or MaterializeConfig()
            store = _declare(request, own, values[plan.step_name])
        declared.append(plan.model_copy(update={"store": store}))
    _check_folders(declared, request)
    return tuple(declared)


def _check_folders(plans: Sequence[StepPlan], request: CompileRequest) -> None:
    """Refuse a folder of kept images inside another's, whose wells are replaced as a whole."""
    folders = {
        plan.step_name: PurePosixPath(
            kept_folder(plan.step_name, plan.store.backend, plan.store.sub_dir)
        )
        for plan in plans
        if plan.store is not None
    }
    errors = ErrorList(request.document)
    for number, step in enumerate(request.pipeline.steps):
        for other, outer in folders.items():
            inner = folders.get(step.name)
            if inner is not None and step.name != other and inner.is_relative_to(outer):
                errors.add(
                    f"step {step.name!r}: its images would be kept in {inner}, inside {outer} "
                    f"with those of step {other!r}; choose another sub_dir",
                    ("steps", number, "materialize", "sub_dir"),
                )
    raise_all(request.document.path, errors.errors)


def _declare(request: CompileRequest, own: MaterializeConfig, values: ComponentValues) -> StorePlan:
    index = request.index
    backend = own.backend or request.storage.materialization
    names = index.channel_names
    scale_um = (index.z_step_um, index.pixel_size_um, index.pixel_size_um)
    if backend == "disk":  # a file a plane: no axes to lay out
        return StorePlan(backend=Backend.DISK, zarr=None, scale_um=scale_um, sub_dir=own.sub_dir)
    return StorePlan(
        zarr=request.storage.zarr,
        scale_um=scale_um,
        channels={channel: names[channel] for channel in values[Component.CHANNEL]},
        sites=request.sites,
        z_indices=tuple(int(z_index) for z_index in values[Component.Z_INDEX]),
        timepoints=tuple(int(timepoint) for timepoint in values[Component.TIMEPOINT]),
        sub_dir=own.sub_dir,
    )


def plan_store_metadata(
    plans: tuple[StepPlan, ...], request: CompileRequest
) -> tuple[StoreMetadataPlan, ...]:
    """Return the plate metadata of every step that is kept as OME-Zarr."""
    return tuple(
        StoreMetadataPlan(
            plate=request.plate,
            step_name=plan.step_name,
            wells=request.wells,
            field_count=len(plan.store.sites),
            sub_dir=plan.store.sub_dir,
            ome_zarr_version=plan.store.zarr.ome_zarr_version,
        )
        for plan in plans
        if plan.store is not None and plan.store.zarr is not None
    )
