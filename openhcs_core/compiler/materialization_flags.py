"""Pass 3: where each step reads its images and where it writes them."""

from openhcs_core.constants import Backend
from openhcs_core.plan import StepPlan


def plan_materialization_flags(plans: tuple[StepPlan, ...]) -> tuple[StepPlan, ...]:
    """Return plans with backends.

    The plate is read through its virtual workspace; kept steps are OME-Zarr or TIFF as the
    config says; images of all other steps are objects of the cache on disk.
    """
    backends = {
        plan.step_name: Backend.DISK if plan.store is None else plan.store.backend for plan in plans
    }
    kept = {plan.step_name: plan.store.sub_dir for plan in plans if plan.store is not None}
    return tuple(
        plan.model_copy(
            update={
                "read_backend": (
                    Backend.VIRTUAL_WORKSPACE if plan.source is None else backends[plan.source]
                ),
                "write_backend": backends[plan.step_name],
                "reads_kept": plan.source in kept,
                "read_sub_dir": None if plan.source is None else kept.get(plan.source),
            }
        )
        for plan in plans
    )
