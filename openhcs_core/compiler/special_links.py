"""Which earlier function gives each special input, and which of its values a call gets.

A value belongs to one plane, to a stack of them, or to a projection of one. The components it
has one value of are compared with those that the taking call has one value of: what both
have must agree; where only the value has one, the call gets a list.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from openhcs_core.compiler.request import ErrorList
from openhcs_core.config import KeyPath
from openhcs_core.constants import Component
from openhcs_core.pipeline import Pattern
from openhcs_core.plan import (
    FunctionPlan,
    GroupPlan,
    SpecialInputPlan,
    StepPlan,
    taken_files,
)

_COMPONENTS: tuple[Component, ...] = tuple(part for part in Component if part is not Component.WELL)


@dataclass(frozen=True)
class _Place:
    """A function in a pipeline."""

    step: int
    group: int
    number: int


@dataclass(frozen=True)
class _Lineage:
    """What projections have made of the images a step reads.

    Attributes
    ----------
    projected : frozenset of Component
        Taken together in all images.
    mixed : frozenset of (str, Component)
        Step and component taken together in the images of some groups only.
    """

    projected: frozenset[Component] = frozenset()
    mixed: frozenset[tuple[str, Component]] = frozenset()

    def after(self, plan: StepPlan) -> "_Lineage":
        stacked = frozenset(plan.variable_components)
        found = [group.is_projected() for group in plan.groups]
        if all(found):
            return _Lineage(self.projected | stacked, self.mixed)
        if any(found):
            return _Lineage(
                self.projected, self.mixed | {(plan.step_name, part) for part in stacked}
            )
        return self


def link_special_inputs(
    plans: Sequence[StepPlan], patterns: Sequence[Pattern], errors: ErrorList
) -> tuple[StepPlan, ...]:
    """Return plans in which every special input knows its producer, and every output its use.

    Parameters
    ----------
    plans : sequence of StepPlan
        All steps of the pipeline, in order.
    patterns : sequence of Pattern
        Of each step: the places of errors.
    errors : ErrorList
        Gets an error for each special input without producer, or with more than one.
    """
    if not any(function.special_inputs for plan in plans for function in plan.functions):
        return tuple(plans)
    linker = _Linker(tuple(plans), patterns, errors)
    linked = [
        _with_groups(
            plan,
            [
                tuple(linker.link(_Place(step, group, number)) for number in range(len(functions)))
                for group, functions in enumerate(chain.functions for chain in plan.groups)
            ],
        )
        for step, plan in enumerate(plans)
    ]
    used = {
        (step, file.group, file.output)
        for plan in linked
        for step, files in taken_files(plan).items()
        for file in files
    }
    return tuple(
        _with_groups(
            plan,
            [
                tuple(
                    _mark_outputs(function, plan.step_name, group.value, used)
                    for function in group.functions
                )
                for group in plan.groups
            ],
        )
        for plan in linked
    )


class _Linker:
    """Finds producers in one pipeline."""

    def __init__(
        self, plans: tuple[StepPlan, ...], patterns: Sequence[Pattern], errors: ErrorList
    ) -> None:
        self._plans, self._patterns, self._errors = plans, patterns, errors
        lineages: dict[str | None, _Lineage] = {None: _Lineage()}
        for plan in plans:
            lineages[plan.step_name] = lineages[plan.source].after(plan)
        self._lineages = lineages

    def link(self, taker: _Place) -> FunctionPlan:
        """Return the plan of one function with its special inputs linked."""
        function = self._function(taker)
        linked = tuple(self._link(special.name, taker) for special in function.special_inputs)
        return function.model_copy(update={"special_inputs": linked}) if linked else function

    def _link(self, name: str, taker: _Place) -> SpecialInputPlan:
        found = [place for place in self._before(taker) if name in self._outputs(place)]
        if not found:
            self._report_missing(name, taker)
            return SpecialInputPlan(name=name)
        if any(place.step != found[0].step or place.group == found[0].group for place in found[1:]):
            givers = " and ".join(map(self._describe, found))
            self._report(name, taker, f"comes from {givers}; leave one out, or name it differently")
            return SpecialInputPlan(name=name)
        giver = self._choose_group(name, taker, found)
        return SpecialInputPlan(name=name) if giver is None else self._plan(name, taker, giver)

    def _choose_group(self, name: str, taker: _Place, found: list[_Place]) -> _Place | None:
        """Return the giver in the taker's own group, else the only one."""
        if len(found) == 1:
            return found[0]
        plan, own = self._plans[found[0].step], self._plans[taker.step]
        if own.group_by is plan.group_by:
            value = own.groups[taker.group].value
            for place in found:
                if plan.groups[place.group].value == value:
                    return place
        values = " and ".join(str(plan.groups[place.group].value) for place in found)
        ours = own.groups[taker.group].value
        remedy = (
            f"write this step's functions by {plan.group_by} too, so that each value has its own"
            if ours is None or own.group_by is not plan.group_by
            else f"none for {plan.group_by} {ours}: give it there too, or take it out here"
        )
        self._report(
            name,
            taker,
            f"comes from step {plan.step_name!r} for {plan.group_by} {values}; {remedy}",
        )
        return None

    def _plan(self, name: str, taker: _Place, giver: _Place) -> SpecialInputPlan:
        producer, consumer = self._plans[giver.step], self._plans[taker.step]
        if consumer.is_plate_wide and not producer.is_plate_wide:
            self._report(
                name,
                taker,
                f"comes from {self._describe(giver)} for each well; a function over the plate "
                "takes what wells gave as a plate table (@plate_function(tables=…))",
            )
        value, call = self._single(giver), self._single(taker)
        group = producer.groups[giver.group].value
        if group is not None:  # one chain, one component value: nothing to tell apart by
            same = producer.group_by is consumer.group_by
            if not same or consumer.groups[taker.group].value != group:
                value -= {producer.group_by}
        self._check_mixed(name, taker, giver, value)
        stacked = consumer.variable_components
        behind = self._lineages[consumer.source].projected
        return SpecialInputPlan(
            name=name,
            step=None if giver.step == taker.step else producer.step_name,
            of_plate=producer.is_plate_wide,
            group=group,
            agree_on=tuple(part for part in _COMPONENTS if part in value & call),
            each_of_stack=tuple(
                part for part in stacked if part in value - call and part not in behind
            ),
            each_of_projection=tuple(
                part for part in _COMPONENTS if part in value - call and part in behind
            ),
        )

    def _single(self, place: _Place) -> set[Component]:
        """Return the components that one call of a function has one value of."""
        plan = self._plans[place.step]
        function = self._function(place)
        if not function.takes_images:
            return set()
        single = set(_COMPONENTS) - self._lineages[plan.source].projected
        takes_stack = not function.slice_by_slice
        if takes_stack or plan.groups[place.group].is_projected(before=place.number):
            single -= set(plan.variable_components)
        return single

    def _check_mixed(self, name: str, taker: _Place, giver: _Place, value: set[Component]) -> None:
        ours, theirs = (
            self._lineages[self._plans[place.step].source].mixed for place in (taker, giver)
        )
        for step, part in sorted(ours ^ theirs):
            if part in value:
                self._report(
                    name,
                    taker,
                    f"comes from {self._describe(giver)}, and step {step!r} projects {part} in "
                    "some groups only, so that which images it belongs to cannot be told; project "
                    "all groups, or none",
                )
                return

    def _report_missing(self, name: str, taker: _Place) -> None:
        later = [place for place in self._all() if name in self._outputs(place)]
        others = {
            output: self._describe(place)
            for place in self._before(taker)
            for output in self._outputs(place)
        }
        close = get_close_matches(name, others, n=1)
        before = self._plans[: taker.step]
        by_well = [plan.step_name for plan in before if plan.group_by is Component.WELL]
        if later and later[0] == taker:
            remedy = "only it gives that itself"
        elif later and later[0].step == taker.step and later[0].group != taker.group:
            remedy = f"{self._describe(later[0])} gives it, but to images of another group"
        elif later:
            remedy = f"{self._describe(later[0])} gives it, but later; put it before"
        elif close:
            remedy = f"did you mean {close[0]!r} of {others[close[0]]}?"
        elif by_well:
            remedy = (
                f"the functions of step {by_well[-1]!r} differ by well: give it in these wells "
                "too, or write this step's functions by well and take it where it is given"
            )
        elif others:
            given = ", ".join(f"{output!r} of {giver}" for output, giver in others.items())
            remedy = f"before it there is {given}"
        else:
            remedy = "no function before it gives a special output"
        self._report(name, taker, f"comes from no function before it; {remedy}")

    def _report(self, name: str, taker: _Place, problem: str) -> None:
        plan = self._plans[taker.step]
        self._errors.add(
            f"step {plan.step_name!r}: special input {name!r} of {self._function(taker).ref} "
            f"{problem}",
            self._where(taker),
        )

    def _where(self, place: _Place) -> KeyPath:
        return self._patterns[place.step].entries[place.group].calls[place.number].at

    def _before(self, taker: _Place) -> Iterator[_Place]:
        for place in self._all():
            is_earlier = place.step < taker.step
            in_chain = (place.step, place.group) == (taker.step, taker.group)
            if is_earlier or (in_chain and place.number < taker.number):
                yield place

    def _all(self) -> Iterator[_Place]:
        for step, plan in enumerate(self._plans):
            for group, chain in enumerate(plan.groups):
                for number in range(len(chain.functions)):
                    yield _Place(step, group, number)

    def _function(self, place: _Place) -> FunctionPlan:
        return self._plans[place.step].groups[place.group].functions[place.number]

    def _outputs(self, place: _Place) -> list[str]:
        return [output.name for output in self._function(place).special_outputs]

    def _describe(self, place: _Place) -> str:
        return f"{self._function(place).ref} of step {self._plans[place.step].step_name!r}"


def _mark_outputs(
    function: FunctionPlan, step: str, group: str | None, used: set[tuple[str, str | None, str]]
) -> FunctionPlan:
    """Return a function's plan with the outputs marked that later steps take."""
    outputs = tuple(
        output.model_copy(update={"is_linked": True})
        if (step, group, output.name) in used
        else output
        for output in function.special_outputs
    )
    return function.model_copy(update={"special_outputs": outputs}) if outputs else function


def _with_groups(plan: StepPlan, chains: list[tuple[FunctionPlan, ...]]) -> StepPlan:
    groups = tuple(
        GroupPlan(value=group.value, functions=functions)
        for group, functions in zip(plan.groups, chains, strict=True)
    )
    return plan.model_copy(update={"groups": groups})
