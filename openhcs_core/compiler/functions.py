"""From a function call in the pipeline file to a function plan: parameters checked and complete."""

from collections.abc import Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from openhcs_core.compiler.request import CompileRequest, ErrorList, FunctionCatalogue
from openhcs_core.config import StepConfig
from openhcs_core.constants import Component, MemoryType
from openhcs_core.errors import CompileError, UnreadableFunctionError
from openhcs_core.microscopes import PlateIndex
from openhcs_core.pipeline import FunctionCall, ProcessingContract
from openhcs_core.plan import PLATE_TARGET, FunctionPlan, PlateTable, SpecialInputPlan
from openhcs_core.registry import FunctionMetadata

CSV = ".csv"


class ParameterSource(StrEnum):
    """Who gives a parameter, the weakest first."""

    FUNCTION = "default of the function"
    PLATE = "plate metadata"
    PIPELINE = "pipeline"
    FIXED = "fixed for this function"


def plan_function(
    call: FunctionCall, step: StepConfig, request: CompileRequest, errors: ErrorList
) -> FunctionPlan | None:
    """Return the plan of one call, or None after noting what is wrong with it."""
    same = (call.ref, repr(call.parameters), step.variable_components, step.slice_by_slice)
    if same not in request.planned:
        plan = _plan_new_function(call, step, request, errors)
        if plan is None:
            return None
        request.planned[same] = plan
    return request.planned[same]


def _plan_new_function(
    call: FunctionCall, step: StepConfig, request: CompileRequest, errors: ErrorList
) -> FunctionPlan | None:
    metadata = find_function(call, step, request.functions, errors)
    if metadata is None:
        return None
    layers = parameter_layers(call, metadata, request.index)
    parameters = {name: value for layer in layers.values() for name, value in layer.items()}
    tables = {name: parameters.pop(name) for name in metadata.plate_tables if name in parameters}
    return FunctionPlan(
        ref=call.ref,
        parameters=parameters,
        versions=metadata.versions,
        input_memory_type=metadata.input_memory_type or MemoryType.UNKNOWN,
        output_memory_type=metadata.output_memory_type or MemoryType.UNKNOWN,
        slice_by_slice=_runs_slice_by_slice(metadata.contract, step),
        as_2d=metadata.as_2d,
        collapses=metadata.contract is ProcessingContract.VOLUMETRIC_TO_SLICE,
        special_outputs=metadata.special_outputs,
        special_inputs=tuple(SpecialInputPlan(name=name) for name in metadata.special_inputs),
        chain_breaker=metadata.chain_breaker,
        takes_images=metadata.takes_images,
        tables={name: find_table(str(value), request) for name, value in tables.items()},
    )


def find_table(name: str, request: CompileRequest) -> PlateTable:
    """Return the plate table that ``step/output`` names; whether there is one is not looked at."""
    step, _, output = name.partition("/")
    file = output if output.endswith(CSV) else f"{output}{CSV}"
    scopes = {one.name: one.scope for one in request.pipeline.steps}
    of_plate = scopes.get(step) == "plate"
    if of_plate and not file.startswith(f"{PLATE_TARGET}."):
        file = f"{PLATE_TARGET}.{file}"
    return PlateTable(step=step, file=file, of_plate=of_plate)


def parameter_layers(
    call: FunctionCall, metadata: FunctionMetadata, index: PlateIndex
) -> dict[ParameterSource, Mapping[str, Any]]:
    """Return what each source gives of a function's parameters; the later wins."""
    return {
        ParameterSource.FUNCTION: metadata.defaults,
        ParameterSource.PLATE: _plate_parameters(metadata, index),
        ParameterSource.PIPELINE: call.parameters,
        ParameterSource.FIXED: metadata.fixed,
    }


def find_function(
    call: FunctionCall, step: StepConfig, functions: FunctionCatalogue, errors: ErrorList
) -> FunctionMetadata | None:
    """Return the function of a call, or None after noting what is wrong with name or parameters."""
    before = len(errors.errors)
    try:
        metadata = functions.find(call.ref)
    except UnreadableFunctionError:  # said once, where its module is named
        return None
    except CompileError as error:
        errors.add(f"step {step.name!r}: {error}", call.at)
        return None
    _check_parameters(call.parameters, metadata, call, step, errors)
    return metadata if len(errors.errors) == before else None


def is_flexible(call: FunctionCall, request: CompileRequest) -> bool:
    """Return whether a function takes slices as well as volumes."""
    return request.functions.find(call.ref).contract is ProcessingContract.FLEXIBLE


def _plate_parameters(metadata: FunctionMetadata, index: PlateIndex) -> dict[str, Any]:
    """Parameters that the plate knows: a function that takes ``pixel_size_um`` gets the plate's."""
    properties = metadata.parameters_schema.get("properties", {})
    assert isinstance(properties, dict)
    return {"pixel_size_um": index.pixel_size_um} if "pixel_size_um" in properties else {}


def _check_parameters(
    given: Mapping[str, Any],
    metadata: FunctionMetadata,
    call: FunctionCall,
    step: StepConfig,
    errors: ErrorList,
) -> None:
    from jsonschema import Draft202012Validator

    schema = metadata.parameters_schema
    properties = schema.get("properties", {})
    assert isinstance(properties, dict)
    prefix = f"step {step.name!r}: {call.ref}: "
    for name in sorted(set(given) & set(metadata.special_inputs)):
        errors.add(
            f"{prefix}{name!r} is a special input, which an earlier function gives; leave it out",
            (*call.at, name),
        )
    for name in sorted(set(given) - set(properties) - set(metadata.special_inputs)):
        close = get_close_matches(name, properties, n=1)
        remedy = (
            f"did you mean {close[0]!r}?"
            if close
            else f"it takes {', '.join(sorted(properties)) or 'none'}"
        )
        errors.add(f"{prefix}unknown parameter {name!r}; {remedy}", call.place(name))
    known = {name: value for name, value in given.items() if name in properties}
    for problem in Draft202012Validator(schema).iter_errors(known):
        path = tuple(problem.absolute_path)
        name = f"parameter {path[0]!r}: " if path else ""
        errors.add(f"{prefix}{name}{problem.message}", (*call.at, *path))


def _runs_slice_by_slice(contract: ProcessingContract, step: StepConfig) -> bool:
    """Only z makes a volume; ``slice_by_slice`` decides for functions that can do both."""
    if contract is not ProcessingContract.FLEXIBLE:
        return contract is ProcessingContract.PURE_2D
    if step.slice_by_slice is not None:
        return step.slice_by_slice
    return step.variable_components != (Component.Z_INDEX,)
