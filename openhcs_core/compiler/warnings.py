"""What is right but may surprise: said before the run."""

from openhcs_core.compiler.components import ComponentValues, component_values, values_after
from openhcs_core.compiler.request import CompileRequest
from openhcs_core.constants import Backend, Component
from openhcs_core.plan import PlatePlan


def find_warnings(plan: PlatePlan, request: CompileRequest) -> tuple[str, ...]:
    """Return a line for every kept step whose channels differ in z.

    An OME-Zarr image has one z axis for all channels: where a channel has fewer planes the
    others are empty, and viewers show them black.
    """
    names = {channel.id: channel.name for channel in request.index.channels}
    warnings = []
    for channel in names:
        values = component_values(request.index, request.wells, channel)
        at: dict[str | None, ComponentValues] = {None: values}
        for step in plan.steps:
            at[step.step_name] = values_after(step, at[step.source], channel)
            if step.store is None or step.store.backend is not Backend.ZARR:
                continue
            have = {int(z_index) for z_index in at[step.step_name][Component.Z_INDEX]}
            empty = [str(z_index) for z_index in step.store.z_indices if z_index not in have]
            if channel in step.store.channels and empty:
                warnings.append(
                    f"kept images of step {step.step_name!r}: channel {channel} ({names[channel]}) "
                    f"has no z {', '.join(empty)}; viewers show these planes black"
                )
    return tuple(warnings)
