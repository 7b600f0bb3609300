"""One plate and one pipeline to one plate plan: five pure passes over frozen plans."""

from collections.abc import Mapping
from dataclasses import dataclass

from openhcs_core.compiler.conversions import plan_inter_step_conversions
from openhcs_core.compiler.followed_images import follow_images, plan_tiles
from openhcs_core.compiler.gpu_resources import assign_gpu_resources
from openhcs_core.compiler.job_scopes import aim_batches, batch_wells, fuse_steps
from openhcs_core.compiler.materialization_flags import plan_materialization_flags
from openhcs_core.compiler.memory_contracts import validate_memory_contracts
from openhcs_core.compiler.outputs import check_tables
from openhcs_core.compiler.overrides import PatternOverride, overrides_by_wells
from openhcs_core.compiler.path_planner import find_mistakes, initialize_step_plans
from openhcs_core.compiler.plate_steps import check_plate_tables, one_plan_each
from openhcs_core.compiler.predictions import predict_steps
from openhcs_core.compiler.request import CompileRequest, ErrorList
from openhcs_core.compiler.sharing import share_plans
from openhcs_core.compiler.tables import plan_tables
from openhcs_core.compiler.well_chains import WellChains, chains_by_wells, name_wells
from openhcs_core.compiler.zarr_stores import (
    declare_zarr_stores,
    plan_store_metadata,
)
from openhcs_core.errors import OpenHCSError, collecting, raise_all
from openhcs_core.pipeline import PatternEntry
from openhcs_core.plan import JobResources, PlatePlan, StepPlan

_Plans = tuple[StepPlan, ...]


@dataclass(frozen=True)
class _Compiled:
    """The plans of wells that have the same functions, overrides apart."""

    shared: WellChains
    plans: _Plans


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
    noted = ErrorList(request.document)
    compiled: list[_Compiled] = []
    overridden: dict[str, _Plans] = {}
    with collecting(noted.errors):
        compiled = _compile_wells(request)
    with collecting(noted.errors):
        overridden = _compile_overrides(request, compiled)
    if not compiled:
        raise_all(request.document.path, noted.errors)
    by_well = compiled[0].shared.chains.keys()
    usual = [(one.plans, one.shared.wells) for one in compiled]
    steps, well_steps = share_plans(usual, overridden, by_well, request.wells)
    steps = one_plan_each(steps, [*(one.plans for one in compiled), *overridden.values()])
    for plan in steps:
        if plan.is_plate_wide:
            well_steps.pop(plan.step_name, None)
    plate = PlatePlan(name=request.plate, wells=request.wells, steps=steps, well_steps=well_steps)
    whole = tuple(_with_all_groups(plate, plan) for plan in steps)
    for number in by_well:
        check_tables(whole[number], ("steps", number, "func"), noted)
    followed = follow_images(whole, request)
    predictions = predict_steps(followed, request)
    resources: dict[str, JobResources] = {}
    with collecting(noted.errors):
        resources = assign_gpu_resources(whole, request, predictions)
    plate = plate.model_copy(update={"tables": plan_tables(plate, plate_map_digest)})
    check_plate_tables(plate, request, noted)
    raise_all(request.document.path, noted.errors)
    runs = fuse_steps(whole, resources, request.granularity)
    of_wells = [plan.step_name for plan in steps if not plan.is_plate_wide]
    jobs = [run for run in runs or zip(of_wells) if run[0] in of_wells]
    aim = aim_batches(request, jobs, predictions)
    return plate.model_copy(
        update={
            "stores": plan_store_metadata(steps, request),
            "resources": resources,
            "predictions": predictions,
            "conversions": plan_inter_step_conversions(whole, resources),
            "runs": runs,
            "batches": batch_wells(request.wells, aim.wells),
            "tiles": plan_tiles(plate, followed, request),
            "batch_aim": aim if request.wells_per_job == "auto" else None,
        }
    )


def _compile_wells(request: CompileRequest) -> list[_Compiled]:
    """Return the plans of every well without overrides."""
    noted = ErrorList(request.document)
    compiled: list[_Compiled] = []
    found: list[tuple[WellChains, list[OpenHCSError]]] = []
    for shared in chains_by_wells(request, noted):
        mistakes: list[OpenHCSError] = []
        with collecting(mistakes):
            compiled.append(_Compiled(shared, _compile_steps(request, shared.chains)))
        found.append((shared, mistakes))
    if not found:  # no well has all its functions, which has been noted
        noted.errors += find_mistakes(request.pipeline, request.document, request.functions)
    noted.errors += name_wells(found)
    raise_all(request.document.path, noted.errors)
    _check_sources(compiled, noted)
    raise_all(request.document.path, noted.errors)
    return compiled


def _check_sources(compiled: list[_Compiled], errors: ErrorList) -> None:
    """Note every step that is a chain breaker in some wells only."""
    for number, plans in enumerate(zip(*(one.plans for one in compiled), strict=True)):
        if len({plan.source for plan in plans}) > 1:
            before = compiled[0].plans[number - 1]
            errors.add(
                f"step {before.step_name!r}: some of its functions are chain breakers and some "
                "are not, so that what the next step reads is not clear; put them into two steps",
                ("steps", number - 1, "func"),
            )


def _compile_overrides(request: CompileRequest, compiled: list[_Compiled]) -> dict[str, _Plans]:
    """Return the plans of the wells that have overrides."""
    errors: list[OpenHCSError] = []
    plans: dict[str, _Plans] = {}
    for overrides, wells in overrides_by_wells(request):
        for one in compiled:
            members = [well for well in wells if well in one.shared.wells]
            if members:
                with collecting(errors):
                    own = _compile_steps(request, one.shared.chains, overrides)
                    plans |= dict.fromkeys(members, own)
    raise_all(request.document.path, errors)
    return plans


def _compile_steps(
    request: CompileRequest,
    chains: Mapping[int, PatternEntry],
    overrides: tuple[PatternOverride, ...] = (),
) -> _Plans:
    plans = initialize_step_plans(request, overrides, chains)
    plans = declare_zarr_stores(plans, request)
    plans = plan_materialization_flags(plans)
    return validate_memory_contracts(plans, request)


def _with_all_groups(plate: PlatePlan, plan: StepPlan) -> StepPlan:
    """Return a step's plan with the functions of all its wells."""
    groups = [group for own, _ in plate.variants(plan) for group in own.groups]
    return plan.model_copy(update={"groups": tuple(groups)})
