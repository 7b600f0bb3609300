"""Declared types of special values: what gives, what takes and what writes them must agree.

Only type hints are compared, and only what is sure to be wrong is said: a function without
hints is met by what its values turn out to be.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from openhcs_core.compiler.request import CompileRequest, ErrorList
from openhcs_core.compiler.written_types import refusals
from openhcs_core.config import KeyPath
from openhcs_core.pipeline import Pattern
from openhcs_core.pipeline.travel import WHAT_TRAVELS, travels
from openhcs_core.pipeline.value_types import ANYTHING, ValueType, fits, list_of, texts_of
from openhcs_core.plan import FunctionPlan, SpecialInputPlan, StepPlan


class _Call(NamedTuple):
    """A function in a pipeline."""

    step: str
    group: str | None
    function: FunctionPlan
    at: KeyPath

    def __str__(self) -> str:
        return f"{self.function.ref} of step {self.step!r}"


def check_special_types(
    plans: Sequence[StepPlan],
    patterns: Sequence[Pattern],
    request: CompileRequest,
    errors: ErrorList,
) -> None:
    """Note every special value whose declared type is not what is done with it.

    Parameters
    ----------
    plans : sequence of StepPlan
        All steps of the pipeline, linked.
    patterns : sequence of Pattern
        What they were planned from.
    request : CompileRequest
        Functions, with the types of their special inputs and outputs.
    errors : ErrorList
        Gets an error for each value that a function does not take, that does not travel to
        the step it is linked to, or that its writer does not write.
    """
    checker = _Checker(list(_calls(plans, patterns)), request)
    for call in checker.calls:
        for problem in checker.problems(call):
            errors.add(f"step {call.step!r}: {problem}", call.at)


def _calls(plans: Sequence[StepPlan], patterns: Sequence[Pattern]) -> Iterator[_Call]:
    for plan, pattern in zip(plans, patterns, strict=True):
        for group, entry in zip(plan.groups, pattern.entries, strict=True):
            for function, call in zip(group.functions, entry.calls, strict=True):
                yield _Call(plan.step_name, group.value, function, call.at)


class _Checker:
    """Compares the types of one pipeline."""

    def __init__(self, calls: list[_Call], request: CompileRequest) -> None:
        self.calls, self._functions = calls, request.functions

    def problems(self, call: _Call) -> Iterator[str]:
        """Yield what is wrong with one function's special values."""
        metadata = self._functions.find(call.function.ref)
        types = metadata.special_output_types
        for output in call.function.special_outputs:
            type_ = types.get(output.name, ANYTHING)
            what = f"special output {output.name!r} of {call.function.ref} is declared {type_}"
            if output.is_linked and not travels(type_):
                yield f"{what}, which cannot travel to a later step; what travels: {WHAT_TRAVELS}"
            for refusal in refusals(output, type_):
                yield f"{what}, {refusal}"
        for special in call.function.special_inputs:
            taken = metadata.special_input_types.get(special.name, ANYTHING)
            yield from self._misfits(special, taken, call)

    def _misfits(self, special: SpecialInputPlan, taken: ValueType, call: _Call) -> Iterator[str]:
        giver = self._giver(special, call)
        types = self._functions.find(giver.function.ref).special_output_types
        value = types.get(special.name, ANYTHING)
        given = list_of(value) if special.is_list else value
        if fits(given, taken):
            return
        gives, takes = texts_of(given, taken)
        what = f"special input {special.name!r} of {call.function.ref} takes {takes}, but"
        if not special.is_list:
            yield f"{what} {giver} gives {gives}; {_remedy_for_one(value, taken)}"
            return
        parts = " and ".join((*special.each_of_stack, *special.each_of_projection))
        yield (
            f"{what} here it gets {gives}: a call has several images by {parts}, and {giver} gives "
            f"a value for each; {_remedy_for_list(value, taken)}"
        )

    def _giver(self, special: SpecialInputPlan, call: _Call) -> _Call:
        step, group = (
            (call.step, call.group) if special.step is None else (special.step, special.group)
        )
        return next(
            other
            for other in self.calls
            if (other.step, other.group) == (step, group)
            and any(output.name == special.name for output in other.function.special_outputs)
            and other.function is not call.function
        )


def _remedy_for_one(value: ValueType, taken: ValueType) -> str:
    if fits(list_of(value), taken):
        return (
            "a call gets one value of it here, and would get a list of them if the step that "
            "gives it worked on single images"
        )
    return "correct the type hint that is wrong, or put a function between them"


def _remedy_for_list(value: ValueType, taken: ValueType) -> str:
    if fits(value, taken):
        return (
            "let both steps stack the same variable_components, or have the function take "
            f"list[{taken}]"
        )
    return "correct the type hint that is wrong, or put a function between them"
