"""One plate and one pipeline to one plate plan: five pure passes over frozen plans."""

from openhcs_core.compiler.conversions import plan_inter_step_conversions
from openhcs_core.compiler.gpu_resources import assign_gpu_resources
from openhcs_core.compiler.materialization_flags import plan_materialization_flags
from openhcs_core.compiler.memory_contracts import validate_memory_contracts
from openhcs_core.compiler.overrides import PatternOverride, WellOverrides, overrides_by_wells
from openhcs_core.compiler.path_planner import initialize_step_plans
from openhcs_core.compiler.request import CompileRequest
from openhcs_core.compiler.tables import plan_tables
from openhcs_core.compiler.zarr_stores import (
    declare_zarr_stores,
    plan_store_metadata,
)
from openhcs_core.errors import OpenHCSError, collecting, raise_all
from openhcs_core.plan import JobResources, PlatePlan, StepPlan


def compile_plate(request: CompileRequest, plate_map_digest: str | None = None) -> PlatePlan:
    """Compile a pipeline for a plate.

    Parameters
    ----------
    request : CompileRequest
        Plate, pipeline, storage and functions.
    plate_map_digest : str, optional
        Digest of the plate map's bytes.

    Returns
    -------
    PlatePlan
        Equal for equal requests.

    Raises
    ------
    ErrorGroup
        Every mistake that can be known before the first job.
    """
    errors: list[OpenHCSError] = []
    steps: tuple[StepPlan, ...] = ()
    resources: dict[str, JobResources] = {}
    overridden: list[WellOverrides] = []
    with collecting(errors):
        steps = _compile_steps(request)
        resources = assign_gpu_resources(steps, request)
    with collecting(errors):
        overridden = overrides_by_wells(request)
    raise_all(request.document.path, errors)
    well_steps: dict[str, dict[str, StepPlan]] = {}
    for overrides, wells in overridden:
        with collecting(errors):
            for own, common in zip(_compile_steps(request, overrides), steps, strict=True):
                if own != common:
                    well_steps.setdefault(own.step_name, {}).update(dict.fromkeys(wells, own))
    raise_all(request.document.path, errors)
    return PlatePlan(
        name=request.plate,
        wells=request.wells,
        steps=steps,
        well_steps=well_steps,
        tables=plan_tables(steps, request.wells, plate_map_digest),
        stores=plan_store_metadata(steps, request),
        resources=resources,
        conversions=plan_inter_step_conversions(steps, resources),
    )


def _compile_steps(
    request: CompileRequest, overrides: tuple[PatternOverride, ...] = ()
) -> tuple[StepPlan, ...]:
    plans = initialize_step_plans(request, overrides)
    plans = declare_zarr_stores(plans, request)
    plans = plan_materialization_flags(plans)
    return validate_memory_contracts(plans, request)
