"""Where every value of a compiled plate comes from, as data."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import getitem
from typing import Any

from pydantic import JsonValue

from openhcs_core.compiler.components import values_after
from openhcs_core.compiler.functions import ParameterSource, is_flexible, parameter_layers
from openhcs_core.compiler.overrides import PatternOverride, WellOverrides, overrides_by_wells
from openhcs_core.compiler.path_planner import read_pattern
from openhcs_core.compiler.plate_values import ComponentValues
from openhcs_core.compiler.request import CompileRequest, ErrorList
from openhcs_core.compiler.well_chains import WellChains, checked_chains
from openhcs_core.config import FrozenModel, KeyPath, Level, Origin
from openhcs_core.constants import Component
from openhcs_core.errors import raise_all
from openhcs_core.pipeline import FunctionCall, Pattern
from openhcs_core.plan import FunctionPlan, GroupPlan, PlatePlan, SpecialInputPlan, StepPlan

_NOT_SETTINGS = frozenset({"name", "func"})
_UNUSED_SLICES = "not used: none of this step's functions takes both slices and volumes"
_KEPT_LEAF = "kept all the same: no later step reads them"
_AFTER_BREAKER = "reads the plate: the step before ends in a chain breaker"
_FIRST_OF_IMAGES = "reads the plate: no step before it has images"
_TABLES_ALONE = "not used: it takes plate tables"
_KEPT_BY_BACKEND = "kept all the same: see materialize"


class ExplainedValue(FrozenModel):
    """One value and where it comes from.

    Attributes
    ----------
    name : str
        Setting or parameter, e.g. ``resources.mem_mb``.
    value : JSON value
        As the plan has it.
    origin : str
        The place where it is given, or who gives it.
    note : str
        What becomes of it, where that is not plain.
    wells : tuple of str
        The wells that have it, when an override gives it to some; empty for all others.
    """

    name: str
    value: JsonValue
    origin: str
    note: str = ""
    wells: tuple[str, ...] = ()


class ExplainedFunction(FrozenModel):
    """One function: its parameters, and those that overrides give to some wells."""

    ref: str
    slice_by_slice: bool
    is_plate_wide: bool = False
    parameters: tuple[ExplainedValue, ...]


class ExplainedGroup(FrozenModel):
    """The chain for one component value, empty where it passes through; None: for all.

    Attributes
    ----------
    wells : tuple of str
        The wells that have it, where functions differ by well; empty for all.
    """

    value: str | None
    channel_name: str | None = None
    wells: tuple[str, ...] = ()
    functions: tuple[ExplainedFunction, ...]


class ExplainedStep(FrozenModel):
    """One step.

    Attributes
    ----------
    reads : str or None
        The step it reads, or the plate tables; None for the plate.
    kept_as : str or None
        Backend of its images, when they are kept.
    """

    name: str
    reads: str | None
    kept_as: str | None
    settings: tuple[ExplainedValue, ...]
    group_by: str
    groups: tuple[ExplainedGroup, ...]


class ExplainedPlate(FrozenModel):
    """A plate: what its steps do, for all wells or for one."""

    plate: str
    well: str | None = None
    steps: tuple[ExplainedStep, ...]


@dataclass(frozen=True)
class _Variant:
    """A step as some wells have it: its functions as written, and as planned."""

    pattern: Pattern
    plan: StepPlan
    wells: tuple[str, ...] = ()

    def function(self, group: int, number: int) -> tuple[FunctionCall, FunctionPlan]:
        return (
            self.pattern.entries[group].calls[number],
            self.plan.groups[group].functions[number],
        )


def explain_plate(
    plan: PlatePlan,
    request: CompileRequest,
    *,
    step: str | None = None,
    well: str | None = None,
) -> ExplainedPlate:
    """Say of every setting and parameter of a plate where its value comes from.

    Parameters
    ----------
    plan : PlatePlan
        What `request` compiled to.
    request : CompileRequest
        With the origins of its settings.
    step : str, optional
        Only this one.
    well : str, optional
        What this well has. Else overrides stand beside what all other wells have.
    """
    overridden = overrides_by_wells(request)
    all_chains = checked_chains(request)
    values: dict[str | None, ComponentValues] = {None: request.values}
    explained = []
    for number, planned in enumerate(plan.steps):
        values[planned.step_name] = values_after(planned, values[planned.source])
        if step in (None, planned.step_name):
            families = [
                _variants(number, values[planned.source], plan, request, overridden, family)
                for family in _families(number, all_chains, well)
            ]
            explained.append(_explain_step(number, plan, request, families))
    return ExplainedPlate(plate=plan.name, well=well, steps=tuple(explained))


def _families(number: int, all_chains: Sequence[WellChains], well: str | None) -> list[WellChains]:
    """Return the wells that have the same functions in a step, or the one well by itself."""
    if well is not None:
        return [replace(one, wells=(well,)) for one in all_chains if well in one.wells]
    found: dict[object, WellChains] = {}
    for one in all_chains:
        same = found.setdefault(one.content(number), replace(one, wells=()))
        found[one.content(number)] = replace(same, wells=(*same.wells, *one.wells))
    return list(found.values())


def _variants(
    number: int,
    values: ComponentValues,
    plan: PlatePlan,
    request: CompileRequest,
    overridden: Sequence[WellOverrides],
    family: WellChains,
) -> list[_Variant]:
    """Return a step as wells have it by themselves, then as those with overrides have it."""
    step = plan.steps[number]

    def read(overrides: tuple[PatternOverride, ...]) -> Pattern:
        errors = ErrorList(request.document)
        pattern = read_pattern(number, values, request, overrides, family.chains, errors)
        raise_all(request.document.path, errors.errors)
        assert pattern is not None
        return pattern

    changed = {
        well: overrides
        for overrides, wells in overridden
        for well in wells
        if any(override.step == step.step_name for override in overrides)
    }
    others = [well for well in family.wells if well not in changed]
    variants = [_Variant(read(()), plan.step_plan(step, others[0]))] if others else []
    for overrides, wells in overridden:
        members = tuple(well for well in wells if well in family.wells and well in changed)
        if members:
            variants.append(_Variant(read(overrides), plan.step_plan(step, members[0]), members))
    named = () if others or len(variants) == 1 else variants[0].wells
    named = family.wells if number in family.chains else named
    return [replace(variants[0], wells=named), *variants[1:]]


def _explain_step(
    number: int, plan: PlatePlan, request: CompileRequest, families: Sequence[Sequence[_Variant]]
) -> ExplainedStep:
    step = families[0][0].plan
    is_flexible_step = any(
        is_flexible(call, request)
        for variants in families
        for entry in variants[0].pattern.entries
        for call in entry.calls
    )
    settings = [
        *_explain_settings(number, plan, request, takes_both=is_flexible_step),
        *_explain_storage(number, step, request),
    ]
    return ExplainedStep(
        name=step.step_name,
        reads=step.source if step.takes_images else _tables_of(step),
        kept_as=None if step.store is None else step.store.backend.value,
        settings=tuple(settings),
        group_by=step.group_by.value,
        groups=tuple(
            _explain_group(place, group, request, variants)
            for variants in families
            for place, group in enumerate(variants[0].plan.groups)
        ),
    )


def _tables_of(step: StepPlan) -> str:
    return " and ".join(f"{table.step}/{table.file}" for table in step.tables)


def _explain_settings(
    number: int, plan: PlatePlan, request: CompileRequest, *, takes_both: bool
) -> Iterator[ExplainedValue]:
    step = plan.steps[number]
    settings = request.pipeline.steps[number].model_dump(mode="json")
    jobs = plan.resources[step.step_name]
    of_job = {
        "resources.mem_mb": (jobs.mem_mb, "predicted"),
        "resources.runtime": (jobs.runtime_min, Level.DEFAULT.value),
    }
    of_gpu = {"resources.gpu": jobs.gpu, "resources.gpu_model": jobs.gpu_model}
    is_read = any(other.source == step.step_name for other in plan.steps)
    for path, origin in _origins(request, ("steps", number)):
        if path[0] in _NOT_SETTINGS:
            continue
        value = _explain(settings, path, origin)
        note = ""
        if value.value is None and value.name in of_job:
            effective, source = of_job[value.name]
            value = ExplainedValue(name=value.name, value=effective, origin=source)
        elif value.name in of_gpu and value.value != of_gpu[value.name]:
            note = _why_no_gpu(value, request)
            value = value.model_copy(update={"value": of_gpu[value.name]})
        elif value.name == "slice_by_slice" and value.value is not None and not takes_both:
            note = _UNUSED_SLICES
        elif value.name == "keep" and not value.value and step.store is not None:
            note = _KEPT_BY_BACKEND if is_read else _KEPT_LEAF
        elif value.value == "previous" and number > 0 and step.source is None:
            has_images = any(not other.is_plate_wide for other in plan.steps[:number])
            note = _AFTER_BREAKER if has_images else _FIRST_OF_IMAGES
            note = note if step.takes_images else _TABLES_ALONE
        yield value.model_copy(update={"note": note})


def _why_no_gpu(given: ExplainedValue, request: CompileRequest) -> str:
    """Return why jobs ask for other GPUs than a setting says, if it says anything."""
    if given.value is None:
        return ""
    by_config = "execution.gpu is none" if request.gpu == "none" else "this step uses no GPU"
    return f"{given.value} is not used: {by_config}"


def _explain_storage(
    number: int, step: StepPlan, request: CompileRequest
) -> Iterator[ExplainedValue]:
    """Yield what decides how a kept step's images are stored."""
    if step.store is None:
        return
    storage = {"storage": request.storage.model_dump(mode="json")}
    own = request.pipeline.steps[number].materialize
    has_own_backend = own is not None and own.backend is not None
    for path, origin in _origins(request, ("storage",)):
        is_layout = path[0] == "zarr"
        if (is_layout and step.store.zarr is None) or (has_own_backend and not is_layout):
            continue
        yield _explain(storage, ("storage", *path), origin)


