"""The compiler under OpenHCS's names: five phases that fill the context of one well.

Nothing is decided here: each phase calls the pass that :func:`compile_plate` calls.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from types import MappingProxyType
from typing import Any

from openhcs_core.compiler.gpu_resources import assign_gpu_resources
from openhcs_core.compiler.materialization_flags import plan_materialization_flags
from openhcs_core.compiler.memory_contracts import validate_memory_contracts
from openhcs_core.compiler.orchestrator import PipelineOrchestrator
from openhcs_core.compiler.overrides import overrides_by_wells
from openhcs_core.compiler.path_planner import initialize_step_plans
from openhcs_core.compiler.python_steps import resolve_steps
from openhcs_core.compiler.request import CompileRequest
from openhcs_core.compiler.system_integration import validate_system_integration
from openhcs_core.compiler.well_chains import checked_chains
from openhcs_core.compiler.zarr_stores import declare_zarr_stores
from openhcs_core.config import (
    Level,
    SettingsLevel,
    StepConfig,
    plate_settings,
    resolve_pipeline,
)
from openhcs_core.errors import CompileError
from openhcs_core.pipeline import FunctionStep, PatternEntry, ProcessingContext
from openhcs_core.plan import JobResources, StepPlan

Steps = Sequence[FunctionStep] | Sequence[StepConfig]
"""Steps as written in Python, or as resolved from a pipeline file."""

_logger = logging.getLogger(__name__)


class _Phase(IntEnum):
    """How far a context's plans are."""

    STEPS = 0
    PATHS = 1
    STORES = 2
    FLAGS = 3
    CONTRACTS = 4
    RESOURCES = 5


_FIRST = "initialize_step_plans_for_context"
_MISSING = {
    _Phase.PATHS: ("be initialized before path planning", _FIRST),
    _Phase.STORES: ("be initialized before ZARR store declaration", _FIRST),
    _Phase.FLAGS: (
        "have ZARR stores declared before materialization planning",
        "declare_zarr_stores_for_context",
    ),
    _Phase.CONTRACTS: (
        "have materialization flags before memory contract validation",
        "plan_materialization_flags_for_context",
    ),
    _Phase.RESOURCES: (
        "have validated memory contracts before GPU resource assignment",
        "validate_memory_contracts_for_context",
    ),
}
"""What is missing when a phase is called too early, and what has to be called for it."""

_CONTRACT_KEYS = ("input_memory_type", "output_memory_type", "func")
_KNOWN_AFTER = {
    **dict.fromkeys(("step_name", "step_type", "well_id"), _Phase.STEPS),
    "zarr_config": _Phase.STORES,
    **dict.fromkeys(("read_backend", "write_backend", "force_disk_output"), _Phase.FLAGS),
    **dict.fromkeys(_CONTRACT_KEYS, _Phase.CONTRACTS),
    **dict.fromkeys(("gpu_id", "resources"), _Phase.RESOURCES),
}
"""The phase that decides a key of a step plan, which does not stand there before; else PATHS."""


@dataclass(frozen=True)
class _PlannedSteps:
    """What a context holds between two phases."""

    phase: _Phase
    request: CompileRequest
    plans: tuple[StepPlan, ...]
    resources: Mapping[str, JobResources] = field(default_factory=dict)

    def step_plans(self, well_id: str) -> dict[int, dict[str, Any]]:
        """Return the step plans with the keys that have been decided."""
        return {
            number: {
                key: value
                for key, value in plan.as_dict(
                    well_id, resources=self.resources.get(plan.step_name)
                ).items()
                if _KNOWN_AFTER.get(key, _Phase.PATHS) <= self.phase
            }
            for number, plan in enumerate(self.plans)
        }


