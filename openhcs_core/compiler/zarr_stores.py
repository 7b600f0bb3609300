"""Pass 2: which steps' images are kept, and how they are laid out."""

from openhcs_core.compiler.components import ComponentValues, component_values, values_after
from openhcs_core.compiler.request import CompileRequest
from openhcs_core.config import ImageBackend
from openhcs_core.constants import Backend, Component
from openhcs_core.plan import StepPlan, StoreMetadataPlan, StorePlan


def declare_zarr_stores(
    plans: tuple[StepPlan, ...], request: CompileRequest
) -> tuple[StepPlan, ...]:
    """Return plans in which the kept steps have a store; nothing is created.

    Kept are the steps that say so (`keep`, `materialize`), and those that nothing reads.
    """
    steps = {step.name: step for step in request.pipeline.steps}
    kept = {name for name, step in steps.items() if step.keep or step.materialize is not None}
    kept |= {plan.step_name for plan in plans} - {plan.source for plan in plans}
    values: dict[str | None, ComponentValues] = {
        None: component_values(request.index, request.wells)
    }
    declared = []
    for plan in plans:
        values[plan.step_name] = values_after(plan, values[plan.source])
        store = None
        if plan.step_name in kept:
            own = steps[plan.step_name].materialize
            backend = request.storage.materialization if own is None else own.backend
            store = _declare(request, backend, values[plan.step_name])
        declared.append(plan.model_copy(update={"store": store}))
    return tuple(declared)


def _declare(request: CompileRequest, backend: ImageBackend, values: ComponentValues) -> StorePlan:
    index = request.index
    names = {channel.id: channel.name for channel in index.channels}
    scale_um = (index.z_step_um, index.pixel_size_um, index.pixel_size_um)
    if backend == "disk":  # a file a plane: no axes to lay out
        return StorePlan(backend=Backend.DISK, zarr=None, scale_um=scale_um)
    return StorePlan(
        zarr=request.storage.zarr,
        scale_um=scale_um,
        channels={channel: names[channel] for channel in values[Component.CHANNEL]},
        sites=index.sites,
        z_indices=tuple(int(z_index) for z_index in values[Component.Z_INDEX]),
        timepoints=tuple(int(timepoint) for timepoint in values[Component.TIMEPOINT]),
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
        )
        for plan in plans
        if plan.store is not None and plan.store.backend is Backend.ZARR
    )
