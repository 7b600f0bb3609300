"""Which values each component takes at a step, and what the keys of a component dict mean."""

from collections.abc import Mapping, Sequence

from natsort import natsort_key

from openhcs_core.compiler.plate_values import ComponentValues
from openhcs_core.compiler.request import ErrorList
from openhcs_core.config import KeyPath, StepConfig
from openhcs_core.constants import Component
from openhcs_core.errors import shortened
from openhcs_core.pipeline import Pattern, PatternEntry
from openhcs_core.plan import StepPlan


def values_after(
    plan: StepPlan, values: ComponentValues, channel: str | None = None
) -> ComponentValues:
    """Return the component values a step leaves behind.

    A projection takes the first value of what it stacks; when only some groups project,
    the others keep all values.

    Parameters
    ----------
    channel : str, optional
        Look at what becomes of this channel only.
    """
    collapsing = [
        group.is_projected()
        for group in plan.groups
        if channel is None
        or plan.group_by is not Component.CHANNEL
        or group.value in (None, channel)
    ]
    if not all(collapsing):
        return values
    return {
        component: of[:1] if component in plan.variable_components else of
        for component, of in values.items()
    }


def resolve_keys(
    pattern: Pattern,
    step: StepConfig,
    known: tuple[str, ...],
    names: Mapping[str, str],
    errors: ErrorList,
    at: KeyPath,
    needed: tuple[str, ...] | None = None,
) -> Pattern:
    """Return `pattern` with an entry for every value, in natural order; note what fits nothing.

    Channel names become ids. Values that pass through have an entry without functions.

    Parameters
    ----------
    pattern : Pattern
        A component dict; anything else comes back as it is.
    known : tuple of str
        Values of the step's component at this step.
    names : mapping
        Channel id to name.
    needed : tuple of str, optional
        The values that need an entry, where that is not all of `known`.
    """
    if not pattern.is_component_dict:
        return pattern
    aliases = _aliases(step.group_by, known, names)
    entries = _known_entries(pattern, step, aliases, known, names, errors)
    entries |= _passthrough_entries(step, entries, aliases, known, names, errors, at)
    left = tuple(value for value in needed or known if value not in entries)
    if left:
        errors.add(
            f"step {step.name!r}: no function for {_listing(step.group_by, left, names)}; "
            "add one, or list the value under passthrough",
            at,
        )
    return Pattern(tuple(entries[value] for value in sorted(entries, key=natsort_key)))


def _known_entries(
    pattern: Pattern,
    step: StepConfig,
    aliases: Mapping[str, str],
    known: tuple[str, ...],
    names: Mapping[str, str],
    errors: ErrorList,
) -> dict[str, PatternEntry]:
    """Return the entries by component value; note those that fit nothing, or twice."""
    entries: dict[str, PatternEntry] = {}
    for entry in pattern.entries:
        value = aliases.get(str(entry.value))
        if value is None:
            errors.add(
                f"step {step.name!r}: {step.group_by} {entry.value!r} is not on the plate; "
                f"it has {_listing(step.group_by, known, names)}",
                entry.at,
            )
        elif value in entries:
            errors.add(
                f"step {step.name!r}: {step.group_by} {value!r} is named twice "
                f"(by id and by name); keep one of them",
                entry.at,
            )
        else:
            entries[value] = PatternEntry(value, entry.calls, entry.at)
    return entries


def _passthrough_entries(
    step: StepConfig,
    entries: Mapping[str, PatternEntry],
    aliases: Mapping[str, str],
    known: tuple[str, ...],
    names: Mapping[str, str],
    errors: ErrorList,
    at: KeyPath,
) -> dict[str, PatternEntry]:
    passed: dict[str, PatternEntry] = {}
    for name in step.passthrough:
        value = aliases.get(name)
        if value is None:
            errors.add(
                f"step {step.name!r}: passthrough names {step.group_by} {name!r}, which is not "
                f"on the plate; it has {_listing(step.group_by, known, names)}",
                at,
            )
        elif value in entries:
            errors.add(
                f"step {step.name!r}: {step.group_by} {name!r} has a function and stands under "
                "passthrough too; keep one of them",
                at,
            )
        else:
            passed[value] = PatternEntry(value, (), at)
    return passed


def _aliases(
    component: Component, known: tuple[str, ...], names: Mapping[str, str]
) -> dict[str, str]:
    """Return id by id and by unique name; an id wins over a name spelt alike."""
    aliases = {}
    if component is Component.CHANNEL:
        shown = [names.get(value, value) for value in known]
        aliases = {
            name: value for name, value in zip(shown, known, strict=True) if shown.count(name) == 1
        }
    return aliases | {value: value for value in known}


def _listing(component: Component, values: tuple[str, ...], names: Mapping[str, str]) -> str:
    shown: Sequence[str] = values
    if component is Component.CHANNEL:
        shown = [f"{value} ({names[value]})" if value in names else value for value in values]
    return f"{component} {shortened(shown)}"