class PipelineCompiler:
    """The five phases, in this order; each needs the one before it and a context not frozen.

    Notes
    -----
    A phase that finds mistakes raises an `ErrorGroup` of all of them, and those after it refuse.
    One called too early, or for other steps or another plate than the first, raises
    `CompileError`; on a frozen context, `FrozenContextError`.
    """

    @staticmethod
    def initialize_step_plans_for_context(
        context: ProcessingContext,
        steps: Steps,
        orchestrator: PipelineOrchestrator,
        steps_already_resolved: bool = False,  # noqa: FBT001, FBT002  OpenHCS's signature
    ) -> tuple[tuple[StepConfig, ...], Mapping[int, StepConfig]]:
        """Phase 1: what each step is, reads and writes, and which special values it takes.

        Parameters
        ----------
        context : ProcessingContext
            Gets new step plans, whatever it had.
        steps : sequence of FunctionStep or of StepConfig
            The pipeline.
        orchestrator : PipelineOrchestrator
            The plate.
        steps_already_resolved : bool
            `steps` were returned for another well; anything else is refused.

        Returns
        -------
        resolved_steps : tuple of StepConfig
            For the later phases, and for other wells.
        step_state_map : mapping of int to StepConfig
            The settings that count, by the step's number: what later phases go by.
        """
        context.refuse_if_frozen("step_plans")
        _check_context(context, orchestrator)
        if steps_already_resolved:
            _check_resolved(steps)
        request = _make_request(steps, orchestrator, warn=True)
        plans = tuple(StepPlan(step_name=step.name) for step in request.pipeline.steps)
        context.replace_plans(_PlannedSteps(_Phase.STEPS, request, plans))
        resolved = request.pipeline.steps
        PipelinePathPlanner.prepare_pipeline_paths(context, resolved, orchestrator)
        return resolved, MappingProxyType(dict(enumerate(resolved)))

    @staticmethod
    def declare_zarr_stores_for_context(
        context: ProcessingContext, steps: Steps, orchestrator: PipelineOrchestrator
    ) -> None:
        """Phase 2: which steps' images are kept, and how they are laid out (``zarr_config``)."""
        planned = _begin(_Phase.STORES, context, steps, orchestrator)
        plans = declare_zarr_stores(planned.plans, planned.request)
        context.replace_plans(replace(planned, phase=_Phase.STORES, plans=plans))

    @staticmethod
    def plan_materialization_flags_for_context(
        context: ProcessingContext, steps: Steps, orchestrator: PipelineOrchestrator
    ) -> None:
        """Phase 3: where each step reads its images and where it writes them."""
        MaterializationFlagPlanner.prepare_pipeline_flags(context, steps, orchestrator)

    @staticmethod
    def validate_memory_contracts_for_context(
        context: ProcessingContext,
        steps: Steps,
        orchestrator: PipelineOrchestrator,
        step_state_map: Mapping[int, StepConfig] | None = None,
    ) -> None:
        """Phase 4: memory types and functions; whose images are to be shown.

        Parameters
        ----------
        step_state_map : mapping, optional
            As phase 1 returned it; goes before `steps`.
        """
        if step_state_map is not None:
            steps = tuple(step_state_map.values())
        context.replace_plans(_check_contracts(context, steps, orchestrator))
        context.required_visualizers = [
            plan["step_name"] for plan in context.step_plans.values() if plan["visualize"]
        ]

    @staticmethod
    def assign_gpu_resources_for_context(
        context: ProcessingContext, steps: Steps, orchestrator: PipelineOrchestrator
    ) -> None:
        """Phase 5: what a job of each step asks its scheduler for (``resources``).

        ``gpu_id`` stays None: the device is known where the job runs. At the end all is checked
        together, as :func:`validate_system_integration` does.
        """
        planned = _begin(_Phase.RESOURCES, context, steps, orchestrator)
        resources = assign_gpu_resources(planned.plans, planned.request)
        planned = replace(planned, phase=_Phase.RESOURCES, resources=resources)
        validate_system_integration(planned.step_plans(context.well_id))
        context.replace_plans(planned)


class PipelinePathPlanner:
    """The part of phase 1 that comes after each step has its plan."""

    @staticmethod
    def prepare_pipeline_paths(
        context: ProcessingContext, steps: Steps, orchestrator: PipelineOrchestrator
    ) -> dict[int, dict[str, Any]]:
        """Plan what each step reads, writes and takes; return the context's step plans.

        Raises
        ------
        CompileError
            The context has no step plans yet.
        ErrorGroup
            Mistakes of the pipeline.
        """
        planned = _begin(_Phase.PATHS, context, steps, orchestrator)
        overrides = next(
            (
                overrides
                for overrides, wells in overrides_by_wells(planned.request)
                if context.well_id in wells
            ),
            (),
        )
        plans = initialize_step_plans(planned.request, overrides, _chains(context, planned))
        context.replace_plans(replace(planned, phase=_Phase.PATHS, plans=plans))
        return context.step_plans


def _chains(context: ProcessingContext, planned: _PlannedSteps) -> Mapping[int, PatternEntry]:
    """Return the functions of the context's well in steps whose functions differ by well."""
    found = checked_chains(planned.request)
    return next(shared.chains for shared in found if context.well_id in shared.wells)


