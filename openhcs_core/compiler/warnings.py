"""What is right but may surprise: said before the run."""

from collections.abc import Iterator

from openhcs_core.compiler.components import values_after
from openhcs_core.compiler.plate_values import ComponentValues, component_values
from openhcs_core.compiler.request import CompileRequest
from openhcs_core.constants import Backend, Component
from openhcs_core.plan import PlatePlan, StepPlan


def find_warnings(plan: PlatePlan, request: CompileRequest) -> tuple[str, ...]:
    """Return a line for every kept step whose channels differ in z.

    An OME-Zarr image has one z axis for all channels: where a channel has fewer planes the
    others are empty, and viewers show them black.
    """
    pipelines: dict[tuple[int, ...], tuple[StepPlan, ...]] = {}
    for well in plan.wells:
        steps = tuple(plan.step_plan(step, well) for step in plan.steps)
        pipelines[tuple(map(id, steps))] = steps
    names = request.index.channel_names
    warnings: dict[str, None] = {}
    for channel in names:
        values = component_values(request.index, request.wells, channel)
        for steps in pipelines.values():
            for text in _warn_of_channel(channel, names[channel], values, steps):
                warnings[text] = None
    return tuple(warnings)


def _warn_of_channel(
    channel: str, name: str, values: ComponentValues, steps: tuple[StepPlan, ...]
) -> Iterator[str]:
    at: dict[str | None, ComponentValues] = {None: values}
    for step in steps:
        at[step.step_name] = values_after(step, at[step.source], channel)
        if step.store is None or step.store.backend is not Backend.ZARR:
            continue
        have = {int(z_index) for z_index in at[step.step_name][Component.Z_INDEX]}
        empty = [str(z_index) for z_index in step.store.z_indices if z_index not in have]
        if channel in step.store.channels and empty:
            yield (
                f"kept images of step {step.step_name!r}: channel {channel} ({name}) "
                f"has no z {', '.join(empty)}; viewers show these planes black"
            )