def _origins(request: CompileRequest, at: KeyPath) -> Iterator[tuple[KeyPath, Origin]]:
    for path, origin in request.origins.items():
        if path[: len(at)] == at:
            yield path[len(at) :], origin


def _explain(data: Any, path: KeyPath, origin: Origin) -> ExplainedValue:
    value: JsonValue = reduce(getitem, path, data)
    return ExplainedValue(
        name=".".join(map(str, path)), value=value, origin=origin.where or Level.DEFAULT.value
    )


def _explain_group(
    place: int, group: GroupPlan, request: CompileRequest, variants: Sequence[_Variant]
) -> ExplainedGroup:
    is_channel = variants[0].plan.group_by is Component.CHANNEL
    names = request.index.channel_names if is_channel else {}
    return ExplainedGroup(
        value=group.value,
        channel_name=None if group.value is None else names.get(group.value),
        wells=variants[0].wells,
        functions=tuple(
            _explain_function(place, number, function, request, variants)
            for number, function in enumerate(group.functions)
        ),
    )


def _explain_function(
    group: int,
    number: int,
    function: FunctionPlan,
    request: CompileRequest,
    variants: Sequence[_Variant],
) -> ExplainedFunction:
    calls = [variant.function(group, number) for variant in variants]
    (written, _), others = calls[0], calls[1:]
    names = dict.fromkeys(name for _, planned in calls for name in planned.parameters)
    parameters: list[ExplainedValue] = []
    for name in names:
        if name in function.parameters:
            parameters.append(_explain_parameter(name, written, function, request))
        for variant, (call, planned) in zip(variants[1:], others, strict=True):
            if name in call.parameters and call.place(name) != written.place(name):
                value = _explain_parameter(name, call, planned, request)
                parameters.append(value.model_copy(update={"wells": variant.wells}))
    parameters += [
        ExplainedValue(
            name=name,
            value=f"{table.step}/{table.file}",
            origin=request.document.where(written.place(name)),
        )
        for name, table in function.tables.items()
    ]
    parameters += [_explain_special(special) for special in function.special_inputs]
    return ExplainedFunction(
        ref=function.ref,
        slice_by_slice=function.slice_by_slice,
        is_plate_wide=variants[0].plan.is_plate_wide,
        parameters=tuple(parameters),
    )


def _explain_parameter(
    name: str, call: FunctionCall, function: FunctionPlan, request: CompileRequest
) -> ExplainedValue:
    layers = parameter_layers(call, request.functions.find(call.ref), request.index)
    source = [source for source, layer in layers.items() if name in layer][-1]
    is_written = source is ParameterSource.PIPELINE
    origin = request.document.where(call.place(name)) if is_written else source.value
    return ExplainedValue(name=name, value=function.parameters[name], origin=origin)


def _explain_special(special: SpecialInputPlan) -> ExplainedValue:
    giver = "an earlier function of this step" if special.step is None else f"step {special.step!r}"
    return ExplainedValue(name=special.name, value=None, origin=f"special output of {giver}")