class MaterializationFlagPlanner:
    """Phase 3 by itself."""

    @staticmethod
    def prepare_pipeline_flags(
        context: ProcessingContext, steps: Steps, orchestrator: PipelineOrchestrator
    ) -> None:
        """Plan where each step reads its images and where it writes them."""
        planned = _begin(_Phase.FLAGS, context, steps, orchestrator)
        plans = plan_materialization_flags(planned.plans)
        context.replace_plans(replace(planned, phase=_Phase.FLAGS, plans=plans))


class FuncStepContractValidator:
    """Phase 4 by itself."""

    @staticmethod
    def validate_pipeline(
        steps: Steps, context: ProcessingContext, orchestrator: PipelineOrchestrator
    ) -> dict[int, dict[str, Any]]:
        """Return memory types and functions of each step; the context stays as it is.

        Returns
        -------
        dict
            By the step's number: ``input_memory_type``, ``output_memory_type`` and ``func``.

        Raises
        ------
        ErrorGroup
            Functions without memory types, or whose memory types do not fit.
        """
        plans = _check_contracts(context, steps, orchestrator).step_plans(context.well_id)
        return {
            number: {key: plan[key] for key in _CONTRACT_KEYS} for number, plan in plans.items()
        }


def _check_contracts(
    context: ProcessingContext, steps: Steps, orchestrator: PipelineOrchestrator
) -> _PlannedSteps:
    planned = _begin(_Phase.CONTRACTS, context, steps, orchestrator)
    plans = validate_memory_contracts(planned.plans, planned.request)
    return replace(planned, phase=_Phase.CONTRACTS, plans=plans)


def _begin(
    phase: _Phase, context: ProcessingContext, steps: Steps, orchestrator: PipelineOrchestrator
) -> _PlannedSteps:
    """Return what is planned, after checking that it is `phase`'s turn, on the same pipeline."""
    context.refuse_if_frozen("step_plans")
    planned = context.planned
    if not isinstance(planned, _PlannedSteps) or planned.phase < phase - 1:
        missing, method = _MISSING[phase]
        raise CompileError(
            f"Context step_plans must {missing}; call PipelineCompiler.{method} first"
        )
    request = _make_request(steps, orchestrator)
    before = planned.request
    if replace(request, document=before.document, origins=before.origins) != before:
        raise CompileError(
            "these steps, or this orchestrator, are not those that the context's step_plans were "
            f"initialized with; begin again with PipelineCompiler.{_FIRST}"
        )
    return planned


def _make_request(
    steps: Steps, orchestrator: PipelineOrchestrator, *, warn: bool = False
) -> CompileRequest:
    pipeline, document, warnings = resolve_steps(steps, orchestrator.functions)
    for text in warnings if warn else ():
        _logger.warning("%s", text)
    if orchestrator.pipeline is not None:
        pipeline = orchestrator.pipeline.model_copy(update={"steps": pipeline.steps})
    plate = SettingsLevel(Level.PLATE, document, (), orchestrator.defaults, orchestrator.storage)
    resolved = resolve_pipeline(pipeline, document, [plate])
    return CompileRequest(
        plate=orchestrator.plate,
        index=orchestrator.index,
        wells=orchestrator.wells,
        pipeline=resolved.pipeline,
        document=resolved.document,
        storage=resolved.storage,
        functions=orchestrator.functions,
        origins=resolved.origins,
        gpu=orchestrator.gpu,
    )


def _check_context(context: ProcessingContext, orchestrator: PipelineOrchestrator) -> None:
    if context.well_id not in orchestrator.wells:
        raise CompileError(
            f"well {context.well_id!r} is none of plate {orchestrator.plate!r}; "
            f"wells to work on: {len(orchestrator.wells)}, "
            f"{orchestrator.wells[0]} to {orchestrator.wells[-1]}"
        )
    config = context.global_config
    if config is None or orchestrator.plate not in config.plates:
        return
    if plate_settings(config, orchestrator.plate) != (orchestrator.defaults, orchestrator.storage):
        raise CompileError(
            "defaults or storage of the context's global_config are not those of the orchestrator; "
            "make both from one config"
        )


def _check_resolved(steps: Steps) -> None:
    for number, step in enumerate(steps):
        if not isinstance(step, StepConfig):
            raise CompileError(
                f"steps[{number}] is a {type(step).__name__}, not resolved yet; give the steps "
                f"that PipelineCompiler.{_FIRST} has returned, or leave steps_already_resolved out"
            )
