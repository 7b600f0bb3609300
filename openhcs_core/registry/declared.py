"""What the decorators and the signature of a function written for pipelines say about it."""

from collections.abc import Callable, Mapping
from typing import Any

from openhcs_core.pipeline import FunctionCost, ProcessingContract
from openhcs_core.pipeline.type_hints import special_input_types, special_output_types
from openhcs_core.plan import SpecialOutputPlan
from openhcs_core.registry.signatures import annotated_schema, first_line, plain_defaults
from openhcs_core.registry.unified_registry import FunctionMetadata


def describe_declared(
    function: Callable[..., Any], *, ref: str, module: str, versions: Mapping[str, str]
) -> FunctionMetadata:
    """Return the metadata of a function that has its declarations as attributes.

    Parameters
    ----------
    function : callable
        Its first parameter is the image stack ``[Z, Y, X]``.
    ref : str
        ``library:name``; the name is that in its module.
    module : str
        Where it is defined.
    versions : mapping
        Library and source versions its results depend on.
    """
    special_inputs = getattr(function, "special_inputs", ())
    plate_tables = getattr(function, "plate_tables", ())
    return FunctionMetadata(
        ref=ref,
        module=module,
        attribute=ref.partition(":")[2],
        doc=first_line(function),
        parameters_schema=annotated_schema(function, special_inputs, plate_tables),
        defaults=plain_defaults(function, special_inputs),
        input_memory_type=getattr(function, "input_memory_type", None),
        output_memory_type=getattr(function, "output_memory_type", None),
        contract=getattr(function, "processing_contract", ProcessingContract.PURE_3D),
        special_outputs=tuple(
            SpecialOutputPlan(name=output.name, spec=output.spec)
            for output in getattr(function, "special_outputs", ())
        ),
        special_inputs=special_inputs,
        special_input_types=special_input_types(function),
        special_output_types=special_output_types(function),
        chain_breaker=getattr(function, "chain_breaker", False),
        plate_tables=plate_tables,
        takes_images=getattr(function, "takes_images", True),
        cost=getattr(function, "cost", FunctionCost()),
        locality=getattr(function, "locality", None),
        versions=dict(versions),
    )
