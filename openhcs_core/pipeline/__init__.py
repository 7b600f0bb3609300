"""How functions and steps are described: decorators, contracts and the four patterns."""

from openhcs_core.pipeline.context import ProcessingContext
from openhcs_core.pipeline.function_contracts import (
    FunctionCost,
    ProcessingContract,
    SpecialOutput,
    chain_breaker,
    costs,
    plate_function,
    processing_contract,
    special_inputs,
    special_outputs,
)
from openhcs_core.pipeline.function_step import FunctionStep
from openhcs_core.pipeline.locality import Locality, local
from openhcs_core.pipeline.patterns import (
    FunctionCall,
    Pattern,
    PatternEntry,
    PatternError,
    parse_pattern,
)

__all__ = [
    "FunctionCall",
    "FunctionCost",
    "FunctionStep",
    "Locality",
    "Pattern",
    "PatternEntry",
    "PatternError",
    "ProcessingContext",
    "ProcessingContract",
    "SpecialOutput",
    "chain_breaker",
    "costs",
    "local",
    "parse_pattern",
    "plate_function",
    "processing_contract",
    "special_inputs",
    "special_outputs",
]
