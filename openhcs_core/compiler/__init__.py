"""The compiler: config and index in, frozen plans out; no I/O, no array library."""

from openhcs_core.compiler.compiler import compile_plate
from openhcs_core.compiler.conversions import plan_inter_step_conversions
from openhcs_core.compiler.explain import (
    ExplainedFunction,
    ExplainedGroup,
    ExplainedPlate,
    ExplainedStep,
    ExplainedValue,
    explain_plate,
)
from openhcs_core.compiler.gpu_resources import assign_gpu_resources
from openhcs_core.compiler.materialization_flags import plan_materialization_flags
from openhcs_core.compiler.memory_contracts import validate_memory_contracts
from openhcs_core.compiler.orchestrator import PipelineOrchestrator
from openhcs_core.compiler.path_planner import find_mistakes, initialize_step_plans
from openhcs_core.compiler.pipeline_compiler import (
    FuncStepContractValidator,
    MaterializationFlagPlanner,
    PipelineCompiler,
    PipelinePathPlanner,
)
from openhcs_core.compiler.python_steps import PythonPipeline, build_document, check_document
from openhcs_core.compiler.request import CompileRequest
from openhcs_core.compiler.system_integration import (
    GPUMemoryTypeValidator,
    validate_system_integration,
)
from openhcs_core.compiler.warnings import find_warnings
from openhcs_core.compiler.zarr_stores import declare_zarr_stores

__all__ = [
    "CompileRequest",
    "ExplainedFunction",
    "ExplainedGroup",
    "ExplainedPlate",
    "ExplainedStep",
    "ExplainedValue",
    "FuncStepContractValidator",
    "GPUMemoryTypeValidator",
    "MaterializationFlagPlanner",
    "PipelineCompiler",
    "PipelineOrchestrator",
    "PipelinePathPlanner",
    "PythonPipeline",
    "assign_gpu_resources",
    "build_document",
    "check_document",
    "compile_plate",
    "declare_zarr_stores",
    "explain_plate",
    "find_mistakes",
    "find_warnings",
    "initialize_step_plans",
    "plan_inter_step_conversions",
    "plan_materialization_flags",
    "validate_memory_contracts",
    "validate_system_integration",
]
