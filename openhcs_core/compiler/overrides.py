"""Other parameters for some wells: ``overrides`` of the pipeline file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from openhcs_core.compiler.request import CompileRequest, ErrorList
from openhcs_core.config import KeyPath
from openhcs_core.errors import raise_all
from openhcs_core.pipeline import FunctionCall, Pattern, PatternEntry
from openhcs_core.planes import WELL_REGEX


@dataclass(frozen=True)
class PatternOverride:
    """Parameters for one step, and where they are written.

    Attributes
    ----------
    step : str
        The step's name.
    parameters : mapping
        As written: parameters, or function references or component values leading to them.
    at : key path
        Where.
    """

    step: str
    parameters: Mapping[str, Any]
    at: KeyPath


WellOverrides = tuple[tuple[PatternOverride, ...], tuple[str, ...]]
"""Overrides, and the wells that share them."""


def overrides_by_wells(request: CompileRequest) -> list[WellOverrides]:
    """Return which wells share which overrides, for the request's plate.

    Raises
    ------
    ErrorGroup
        Overrides that name steps or wells that do not exist.
    """
    errors = ErrorList(request.document)
    of_well: dict[str, list[PatternOverride]] = {}
    steps = [step.name for step in request.pipeline.steps]
    for number, override in enumerate(request.pipeline.overrides):
        if override.plates and request.plate not in override.plates:
            continue
        at: KeyPath = ("overrides", number)
        for step in sorted(set(override.set) - set(steps)):
            errors.add(
                f"override of step {step!r}, which does not exist; steps: {', '.join(steps)}",
                (*at, "set", step),
            )
        for one in request.pipeline.steps:
            if one.name in override.set and one.scope == "plate":
                errors.add(
                    f"override of step {one.name!r}, which does all wells in one job: wells "
                    "cannot have parameters of their own there",
                    (*at, "set", one.name),
                )
        for well in override.wells:
            if well not in request.index.wells:
                errors.add(
                    f"override for well {well}, which plate {request.plate!r} does not have",
                    (*at, "wells"),
                )
            of_well.setdefault(well, []).extend(
                PatternOverride(step, parameters, (*at, "set", step))
                for step, parameters in override.set.items()
            )
    raise_all(request.document.path, errors.errors)
    return _group(of_well, request.wells)


def _group(
    of_well: Mapping[str, list[PatternOverride]], wells: Sequence[str]
) -> list[WellOverrides]:
    shared: list[tuple[list[PatternOverride], list[str]]] = []
    for well in wells:
        mine = of_well.get(well)
        if mine is None:
            continue
        members = next((members for known, members in shared if known == mine), None)
        if members is None:
            shared.append((mine, [well]))
        else:
            members.append(well)
    return [(tuple(overrides), tuple(members)) for overrides, members in shared]


def apply_overrides(
    pattern: Pattern,
    step: str,
    names: Mapping[str, str],
    overrides: Sequence[PatternOverride],
    errors: ErrorList,
) -> Pattern:
    """Return `pattern` with the overrides of `step` merged into its parameters.

    Parameters
    ----------
    names : mapping
        Channel id to name: overrides may use either, as component dicts do.
    """
    for override in overrides:
        if override.step == step:
            pattern = _apply(pattern, override, names, errors)
    return pattern


def _apply(
    pattern: Pattern, override: PatternOverride, names: Mapping[str, str], errors: ErrorList
) -> Pattern:
    if not pattern.is_component_dict:
        (entry,) = pattern.entries
        if not entry.calls:
            errors.add(
                f"override of step {override.step!r}, which one of these wells passes through "
                "without a function; leave that well out",
                override.at,
            )
            return pattern
        if named := [key for key in override.parameters if re.fullmatch(WELL_REGEX, key)]:
            errors.add(
                f"override of step {override.step!r}: well {', '.join(named)} stands among its "
                "parameters; 'wells' says which wells get them: write {min_area: 40} alone",
                override.at,
            )
            return pattern
        return Pattern((_merge_entry(entry, override.parameters, override.at, errors),))
    shown = list(names.values())
    ids = {name: value for value, name in names.items() if shown.count(name) == 1}
    entries = {entry.value: entry for entry in pattern.entries}
    for key, parameters in override.parameters.items():
        value = key if key in entries else ids.get(key, key)
        at = (*override.at, key)
        if value not in entries or not entries[value].calls:
            known = [str(value) for value, entry in entries.items() if entry.calls]
            errors.add(
                f"override of step {override.step!r}: it has no function for {key!r}; "
                f"it has {', '.join(known)}",
                at,
            )
        elif not isinstance(parameters, Mapping):
            errors.add(
                f"override of step {override.step!r}: expected parameters such as "
                f"{{min_area: 40}} under {key!r}; found {parameters!r}",
                at,
            )
        else:
            entries[value] = _merge_entry(entries[value], parameters, at, errors)
    return Pattern(tuple(entries.values()))


def _merge_entry(
    entry: PatternEntry, parameters: Mapping[str, Any], at: KeyPath, errors: ErrorList
) -> PatternEntry:
    """Merge parameters into a chain: by function reference, or plainly into its one function."""
    if not any(":" in key for key in parameters):
        if len(entry.calls) == 1:
            return replace(entry, calls=(_merge_call(entry.calls[0], parameters, at),))
        errors.add(
            "this step has several functions; name the one to change, e.g. "
            f"{{{entry.calls[0].ref}: {{…}}}}",
            at,
        )
        return entry
    calls = list(entry.calls)
    refs = [call.ref for call in calls]
    for ref, changes in parameters.items():
        if ref not in refs or not isinstance(changes, Mapping):
            errors.add(
                f"expected one of {', '.join(refs)} with parameters; found {ref!r}: {changes!r}", at
            )
            continue
        number = refs.index(ref)
        calls[number] = _merge_call(calls[number], changes, (*at, ref))
    return replace(entry, calls=tuple(calls))


def _merge_call(call: FunctionCall, parameters: Mapping[str, Any], at: KeyPath) -> FunctionCall:
    before = {name: call.place(name) for name in call.parameters if name not in parameters}
    return FunctionCall(call.ref, {**call.parameters, **parameters}, at, before)
